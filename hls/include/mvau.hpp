// Matrix-vector product on a stream of vectors, as FINN's MVAU_rtl has it: weights on the chip, no activation.
#ifndef HWPRUNE_MVAU_HPP
#define HWPRUNE_MVAU_HPP

#include "stream.hpp"

namespace hwprune {

// VECTORS vectors of MW elements TX, MH sums TO each; weights [MH/PE * MW/SIMD][PE][SIMD].
template <unsigned VECTORS, int MW, int MH, int SIMD, int PE, typename TX, typename TW, typename TO, typename TC>
void mvau(Stream<SIMD * TX::width>& in, Stream<PE * TO::width>& out,
          const TC (&weights)[(MH / PE) * (MW / SIMD)][PE][SIMD]) {
    static_assert(MW % SIMD == 0 && MH % PE == 0, "folds divide their sizes");
    const unsigned IN_FOLDS = MW / SIMD;
    const unsigned OUT_FOLDS = MH / PE;
#pragma HLS array_reshape variable=weights complete dim=3
#pragma HLS array_partition variable=weights complete dim=2

    ap_uint<SIMD * TX::width> vector[IN_FOLDS];  // replayed for every fold of the outputs
    TO sums[PE];
#pragma HLS array_partition variable=sums complete

    unsigned in_fold = 0, out_fold = 0, tile = 0;
    for (unsigned step = 0; step < VECTORS * OUT_FOLDS * IN_FOLDS; ++step) {
#pragma HLS pipeline style=flp II=1
        ap_uint<SIMD * TX::width> beat;
        if (out_fold == 0) {
            beat = in.read();
            vector[in_fold] = beat;
        } else {
            beat = vector[in_fold];
        }
        TX x[SIMD];
#pragma HLS array_partition variable=x complete
        for (int i = 0; i < SIMD; ++i) {
#pragma HLS unroll
            x[i] = element<TX>(beat, i);
        }
        ap_uint<PE * TO::width> result = 0;
        for (int pe = 0; pe < PE; ++pe) {
#pragma HLS unroll
            TO sum = in_fold == 0 ? TO(0) : sums[pe];
            for (int i = 0; i < SIMD; ++i) {
#pragma HLS unroll
                sum += x[i] * TW(weights[tile][pe][i]);
            }
            sums[pe] = sum;
            set_element(result, pe, sum);
        }
        ++tile;
        if (++in_fold == IN_FOLDS) {
            in_fold = 0;
            out.write(result);
            if (++out_fold == OUT_FOLDS) {
                out_fold = 0;
                tile = 0;
            }
        }
    }
}

}  // namespace hwprune

#endif
