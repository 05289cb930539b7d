// SAM neurons (hwprune/sam/neuron.py) on a stream of vectors; twin of hls/rtl/samvau.sv.
//
// Hardware has distances p, n >= 0 with at least one 0 in each group of connections. So every half of a neuron is
// max_i sat(u_i - p_i) on unsigned u, the activation counted from its least value: a minimum is such a maximum on the
// inverted activation. What this leaves out is a constant for each output, `offset`. A neuron with a floor needs no zero
// distance: what saturates is its floor.
#ifndef HWPRUNE_SAMVAU_HPP
#define HWPRUNE_SAMVAU_HPP

#include "stream.hpp"

namespace hwprune {

enum SamForm { SAM_MAXMIN, SAM_DIFFERENCE, SAM_SIGNED };

// max_i sat((u_i << UP) - (q_i << DOWN)) over LANES elements from `first` on; a signed x has its highest bit flipped, and
// INVERT takes the greatest u minus u.
template <typename TX, int UP, int DOWN, int CODE_BITS, int LANES, bool INVERT, int WIDTH, typename TC, int SIMD>
ap_uint<TX::width + UP> sam_extreme(const ap_uint<WIDTH>& beat, const TC (&codes)[SIMD], int first) {
#pragma HLS inline
    typedef ap_uint<TX::width + UP> Half;
    const bool is_signed = TX(-1) < TX(0);
    const ap_uint<TX::width> highest = ap_uint<TX::width>(1) << (TX::width - 1);
    Half best = 0;
    for (int i = 0; i < LANES; ++i) {
#pragma HLS unroll
        ap_uint<TX::width> u = element<ap_uint<TX::width> >(beat, first + i);
        if (is_signed) u ^= highest;
        if (INVERT) u = ~u;
        const Half value = Half(u) << UP;
        const ap_uint<CODE_BITS + DOWN> distance = ap_uint<CODE_BITS + DOWN>(ap_uint<CODE_BITS>(codes[first + i])) << DOWN;
        const Half left = value > distance ? Half(value - distance) : Half(0);
        best = larger(best, left);
    }
    return best;
}

// VECTORS vectors of MW elements TX, MH sums TO each. GROUP connections share an extreme.
//
// p, n      codes of the distances, [MH/PE * MW/SIMD][PE][SIMD]; n is not read in the form SAM_SIGNED.
// minus     1 where a group counts negative, [MH/PE * rows][PE][groups a beat], a row for each beat of groups, or each
//           run of beats with one group; not read unless SIGNS.
// offset    what an output starts from, [MH/PE][PE].
template <SamForm FORM, bool SIGNS, unsigned VECTORS, int MW, int MH, int SIMD, int PE, int GROUP, int SHIFT,
          int CODE_BITS, typename TX, typename TO, typename TC, int RN, int PN, int SN, typename TS, int RS, int PS,
          int GS, typename TB>
void samvau(Stream<SIMD * TX::width>& in, Stream<PE * TO::width>& out,
            const TC (&p)[(MH / PE) * (MW / SIMD)][PE][SIMD], const TC (&n)[RN][PN][SN], const TS (&minus)[RS][PS][GS],
            const TB (&offset)[MH / PE][PE]) {
    static_assert(MW % SIMD == 0 && MH % PE == 0 && MW % GROUP == 0, "folds and groups divide their sizes");
    static_assert(GROUP % SIMD == 0 || SIMD % GROUP == 0, "a beat holds whole groups, or a group whole beats");
    const int UP = SHIFT < 0 ? -SHIFT : 0;
    const int DOWN = SHIFT > 0 ? SHIFT : 0;
    const unsigned IN_FOLDS = MW / SIMD;
    const unsigned OUT_FOLDS = MH / PE;
    const int LANES = GROUP < SIMD ? GROUP : SIMD;
    const int GROUPS = SIMD / LANES;
    const unsigned PARTS = GROUP / LANES;
    typedef ap_uint<TX::width + UP> Half;

#pragma HLS array_reshape variable=p complete dim=3
#pragma HLS array_partition variable=p complete dim=2
#pragma HLS array_reshape variable=n complete dim=3
#pragma HLS array_partition variable=n complete dim=2
#pragma HLS array_reshape variable=minus complete dim=3
#pragma HLS array_partition variable=minus complete dim=2
#pragma HLS array_partition variable=offset complete dim=2

    ap_uint<SIMD * TX::width> vector[IN_FOLDS];  // replayed for every fold of the outputs
    TO sums[PE];
    Half held_p[PE], held_n[PE];  // extremes so far of a group of several beats
#pragma HLS array_partition variable=sums complete
#pragma HLS array_partition variable=held_p complete
#pragma HLS array_partition variable=held_n complete

    unsigned in_fold = 0, out_fold = 0, part = 0, tile = 0, row = 0;
    for (unsigned step = 0; step < VECTORS * OUT_FOLDS * IN_FOLDS; ++step) {
#pragma HLS pipeline style=flp II=1
        ap_uint<SIMD * TX::width> beat;
        if (out_fold == 0) {
            beat = in.read();
            vector[in_fold] = beat;
        } else {
            beat = vector[in_fold];
        }
        ap_uint<PE * TO::width> result = 0;
        for (int pe = 0; pe < PE; ++pe) {
#pragma HLS unroll
            TO sum = in_fold == 0 ? TO(offset[out_fold][pe]) : sums[pe];
            for (int group = 0; group < GROUPS; ++group) {
#pragma HLS unroll
                Half of_p = sam_extreme<TX, UP, DOWN, CODE_BITS, LANES, false>(beat, p[tile][pe], group * LANES);
                Half of_n = 0;
                if (FORM != SAM_SIGNED)
                    of_n = sam_extreme<TX, UP, DOWN, CODE_BITS, LANES, FORM == SAM_MAXMIN>(
                        beat, n[FORM != SAM_SIGNED ? tile : 0][FORM != SAM_SIGNED ? pe : 0], group * LANES);
                if (part != 0) {
                    of_p = larger(of_p, held_p[pe]);
                    of_n = larger(of_n, held_n[pe]);
                }
                held_p[pe] = of_p;
                held_n[pe] = of_n;
                if (part == PARTS - 1) {
                    const ap_int<Half::width + 1> term = of_p - of_n;
                    const bool negative = SIGNS && minus[SIGNS ? row : 0][SIGNS ? pe : 0][SIGNS ? group : 0];
                    sum = negative ? TO(sum - term) : TO(sum + term);
                }
            }
            sums[pe] = sum;
            set_element(result, pe, sum);
        }
        ++tile;
        if (++part == PARTS) {
            part = 0;
            ++row;
        }
        if (++in_fold == IN_FOLDS) {
            in_fold = 0;
            out.write(result);
            if (++out_fold == OUT_FOLDS) {
                out_fold = 0;
                tile = 0;
                row = 0;
            }
        }
    }
}

}  // namespace hwprune

#endif
