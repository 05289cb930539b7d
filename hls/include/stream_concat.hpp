// Concatenation over channels; twin of hls/rtl/stream_concat.sv. Inputs may differ in width and sign.
#ifndef HWPRUNE_STREAM_CONCAT_HPP
#define HWPRUNE_STREAM_CONCAT_HPP

#include "stream.hpp"

namespace hwprune {

// An input: its elements, and its beats a pixel.
template <typename T, int FOLDS_> struct Part {
    typedef T Element;
    static const int FOLDS = FOLDS_;
};

// The input whose turn it is at a fold of the output.
template <typename TO, int SIMD, typename... PARTS> struct Turn {
    static const int FOLDS = 0;
    static ap_uint<SIMD * TO::width> take(int) { return 0; }
};

template <typename TO, int SIMD, typename PART, typename... PARTS> struct Turn<TO, SIMD, PART, PARTS...> {
    typedef Turn<TO, SIMD, PARTS...> Rest;
    typedef typename PART::Element TX;
    static const int FOLDS = PART::FOLDS + Rest::FOLDS;

    template <typename... STREAMS>
    static ap_uint<SIMD * TO::width> take(int fold, Stream<SIMD * TX::width>& first, STREAMS&... rest) {
#pragma HLS inline
        if (fold >= PART::FOLDS) return Rest::take(fold - PART::FOLDS, rest...);
        const ap_uint<SIMD * TX::width> beat = first.read();
        ap_uint<SIMD * TO::width> result = 0;
        for (int i = 0; i < SIMD; ++i) {
#pragma HLS unroll
            set_element(result, i, TO(element<TX>(beat, i)));
        }
        return result;
    }
};

// PIXELS pixels; `in` in the order of PARTS.
template <unsigned PIXELS, int SIMD, typename TO, typename... PARTS, typename... STREAMS>
void stream_concat(Stream<SIMD * TO::width>& out, Turn<TO, SIMD, PARTS...>, STREAMS&... in) {
    for (unsigned pixel = 0; pixel < PIXELS; ++pixel) {
        for (int fold = 0; fold < Turn<TO, SIMD, PARTS...>::FOLDS; ++fold) {
#pragma HLS pipeline style=flp II=1
            out.write(Turn<TO, SIMD, PARTS...>::take(fold, in...));
        }
    }
}

}  // namespace hwprune

#endif
