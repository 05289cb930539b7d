// A queue of DEPTH beats, as FINN's StreamingFIFO.
#ifndef HWPRUNE_FIFO_HPP
#define HWPRUNE_FIFO_HPP

#include "stream.hpp"

namespace hwprune {

template <int BITS, unsigned BEATS> void pass_on(Stream<BITS>& in, Stream<BITS>& out) {
    for (unsigned i = 0; i < BEATS; ++i) {
#pragma HLS pipeline style=flp II=1
        out.write(in.read());
    }
}

// BEATS beats a frame.
template <int BITS, unsigned BEATS, int DEPTH> void fifo(Stream<BITS>& in, Stream<BITS>& out) {
#pragma HLS dataflow
    Stream<BITS> queue("queue");
#pragma HLS stream variable=queue depth=DEPTH
    pass_on<BITS, BEATS>(in, queue);
    pass_on<BITS, BEATS>(queue, out);
}

}  // namespace hwprune

#endif
