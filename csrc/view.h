// Borrowed views of arrays: a pointer and a shape, no ownership.
// Every kernel takes these; whoever calls keeps the memory alive for as long as the call lasts.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>

namespace pyrec {

// One dimension.
template <class T>
struct Span {
    const T* data = nullptr;  // (size)
    int64_t size = 0;

    const T& operator[](int64_t i) const { return data[i]; }
    const T* begin() const { return data; }
    const T* end() const { return data + size; }
};

// Two dimensions, row after row.
template <class T>
struct Rows {
    const T* data = nullptr;  // (n_rows, dim)
    int64_t n_rows = 0;
    int64_t dim = 0;

    const T* row(int64_t i) const { return data + i * dim; }
};

// Which entries may be used; without data all may.
struct Mask {
    const uint8_t* data = nullptr;  // (size), 0 = left out
    int64_t size = 0;

    bool allows(int64_t i) const { return data == nullptr || data[i] != 0; }

    void check(int64_t n) const {
        if (data != nullptr && size != n) {
            throw std::invalid_argument("mask has " + std::to_string(size) +
                                        " entries; give one for each of the " + std::to_string(n));
        }
    }
};

// Offsets of ragged rows: row i is [ptr[i], ptr[i + 1]). Starts at 0, never falls, ends at `size`.
inline void check_offsets(Span<int64_t> ptr, int64_t size, const char* name) {
    const std::string what(name);
    if (ptr.size < 1 || ptr[0] != 0) {
        throw std::invalid_argument(what + " must start with 0, even where there are no rows");
    }
    for (int64_t i = 1; i < ptr.size; ++i) {
        if (ptr[i] < ptr[i - 1]) {
            throw std::invalid_argument(what + " falls at " + std::to_string(i) +
                                        "; offsets must not decrease");
        }
    }
    if (ptr[ptr.size - 1] != size) {
        throw std::invalid_argument(what + " ends at " + std::to_string(ptr[ptr.size - 1]) +
                                    "; the data it describes has " + std::to_string(size) +
                                    " entries");
    }
}

inline void check_size(int64_t size, int64_t expected, const char* name) {
    if (size != expected) {
        throw std::invalid_argument(std::string(name) + " has " + std::to_string(size) +
                                    " entries; expected " + std::to_string(expected));
    }
}

}  // namespace pyrec
