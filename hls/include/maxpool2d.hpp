// 2x2 max-pool that buffers a pixel and a row of horizontal maxima; twin of hls/rtl/maxpool2d.sv.
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

// Stride 2: floor(HEIGHT/2) x floor(WIDTH/2); an odd last row or column is dropped.
template <int HEIGHT, int WIDTH, int FOLDS, int PE, typename TX>
void maxpool2d_stride2(Stream<PE * TX::width>& in, Stream<PE * TX::width>& out) {
    typedef ap_uint<PE * TX::width> Beat;
    Beat pixel[FOLDS];
    Beat row[WIDTH / 2][FOLDS];
    for (int y = 0; y < HEIGHT; ++y) {
        for (int x = 0; x < WIDTH; ++x) {
            for (int fold = 0; fold < FOLDS; ++fold) {
#pragma HLS pipeline style=flp II=1
                const Beat beat = in.read();
                if (x % 2 == 0) {
                    pixel[fold] = beat;
                } else {
                    const Beat pair = larger_elements<TX, PE>(pixel[fold], beat);
                    if (y % 2 == 0) row[x / 2][fold] = pair;
                    else out.write(larger_elements<TX, PE>(row[x / 2][fold], pair));
                }
            }
        }
    }
}

// Stride 1: HEIGHT x WIDTH, padded right and below; padding never wins. One row and one column more than the input
// has pass, in which nothing is read.
template <int HEIGHT, int WIDTH, int FOLDS, int PE, typename TX>
void maxpool2d_stride1(Stream<PE * TX::width>& in, Stream<PE * TX::width>& out) {
    typedef ap_uint<PE * TX::width> Beat;
    Beat pixel[FOLDS];
    Beat row[WIDTH][FOLDS];
    for (int y = 0; y <= HEIGHT; ++y) {
        for (int x = 0; x <= WIDTH; ++x) {
            for (int fold = 0; fold < FOLDS; ++fold) {
#pragma HLS pipeline style=flp II=1
                const bool inside = y < HEIGHT && x < WIDTH;
                Beat beat = 0;
                if (inside) beat = in.read();
                if (x > 0) {
                    const Beat above = row[x - 1][fold];
                    Beat pair = pixel[fold];
                    if (inside) pair = larger_elements<TX, PE>(pair, beat);
                    if (y > 0) out.write(y < HEIGHT ? larger_elements<TX, PE>(above, pair) : above);
                    row[x - 1][fold] = pair;
                }
                pixel[fold] = beat;
            }
        }
    }
}

}  // namespace hwprune

#endif
