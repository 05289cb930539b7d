// One vector of T: 64 bytes where AVX-512 is there, 32 bytes of plain C++ vectors elsewhere.
#pragma once
#include <cstdint>
#include <cstring>

#ifdef __AVX512F__
#include <immintrin.h>
#endif

template <class T> struct Simd;

#ifdef __AVX512F__

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
    /* lanes of `among` in which a == b */                                                                             \
    static M equal(M among, V a, V b) { return _mm512_mask_cmp_##S##_mask(among, a, b, _CMP_EQ_OQ); }                  \
    static M greater(V a, V b) { return _mm512_cmp_##S##_mask(a, b, _CMP_GT_OQ); }                                     \
    static M without(M a, M b) { return M(a & ~b); }                                                                   \
    static V add_where(M m, V a, V b) { return _mm512_mask_add_##S(a, m, a, b); }                                      \
    static V sub_where(M m, V a, V b) { return _mm512_mask_sub_##S(a, m, a, b); }                                      \
    static V choose(M m, V yes, V no) { return _mm512_mask_blend_##S(m, no, yes); }                                    \
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
    static M equal(M among, V a, V b) { return among & (M)(a == b); }                                                  \
    static M greater(V a, V b) { return (M)(a > b); }                                                                  \
    static M without(M a, M b) { return a & ~b; }                                                                      \
    static V add_where(M m, V a, V b) { return a + (V)(m & (M)b); }                                                    \
    static V sub_where(M m, V a, V b) { return a - (V)(m & (M)b); }                                                    \
    static V choose(M m, V yes, V no) { return m ? yes : no; }                                                         \
  };
SIMD_OF(float, int32_t, 8)
SIMD_OF(double, int64_t, 4)
#undef SIMD_OF

#endif

// The lanes' sum, in a fixed order.
template <class T> inline T sum(typename Simd<T>::V v) {
  constexpr int lanes = Simd<T>::lanes;
  T part[lanes];
  Simd<T>::store(part, v);
  for (int width = lanes / 2; width; width /= 2)
    for (int i = 0; i < width; i++)
      part[i] += part[i + width];
  return part[0];
}
