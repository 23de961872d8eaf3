// Rows of a sparse matrix added up: a history's items, each with the items its row points to.
//
//   out = Σ over the query's rows r of  row_weight(r) · row r
//
// A linear item model keeps a hundred weights an item and scores a history of q items so.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

#include "view.h"

namespace pyrec {

// Row r holds weights[ptr[r], ptr[r + 1]) at the columns idx[same range].
struct SparseRows {
    Span<int64_t> ptr;    // (n_rows + 1)
    Span<int32_t> idx;    // (nnz) columns, 0 to n_items - 1, in any order within a row
    Span<float> weights;  // (nnz)
};

// (n_items) A row may be asked for several times. Only the rows that are asked for are checked, so
// that time does not grow with the matrix.
inline std::vector<float> csr_accumulate(const SparseRows& matrix, Span<int32_t> rows,
                                         Span<float> row_weights, int64_t n_items) {
    check_size(matrix.weights.size, matrix.idx.size, "weights");
    check_size(row_weights.size, rows.size, "row_weights");
    const int64_t n_rows = matrix.ptr.size - 1, nnz = matrix.idx.size;
    if (n_rows < 0) throw std::invalid_argument("ptr is empty; give one offset more than rows");
    if (n_items < 0 || n_items > INT32_MAX) {
        throw std::invalid_argument("n_items is " + std::to_string(n_items) +
                                    "; it must be from 0 to 2^31 - 1");
    }
    std::vector<float> sums(n_items, 0.0f);
    for (int64_t q = 0; q < rows.size; ++q) {
        const int32_t row = rows[q];
        if (row < 0 || row >= n_rows) {
            throw std::out_of_range("rows[" + std::to_string(q) + "] is " + std::to_string(row) +
                                    "; there are " + std::to_string(n_rows) + " rows");
        }
        const int64_t begin = matrix.ptr[row], end = matrix.ptr[row + 1];
        if (begin < 0 || begin > end || end > nnz) {
            throw std::invalid_argument("ptr gives row " + std::to_string(row) + " the entries " +
                                        std::to_string(begin) + " to " + std::to_string(end) +
                                        " of " + std::to_string(nnz));
        }
        for (int64_t i = begin; i < end; ++i) {
            const int32_t item = matrix.idx[i];
            if (item < 0 || item >= n_items) {
                throw std::out_of_range("idx[" + std::to_string(i) + "] is " +
                                        std::to_string(item) + "; n_items is " +
                                        std::to_string(n_items));
            }
            sums[item] += row_weights[q] * matrix.weights[i];
        }
    }
    return sums;
}

}  // namespace pyrec
