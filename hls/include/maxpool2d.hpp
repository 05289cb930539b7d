// Max-pool that buffers pixels and rows of horizontal maxima; twin of hls/rtl/maxpool2d.sv.
#ifndef HWPRUNE_MAXPOOL2D_HPP
#define HWPRUNE_MAXPOOL2D_HPP

#include "stream.hpp"

namespace hwprune {

template <typename TX, int PE> ap_uint<PE * TX::width> larger_elements(
    const ap_uint<PE * TX::width>& a, const ap_uint<PE * TX::width>& b) {
#pragma HLS inline
    ap_uint<PE * TX::width> result = 0;
    for (int i = 0; i < PE; ++i) {
#pragma HLS unroll
        set_element(result, i, larger(element<TX>(a, i), element<TX>(b, i)));
    }
    return result;
}

// The least value of a type in every element: as padding it never wins.
template <typename TX, int PE> ap_uint<PE * TX::width> least_elements() {
#pragma HLS inline
    ap_uint<PE * TX::width> result = 0;
    const bool is_signed = TX(-1) < TX(0);
    for (int i = 0; i < PE; ++i) {
#pragma HLS unroll
        result[(i + 1) * TX::width - 1] = is_signed;
    }
    return result;
}

// Windows of KERNEL x KERNEL pixels, STRIDE apart, of the padded map; what is left over at its end is dropped. The
// padded map passes pixel by pixel, of which the border is not read.
template <int HEIGHT, int WIDTH, int KERNEL, int STRIDE, int TOP, int LEFT, int BOTTOM, int RIGHT, int FOLDS, int PE,
          typename TX>
void maxpool2d(Stream<PE * TX::width>& in, Stream<PE * TX::width>& out) {
    typedef ap_uint<PE * TX::width> Beat;
    static_assert(TOP + HEIGHT + BOTTOM >= KERNEL && LEFT + WIDTH + RIGHT >= KERNEL, "the padded map holds a window");
    const int COLUMNS = (LEFT + WIDTH + RIGHT - KERNEL) / STRIDE + 1;
    const int PRIOR = KERNEL - 1;
    Beat pixels[PRIOR][FOLDS];         // before this one in the row
    Beat rows[PRIOR][COLUMNS][FOLDS];  // horizontal maxima of the rows before
#pragma HLS array_partition variable=pixels complete dim=1
#pragma HLS array_partition variable=rows complete dim=1
    for (int y = 0; y < TOP + HEIGHT + BOTTOM; ++y) {
        for (int x = 0; x < LEFT + WIDTH + RIGHT; ++x) {
            for (int fold = 0; fold < FOLDS; ++fold) {
#pragma HLS pipeline style=flp II=1
                Beat beat = least_elements<TX, PE>();
                if (y >= TOP && y < TOP + HEIGHT && x >= LEFT && x < LEFT + WIDTH) beat = in.read();
                Beat across = beat;
                for (int i = 0; i < PRIOR; ++i) {
#pragma HLS unroll
                    across = larger_elements<TX, PE>(across, pixels[i][fold]);
                    pixels[i][fold] = i + 1 < PRIOR ? pixels[i + 1 < PRIOR ? i + 1 : i][fold] : beat;
                }
                const int column = x - PRIOR, row = y - PRIOR;
                if (column >= 0 && column % STRIDE == 0) {
                    Beat down = across;
                    for (int i = 0; i < PRIOR; ++i) {
#pragma HLS unroll
                        Beat& above = rows[i][column / STRIDE][fold];
                        down = larger_elements<TX, PE>(down, above);
                        above = i + 1 < PRIOR ? rows[i + 1 < PRIOR ? i + 1 : i][column / STRIDE][fold] : across;
                    }
                    if (row >= 0 && row % STRIDE == 0) out.write(down);
                }
            }
        }
    }
}

}  // namespace hwprune

#endif
