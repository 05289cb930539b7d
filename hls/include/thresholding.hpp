// Multi-step activation, as FINN's Thresholding: how many of a channel's thresholds a value reaches, plus a constant.
#ifndef HWPRUNE_THRESHOLDING_HPP
#define HWPRUNE_THRESHOLDING_HPP

#include "stream.hpp"

namespace hwprune {

// VECTORS vectors of FOLDS beats with PE channels; thresholds [FOLDS][PE][STEPS] of type TT, ascending.
template <unsigned VECTORS, int FOLDS, int PE, int STEPS, int FIRST, typename TX, typename TT, typename TO, typename TC>
void thresholding(Stream<PE * TX::width>& in, Stream<PE * TO::width>& out, const TC (&thresholds)[FOLDS][PE][STEPS]) {
#pragma HLS array_partition variable=thresholds complete dim=3
#pragma HLS array_partition variable=thresholds complete dim=2
    unsigned fold = 0;
    for (unsigned beat = 0; beat < VECTORS * FOLDS; ++beat) {
#pragma HLS pipeline style=flp II=1
        const ap_uint<PE * TX::width> values = in.read();
        ap_uint<PE * TO::width> codes = 0;
        for (int pe = 0; pe < PE; ++pe) {
#pragma HLS unroll
            const TX value = element<TX>(values, pe);
            TO code = FIRST;
            for (int step = 0; step < STEPS; ++step) {
#pragma HLS unroll
                if (value >= TT(thresholds[fold][pe][step])) ++code;
            }
            set_element(codes, pe, code);
        }
        out.write(codes);
        if (++fold == FOLDS) fold = 0;
    }
}

}  // namespace hwprune

#endif
