// log Σ exp(x) over a vocabulary in float32: log-softmax is x - log_sum_exp(x).
// Two passes over the row, the largest value and then the sum, both made for SIMD.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>

#include "simd.h"
#include "view.h"

namespace pyrec {

// exp(x) for x ≤ 0, relative error below 3e-7. Below -87 it stays at exp(-87) = 1.6e-38, which is
// nothing beside the exp(0) = 1 of the largest value. NaN counts as that nothing too.
//
// exp(x) = 2^n · exp(r), where n is x / ln 2 rounded and |r| ≤ ln 2 / 2.
PYREC_INLINE inline float exp_nonpositive(float x) {
    x = x > -87.0f ? x : -87.0f;
    // Adding 1.5 · 2^23 pushes the fraction out of the mantissa: its low bits are then n.
    constexpr float round_to_integer = 12582912.0f;
    const float rounded = x * 1.44269504f + round_to_integer;
    const float n = rounded - round_to_integer;
    // ln 2 in two parts: n times the first is exact.
    const float r = (x - n * 0.693359375f) - n * -2.12194440e-4f;
    // exp(r) = 1 + r + r² · q(r); q was fitted to the least largest error over |r| ≤ ln 2 / 2.
    const float q = 0.499991453f + r * (0.166664568f + r * (0.0418985087f + r * 0.00837468165f));
    const float exp_r = 1.0f + (r + r * r * q);
    // Adding n to the exponent multiplies by 2^n.
    uint32_t low_bits, result_bits;
    std::memcpy(&low_bits, &rounded, sizeof(low_bits));
    std::memcpy(&result_bits, &exp_r, sizeof(result_bits));
    result_bits += low_bits << 23;
    float result;
    std::memcpy(&result, &result_bits, sizeof(result));
    return result;
}

// Keeps several maxima side by side, because compilers do not split up a single one for SIMD: which
// zero or NaN would win depends on the order. NaN never wins here.
PYREC_INLINE inline float largest(const float* x, int64_t n) {
    constexpr int64_t n_lanes = 32;
    float most[n_lanes];
    for (float& lane : most) lane = -std::numeric_limits<float>::infinity();
    int64_t i = 0;
    for (; i + n_lanes <= n; i += n_lanes) {
        for (int64_t l = 0; l < n_lanes; ++l) most[l] = x[i + l] > most[l] ? x[i + l] : most[l];
    }
    for (; i < n; ++i) most[0] = x[i] > most[0] ? x[i] : most[0];
    return *std::max_element(most, most + n_lanes);
}

PYREC_INLINE inline double sum_exp(const float* x, int64_t n, float largest) {
    // Floats are summed in blocks, the blocks in double: 262,144 terms keep their six digits.
    constexpr int64_t block = 4096;
    double total = 0.0;
    for (int64_t start = 0; start < n; start += block) {
        const int64_t end = std::min(start + block, n);
        float sum = 0.0f;
#pragma omp simd reduction(+ : sum)
        for (int64_t i = start; i < end; ++i) sum += exp_nonpositive(x[i] - largest);
        total += sum;
    }
    return total;
}

// The empty row and a row of -inf give -inf.
inline float log_sum_exp(Span<float> x) {
    return simd::run([&]() PYREC_INLINE -> float {
        const float most = largest(x.data, x.size);
        if (!std::isfinite(most)) return most;
        return most + static_cast<float>(std::log(sum_exp(x.data, x.size, most)));
    });
}

}  // namespace pyrec
