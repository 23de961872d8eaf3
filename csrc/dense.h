// Inner products of one query with every row of a matrix, float32 or int8.
//
// An int8 row with scale s stands for the vector s · row, so that an item's embedding takes dim + 4
// bytes. The query is quantized the same way; the sum itself is exact in integers:
//   score = s_row · s_query · Σ row[j] · query[j]
// With rows and query of length 1 the score is their cosine, within about .01.
#pragma once

#include <cmath>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

#include "simd.h"
#include "view.h"

namespace pyrec {

// Above this a sum of products of int8 could pass 2^31.
constexpr int64_t max_dim_int8 = 131072;

namespace detail {

inline void check_query(Span<float> query, int64_t dim, const char* matrix) {
    if (query.size != dim) {
        throw std::invalid_argument("query has " + std::to_string(query.size) +
                                    " numbers; the rows of " + matrix + " have " +
                                    std::to_string(dim));
    }
    for (int64_t j = 0; j < query.size; ++j) {
        if (!std::isfinite(query[j])) {
            throw std::invalid_argument("query[" + std::to_string(j) + "] is not finite");
        }
    }
}

// The query is widened so that the loop becomes one multiply-and-add-pairs instruction. Integer
// sums may be reordered without a pragma, and with one GCC 12 misses that instruction (three times
// slower).
PYREC_INLINE inline int32_t inner(const int8_t* a, const int16_t* b, int64_t dim) {
    int32_t sum = 0;
    for (int64_t j = 0; j < dim; ++j) {
        const int16_t wide = a[j];
        sum += int32_t(wide) * int32_t(b[j]);
    }
    return sum;
}

PYREC_INLINE inline float inner(const float* a, const float* b, int64_t dim) {
    float sum = 0.0f;
#pragma omp simd reduction(+ : sum)
    for (int64_t j = 0; j < dim; ++j) sum += a[j] * b[j];
    return sum;
}

}  // namespace detail

// (n_rows) scores; a masked row is not read and gets 0.
inline std::vector<float> inner_int8(Rows<int8_t> matrix, Span<float> scales, Span<float> query,
                                     Mask mask = {}) {
    detail::check_query(query, matrix.dim, "matrix");
    check_size(scales.size, matrix.n_rows, "scales");
    mask.check(matrix.n_rows);
    if (matrix.dim > max_dim_int8) {
        throw std::invalid_argument("int8 rows hold at most " + std::to_string(max_dim_int8) +
                                    " numbers; these have " + std::to_string(matrix.dim));
    }
    std::vector<float> scores(matrix.n_rows, 0.0f);
    float most = 0.0f;
    for (float q : query) most = std::fmax(most, std::fabs(q));
    if (most == 0.0f) return scores;

    std::vector<int16_t> quantized(query.size);  // in -127 .. 127
    for (int64_t j = 0; j < query.size; ++j) {
        quantized[j] = static_cast<int16_t>(std::lround(query[j] / most * 127.0f));
    }
    const float query_scale = most / 127.0f;
    simd::run([&]() PYREC_INLINE {
        for (int64_t i = 0; i < matrix.n_rows; ++i) {
            if (!mask.allows(i)) continue;
            const int32_t sum = detail::inner(matrix.row(i), quantized.data(), matrix.dim);
            scores[i] = scales[i] * query_scale * static_cast<float>(sum);
        }
    });
    return scores;
}

// (n_rows) scores; a masked row is not read and gets 0.
inline std::vector<float> inner_f32(Rows<float> matrix, Span<float> query, Mask mask = {}) {
    detail::check_query(query, matrix.dim, "matrix");
    mask.check(matrix.n_rows);
    std::vector<float> scores(matrix.n_rows, 0.0f);
    simd::run([&]() PYREC_INLINE {
        for (int64_t i = 0; i < matrix.n_rows; ++i) {
            if (mask.allows(i)) scores[i] = detail::inner(matrix.row(i), query.data, matrix.dim);
        }
    });
    return scores;
}

}  // namespace pyrec
