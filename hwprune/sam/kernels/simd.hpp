// One vector of T: AVX-512 where it is there, plain C++ vectors of 32 bytes elsewhere.
//
// Zen 4 adds, compares and takes maxima in two pipes and multiplies in two others. So some sums come in a second way, by
// multiply-add with 1: the same values, in the other pipes.
#pragma once
#include <cstdint>
#include <cstring>

#if defined(__AVX512F__) && defined(__AVX512DQ__)
#define SIMD_AVX512
#include <immintrin.h>
#endif

template <class T> struct Simd;

#ifdef SIMD_AVX512

#define SIMD_OF(T, REGISTER, MASK, LANES, S)                                                                           \
  template <> struct Simd<T> {                                                                                         \
    using V = REGISTER;                                                                                                \
    using M = MASK;                                                                                                    \
    static constexpr int lanes = LANES;                                                                                \
    static V load(const T *p) { return _mm512_loadu_##S(p); }                                                          \
    static void store(T *p, V v) { _mm512_storeu_##S(p, v); }                                                          \
    static V all(T v) { return _mm512_set1_##S(v); }                                                                   \
    static V max(V a, V b) { return _mm512_max_##S(a, b); }                                                            \
    static M every() { return M(-1); }                                                                                 \
    /* lanes of `among` in which the relation holds */                                                                 \
    static M no_less(M among, V a, V b) { return _mm512_mask_cmp_##S##_mask(among, a, b, _CMP_GE_OQ); }                \
    static M equal(M among, V a, V b) { return _mm512_mask_cmp_##S##_mask(among, a, b, _CMP_EQ_OQ); }                  \
    static M greater(V a, V b) { return _mm512_cmp_##S##_mask(a, b, _CMP_GT_OQ); }                                     \
    /* `a` less its subset `b`; the intrinsic keeps masks in mask registers */                                         \
    static M without(M a, M b) { return _kxor_mask##LANES(a, b); }                                                     \
    static V add_where(M m, V a, V b) { return _mm512_mask_add_##S(a, m, a, b); }                                      \
    static V sub_where(M m, V a, V b) { return _mm512_mask_sub_##S(a, m, a, b); }                                      \
    /* Second way, of *p + b and b - *p. As asm: GCC copies registers around it, which costs as much as the sum. */    \
    static V loaded_plus(const T *p, V b) {                                                                            \
      V v;                                                                                                             \
      asm("vmovu" #S " %1, %0\n\tvfmadd132" #S " %3, %2, %0" : "=&v"(v) : "m"(*(const V *)p), "v"(b), "v"(all(1)));    \
      return v;                                                                                                        \
    }                                                                                                                  \
    static V minus_loaded(const T *p, V b) {                                                                           \
      V v;                                                                                                             \
      asm("vmovu" #S " %1, %0\n\tvfnmadd132" #S " %3, %2, %0" : "=&v"(v) : "m"(*(const V *)p), "v"(b), "v"(all(1)));   \
      return v;                                                                                                        \
    }                                                                                                                  \
    static V add_where2(M m, V a, V b) { return _mm512_mask3_fmadd_##S(b, all(1), a, m); }                             \
    static V sub_where2(M m, V a, V b) { return _mm512_mask3_fnmadd_##S(b, all(1), a, m); }                            \
  };
SIMD_OF(float, __m512, __mmask16, 16, ps)
SIMD_OF(double, __m512d, __mmask8, 8, pd)
#undef SIMD_OF

#else

#define SIMD_OF(T, I, LANES)                                                                                           \
  template <> struct Simd<T> {                                                                                         \
    typedef T V __attribute__((vector_size(32)));                                                                      \
    typedef I M __attribute__((vector_size(32)));                                                                      \
    static constexpr int lanes = LANES;                                                                                \
    static V load(const T *p) {                                                                                        \
      V v;                                                                                                             \
      memcpy(&v, p, sizeof v);                                                                                         \
      return v;                                                                                                        \
    }                                                                                                                  \
    static void store(T *p, V v) { memcpy(p, &v, sizeof v); }                                                          \
    static V all(T v) { return v - V{}; }                                                                              \
    static V max(V a, V b) { return a > b ? a : b; }                                                                   \
    static M every() { return M{} == M{}; }                                                                            \
    static M no_less(M among, V a, V b) { return among & (M)(a >= b); }                                                \
    static M equal(M among, V a, V b) { return among & (M)(a == b); }                                                  \
    static M greater(V a, V b) { return (M)(a > b); }                                                                  \
    static M without(M a, M b) { return a & ~b; }                                                                      \
    static V add_where(M m, V a, V b) { return a + (V)(m & (M)b); }                                                    \
    static V sub_where(M m, V a, V b) { return a - (V)(m & (M)b); }                                                    \
    static V loaded_plus(const T *p, V b) { return load(p) + b; }                                                      \
    static V minus_loaded(const T *p, V b) { return b - load(p); }                                                     \
    static V add_where2(M m, V a, V b) { return add_where(m, a, b); }                                                  \
    static V sub_where2(M m, V a, V b) { return sub_where(m, a, b); }                                                  \
  };
SIMD_OF(float, int32_t, 8)
SIMD_OF(double, int64_t, 4)
#undef SIMD_OF

#endif

// The lanes' sum, in an order that is fixed for a processor.
template <class T> inline T sum(typename Simd<T>::V v) {
#ifdef SIMD_AVX512
  if constexpr (sizeof(T) == 4)
    return _mm512_reduce_add_ps(v);
  else
    return _mm512_reduce_add_pd(v);
#else
  T total = v[0];
  for (int i = 1; i < Simd<T>::lanes; i++)
    total += v[i];
  return total;
#endif
}
