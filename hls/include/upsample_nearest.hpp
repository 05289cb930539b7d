// Nearest upsampling by an integer factor; twin of hls/rtl/upsample_nearest.sv.
#ifndef HWPRUNE_UPSAMPLE_NEAREST_HPP
#define HWPRUNE_UPSAMPLE_NEAREST_HPP

#include "stream.hpp"

namespace hwprune {

// HEIGHT x WIDTH pixels of FOLDS beats; each pixel FACTOR times, each row FACTOR times.
template <int HEIGHT, int WIDTH, int FOLDS, int FACTOR, int BITS>
void upsample_nearest(Stream<BITS>& in, Stream<BITS>& out) {
    ap_uint<BITS> row[WIDTH * FOLDS];
    for (int y = 0; y < HEIGHT * FACTOR; ++y) {
        for (int x = 0; x < WIDTH * FACTOR; ++x) {
            for (int fold = 0; fold < FOLDS; ++fold) {
#pragma HLS pipeline style=flp II=1
                const int place = x / FACTOR * FOLDS + fold;
                ap_uint<BITS> beat;
                if (y % FACTOR == 0 && x % FACTOR == 0) {
                    beat = in.read();
                    row[place] = beat;
                } else {
                    beat = row[place];
                }
                out.write(beat);
            }
        }
    }
}

}  // namespace hwprune

#endif
