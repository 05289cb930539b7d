// Runs the operators of a graph in HLS C++, frame by frame: each one to its end, on queues without limit.
//
// Usage: csim JOB FRAMES   (a folder with one NAME.in per input; NAME.out of each stream is written there)
//
// graph.hpp is generated for each graph by hwprune/sim/csim_build.py: it declares the operators' top functions and
// runs them in the order of the data flow. Beats are kept in whole bytes, lowest first.

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <string>
#include <vector>

#include <ap_int.h>
#include <hls_stream.h>

[[noreturn]] static void fail(const std::string& message) {
    std::fflush(stdout);
    std::fprintf(stderr, "harness: %s\n", message.c_str());
    std::exit(2);
}

class Run {
  public:
    explicit Run(const std::string& folder) : folder_(folder) {}

    // A frame of an input.
    template <int BITS> void feed(hls::stream<ap_uint<BITS> >& stream, const char* name, size_t beats) {
        std::FILE* file = open(name, ".in", "rb");
        std::vector<uint8_t> bytes((BITS + 7) / 8 * beats);
        if (std::fread(bytes.data(), 1, bytes.size(), file) != bytes.size()) fail(std::string(name) + ".in is too short");
        for (size_t at = 0; at < bytes.size(); at += (BITS + 7) / 8) stream.write(beat<BITS>(&bytes[at]));
    }

    // The beats that lie in a stream; they stay there. False unless they are a whole frame.
    template <int BITS> bool record(hls::stream<ap_uint<BITS> >& stream, const char* name, size_t beats) {
        std::FILE* file = open(name, ".out", "wb");
        const size_t found = stream.size();
        std::vector<uint8_t> bytes((BITS + 7) / 8 * found);
        for (size_t at = 0; at < bytes.size(); at += (BITS + 7) / 8) {
            const ap_uint<BITS> value = stream.read();
            for (int bit = 0; bit < BITS; bit += 8)
                bytes[at + bit / 8] = (uint8_t)value.range(bit + 7 < BITS ? bit + 7 : BITS - 1, bit).to_uint();
            stream.write(value);
        }
        if (std::fwrite(bytes.data(), 1, bytes.size(), file) != bytes.size())
            fail("cannot write " + std::string(name) + ".out (disk full?)");
        return found == beats;
    }

    // After an operator has run: it has read its input to the end.
    template <int BITS> void emptied(hls::stream<ap_uint<BITS> >& stream, const char* reader) {
        if (!stream.empty())
            fail(std::string(reader) + " leaves " + std::to_string(stream.size()) + " beats of a frame unread");
    }

    template <int BITS> void drop(hls::stream<ap_uint<BITS> >& stream) {
        while (!stream.empty()) stream.read();
    }

    void close() {
        for (auto& file : files_)
            if (std::fclose(file.second) != 0) fail("cannot write " + file.first + " (disk full?)");
    }

  private:
    template <int BITS> static ap_uint<BITS> beat(const uint8_t* bytes) {
        ap_uint<BITS> value = 0;
        for (int bit = 0; bit < BITS; bit += 8)
            value.range(bit + 7 < BITS ? bit + 7 : BITS - 1, bit) = ap_uint<8>(bytes[bit / 8]);
        return value;
    }

    std::FILE* open(const char* name, const char* suffix, const char* mode) {
        std::FILE*& file = files_[std::string(name) + suffix];
        if (!file) file = std::fopen((folder_ + "/" + name + suffix).c_str(), mode);
        if (!file) fail("cannot open " + folder_ + "/" + name + suffix);
        return file;
    }

    std::string folder_;
    std::map<std::string, std::FILE*> files_;
};

static void ran() {
    std::fputs(".\n", stdout);
    std::fflush(stdout);
}

#include "graph.hpp"

int main(int argc, char** argv) {
    if (argc != 3) fail("usage: csim JOB FRAMES");
    Run run(argv[1]);
    for (long frame = 0, frames = std::atol(argv[2]); frame < frames; ++frame)
        if (!run_frame(run)) break;
    run.close();
    return 0;
}
