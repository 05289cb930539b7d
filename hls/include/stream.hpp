// What the operators share: the elements of a beat, and tables of constants.
#ifndef HWPRUNE_STREAM_HPP
#define HWPRUNE_STREAM_HPP

#include <ap_int.h>
#include <hls_stream.h>

namespace hwprune {

template <int WIDTH> using Stream = hls::stream<ap_uint<WIDTH> >;

// An element of a beat; element 0 lies in the lowest bits. T is ap_uint or ap_int.
template <typename T, int WIDTH> T element(const ap_uint<WIDTH>& beat, int index) {
#pragma HLS inline
    static_assert(WIDTH % T::width == 0, "a beat holds whole elements");
    const ap_uint<T::width> bits = beat.range((index + 1) * T::width - 1, index * T::width);
    return T(bits);
}

template <typename T, int WIDTH> void set_element(ap_uint<WIDTH>& beat, int index, const T& value) {
#pragma HLS inline
    static_assert(WIDTH % T::width == 0, "a beat holds whole elements");
    beat.range((index + 1) * T::width - 1, index * T::width) = ap_uint<T::width>(value);
}

// Element type of a table: as wide as its values in hardware. In simulation a plain integer, for g++ would run one
// constructor for each entry of an array of ap_int: minutes for the weights of one layer.
template <int BITS, bool SIGNED> struct Constant;
#ifdef __SYNTHESIS__
template <int BITS> struct Constant<BITS, false> { typedef ap_uint<BITS> type; };
template <int BITS> struct Constant<BITS, true> { typedef ap_int<BITS> type; };
#else
template <int BITS> struct Constant<BITS, false> {
    typedef typename Constant<(BITS > 32 ? 64 : BITS > 16 ? 32 : BITS > 8 ? 16 : 8), false>::type type;
};
template <int BITS> struct Constant<BITS, true> {
    typedef typename Constant<(BITS > 32 ? 64 : BITS > 16 ? 32 : BITS > 8 ? 16 : 8), true>::type type;
};
template <> struct Constant<8, false> { typedef unsigned char type; };
template <> struct Constant<16, false> { typedef unsigned short type; };
template <> struct Constant<32, false> { typedef unsigned int type; };
template <> struct Constant<64, false> { typedef unsigned long long type; };
template <> struct Constant<8, true> { typedef signed char type; };
template <> struct Constant<16, true> { typedef short type; };
template <> struct Constant<32, true> { typedef int type; };
template <> struct Constant<64, true> { typedef long long type; };
#endif

template <typename T> T larger(const T& a, const T& b) {
#pragma HLS inline
    return a < b ? b : a;
}

}  // namespace hwprune

#endif
