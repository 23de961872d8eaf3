// One binary for every processor of an architecture: a loop is compiled twice on x86-64, plainly
// and for AVX2 with FMA, and `simd::run` takes the one that this processor can execute. Elsewhere
// (ARM has NEON in its baseline) the plain one is the fast one.
//
// Loops are ordinary C++; `#pragma omp simd` on a float sum allows the compiler to add in another
// order. Intrinsics were tried for int8 products: 1.4 times faster, and one more text to maintain.
#pragma once

#include <string>
#include <vector>

#if defined(__x86_64__) && (defined(__GNUC__) || defined(__clang__)) && !defined(PYREC_NO_AVX2)
#define PYREC_HAS_AVX2_PATH 1
#endif

// What is called inside `simd::run` must be inlined there: a call would leave the AVX2 code.
#if defined(__GNUC__) || defined(__clang__)
#define PYREC_INLINE __attribute__((always_inline))
#else
#define PYREC_INLINE
#endif

namespace pyrec {
namespace simd {

#ifdef PYREC_HAS_AVX2_PATH

inline bool has_avx2() {
    static const bool yes = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    return yes;
}

template <class Body>
__attribute__((target("avx2,fma"))) auto run_avx2(const Body& body) {
    return body();
}

template <class Body>
auto run(const Body& body) {
    return has_avx2() ? run_avx2(body) : body();
}

#else

inline bool has_avx2() { return false; }

template <class Body>
auto run(const Body& body) {
    return body();
}

#endif

// The instruction sets that the kernels use on this processor, for people to read.
inline std::vector<std::string> cpu_features() {
    if (has_avx2()) return {"avx2", "fma"};
#if defined(__x86_64__)
    return {"sse2"};
#elif defined(__aarch64__)
    return {"neon"};
#else
    return {};
#endif
}

}  // namespace simd
}  // namespace pyrec
