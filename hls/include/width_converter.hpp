// Beats of another width, as FINN's StreamingDataWidthConverter: the bits of a frame stay in their order.
#ifndef HWPRUNE_WIDTH_CONVERTER_HPP
#define HWPRUNE_WIDTH_CONVERTER_HPP

#include "stream.hpp"

namespace hwprune {

constexpr int common_divisor(int a, int b) { return b == 0 ? a : common_divisor(b, a % b); }

// RATIO beats become one.
template <int IN_BITS, int RATIO, unsigned OUT_BEATS>
void join_beats(Stream<IN_BITS>& in, Stream<RATIO * IN_BITS>& out) {
    ap_uint<RATIO * IN_BITS> word = 0;
    for (unsigned i = 0; i < OUT_BEATS; ++i) {
        for (int k = 0; k < RATIO; ++k) {
#pragma HLS pipeline style=flp II=1
            set_element(word, k, in.read());
            if (k == RATIO - 1) out.write(word);
        }
    }
}

// One beat becomes RATIO.
template <int OUT_BITS, int RATIO, unsigned IN_BEATS>
void split_beats(Stream<RATIO * OUT_BITS>& in, Stream<OUT_BITS>& out) {
    ap_uint<RATIO * OUT_BITS> word = 0;
    for (unsigned i = 0; i < IN_BEATS; ++i) {
        for (int k = 0; k < RATIO; ++k) {
#pragma HLS pipeline style=flp II=1
            if (k == 0) word = in.read();
            out.write(element<ap_uint<OUT_BITS> >(word, k));
        }
    }
}

// Through the least common multiple of both widths, which a frame of IN_BEATS beats fills a whole number of times.
template <int IN_BITS, int OUT_BITS, unsigned IN_BEATS>
void width_converter(Stream<IN_BITS>& in, Stream<OUT_BITS>& out) {
#pragma HLS dataflow
    const int JOINED = OUT_BITS / common_divisor(IN_BITS, OUT_BITS);
    const int SPLIT = IN_BITS / common_divisor(IN_BITS, OUT_BITS);
    static_assert(IN_BEATS % JOINED == 0, "a frame is whole in both widths");
    Stream<JOINED * IN_BITS> between("between");
#pragma HLS stream variable=between depth=2
    join_beats<IN_BITS, JOINED, IN_BEATS / JOINED>(in, between);
    split_beats<OUT_BITS, SPLIT, IN_BEATS / JOINED>(between, out);
}

}  // namespace hwprune

#endif
