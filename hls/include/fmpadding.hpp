// Zeros around a feature map, as FINN's FMPadding.
#ifndef HWPRUNE_FMPADDING_HPP
#define HWPRUNE_FMPADDING_HPP

#include "stream.hpp"

namespace hwprune {

// HEIGHT x WIDTH pixels of FOLDS beats with BITS bits each.
template <int HEIGHT, int WIDTH, int TOP, int LEFT, int BOTTOM, int RIGHT, int FOLDS, int BITS>
void fmpadding(Stream<BITS>& in, Stream<BITS>& out) {
    for (int y = -TOP; y < HEIGHT + BOTTOM; ++y) {
        for (int x = -LEFT; x < WIDTH + RIGHT; ++x) {
            for (int fold = 0; fold < FOLDS; ++fold) {
#pragma HLS pipeline style=flp II=1
                const bool inside = 0 <= y && y < HEIGHT && 0 <= x && x < WIDTH;
                out.write(inside ? in.read() : ap_uint<BITS>(0));
            }
        }
    }
}

}  // namespace hwprune

#endif
