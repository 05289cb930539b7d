// One stream to several consumers; twin of hls/rtl/stream_duplicate.sv.
#ifndef HWPRUNE_STREAM_DUPLICATE_HPP
#define HWPRUNE_STREAM_DUPLICATE_HPP

#include "stream.hpp"

namespace hwprune {

template <int BITS> void write_all(const ap_uint<BITS>&) {}

template <int BITS, typename... STREAMS>
void write_all(const ap_uint<BITS>& beat, Stream<BITS>& first, STREAMS&... rest) {
#pragma HLS inline
    first.write(beat);
    write_all<BITS>(beat, rest...);
}

template <unsigned BEATS, int BITS, typename... STREAMS> void stream_duplicate(Stream<BITS>& in, STREAMS&... out) {
    for (unsigned i = 0; i < BEATS; ++i) {
#pragma HLS pipeline style=flp II=1
        write_all<BITS>(in.read(), out...);
    }
}

}  // namespace hwprune

#endif
