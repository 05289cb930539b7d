// Runs a Verilated design with AXI-Stream ports: feeds beats, collects beats, samples inner streams.
//
// Usage: simulator JOB   (a folder with job.txt and one NAME.in per input; the answer is written there)
//
// design.h is generated for each design by hwprune/sim/verilator.py: it names the model class and hands the addresses
// of ports and public wires to Design. Verilator keeps a value in 1, 2, 4, 8 or 4*n bytes, lowest first on the hosts
// supported here, so the bytes of a beat are copied straight from and to those addresses.

#include <bit>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <vector>

#include "verilated.h"

static_assert(std::endian::native == std::endian::little, "beats are copied as little-endian bytes");

[[noreturn]] static void fail(const std::string& message) {
    std::fflush(stdout);
    std::fprintf(stderr, "harness: %s\n", message.c_str());
    std::exit(2);
}

// Records of one stream: the cycle in 8 bytes, then the beat.
class Recorder {
  public:
    void open(const std::string& path) {
        path_ = path;
        file_.reset(std::fopen(path.c_str(), "wb"));
        if (!file_) fail("cannot write " + path);
    }
    explicit operator bool() const { return file_ != nullptr; }
    void write(uint64_t cycle, const void* data, size_t bytes) {
        if (std::fwrite(&cycle, sizeof cycle, 1, file_.get()) != 1 ||
            (bytes && std::fwrite(data, bytes, 1, file_.get()) != 1))
            fail("cannot write " + path_ + " (disk full?)");
    }
    void close() {
        if (file_ && std::fclose(file_.release()) != 0) fail("cannot write " + path_ + " (disk full?)");
    }

  private:
    struct Closer {
        void operator()(std::FILE* file) const { std::fclose(file); }
    };
    std::string path_;
    std::unique_ptr<std::FILE, Closer> file_;
};

struct Stream {
    std::string name;
    CData* valid;
    CData* ready;
    void* data;
    size_t bytes;
    uint64_t beats = 0;     // accepted so far
    uint64_t expected = 0;  // inputs: to feed, outputs: awaited
    bool accepted = false;  // inputs: at the last rising edge
    std::vector<uint8_t> feed;
    Recorder recorder;
};

struct Monitor {
    std::string name;
    const void* data;
    size_t bytes;
};

struct Design {
    CData* clock = nullptr;
    CData* reset_n = nullptr;
    std::vector<Stream> inputs, outputs, taps;
    std::vector<Monitor> monitors;
    static Stream stream(const char* name, CData* valid, CData* ready, void* data, size_t bytes) {
        Stream made;
        made.name = name;
        made.valid = valid;
        made.ready = ready;
        made.data = data;
        made.bytes = bytes;
        return made;
    }
};

#include "design.h"

// Whether a port (inputs first, then outputs) stalls in a cycle: splitmix64 of a counter, so that a cycle's answer needs
// no other cycle's. hwprune/sim/cycle/stalls.py has the same function.
static bool stalled(unsigned percent, uint64_t seed, uint64_t port, uint64_t cycle) {
    if (percent == 0) return false;
    uint64_t z = seed * 0xBF58476D1CE4E5B9u + (port + 1) * 0xD1B54A32D192ED03u + (cycle + 1) * 0x9E3779B97F4A7C15u;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    z ^= z >> 31;
    return (z >> 32) * 100 < uint64_t{percent} << 32;
}

struct Job {
    unsigned stall_percent = 0;
    uint64_t seed = 0;
    uint64_t idle_limit = 0;
};

static Stream& find(std::vector<Stream>& streams, const std::string& name) {
    for (auto& stream : streams)
        if (stream.name == name) return stream;
    fail("no stream " + name);
}

static Job read_job(const std::string& folder, Design& design) {
    std::ifstream file(folder + "/job.txt");
    if (!file) fail("cannot read " + folder + "/job.txt");
    Job job;
    for (std::string key; file >> key;) {
        if (key == "stall_percent") file >> job.stall_percent;
        else if (key == "seed") file >> job.seed;
        else if (key == "idle_limit") file >> job.idle_limit;
        else {
            std::string name;
            file >> name;
            const std::string path = folder + "/" + name;
            if (key == "input") {
                auto& stream = find(design.inputs, name);
                std::ifstream beats(path + ".in", std::ios::binary);
                if (!beats) fail("cannot read " + path + ".in");
                stream.feed.assign(std::istreambuf_iterator<char>(beats), {});
                stream.expected = stream.feed.size() / stream.bytes;
                stream.recorder.open(path + ".out");
            } else if (key == "output") {
                auto& stream = find(design.outputs, name);
                file >> stream.expected;
                stream.recorder.open(path + ".out");
            } else if (key == "tap") {
                find(design.taps, name).recorder.open(path + ".out");
            } else fail("unknown word in job.txt: " + key);
        }
    }
    return job;
}

int main(int argc, char** argv) {
    if (argc != 2) fail("usage: simulator JOB");
    const std::string folder = argv[1];
    VerilatedContext context;
    Model model{&context};
    Design design;
    describe(model, design);
    const Job job = read_job(folder, design);

    for (auto& stream : design.inputs) *stream.valid = 0;
    for (auto& stream : design.outputs) *stream.ready = 0;
    *design.reset_n = 0;
    for (int i = 0; i < 16; ++i) {
        *design.clock = 0;
        model.eval();
        *design.clock = 1;
        model.eval();
    }
    *design.reset_n = 1;

    uint64_t total = 0, done = 0, shown = 0;  // beats at the ports, for the progress lines
    for (auto& stream : design.inputs) total += stream.expected;
    uint64_t missing = 0;
    for (auto& stream : design.outputs) missing += stream.expected;
    total += missing;

    uint64_t cycle = 0, idle = 0;
    bool finished = missing == 0, surplus = false;
    const auto drive = [&](unsigned stall_percent) {
        uint64_t port = 0;
        const auto free = [&] { return !stalled(stall_percent, job.seed, port++, cycle); };
        for (auto& stream : design.inputs) {
            const bool may = free();
            // Once raised, valid stays until the beat is accepted.
            if (stream.accepted) *stream.valid = 0;
            if (!*stream.valid && stream.beats < stream.expected && may) {
                std::memcpy(stream.data, &stream.feed[stream.beats * stream.bytes], stream.bytes);
                *stream.valid = 1;
            }
        }
        for (auto& stream : design.outputs) *stream.ready = free();
        *design.clock = 0;
        model.eval();
    };
    while (!finished && !surplus && idle < job.idle_limit && !context.gotFinish()) {
        drive(job.stall_percent);
        ++idle;
        for (auto& stream : design.taps) {
            if (*stream.valid & *stream.ready) {
                ++stream.beats;
                idle = 0;
                if (stream.recorder) stream.recorder.write(cycle, stream.data, stream.bytes);
            }
        }
        for (auto& stream : design.inputs) {
            stream.accepted = *stream.valid & *stream.ready;
            if (stream.accepted) {
                ++stream.beats;
                ++done;
                idle = 0;
                stream.recorder.write(cycle, nullptr, 0);
            }
        }
        for (auto& stream : design.outputs) {
            if (*stream.valid & *stream.ready) {
                stream.recorder.write(cycle, stream.data, stream.bytes);
                idle = 0;
                if (stream.beats++ < stream.expected) {
                    ++done;
                    finished = --missing == 0;
                } else surplus |= stream.beats - stream.expected > job.idle_limit;
            }
        }
        *design.clock = 1;
        model.eval();
        ++cycle;
        for (; (shown + 1) * total <= done * 100; ++shown) {
            std::fputs(".\n", stdout);
            std::fflush(stdout);
        }
    }
    drive(0);  // settle, with nothing held back from outside, to see who waits for whom

    std::ofstream answer(folder + "/answer.txt");
    answer << "cycles " << cycle << "\nfinished " << finished << "\n";
    for (auto* streams : {&design.inputs, &design.outputs, &design.taps})
        for (auto& stream : *streams) {
            stream.recorder.close();
            answer << "stream " << stream.name << " " << stream.beats << " " << int{*stream.valid} << " "
                   << int{*stream.ready} << "\n";
        }
    for (auto& monitor : design.monitors) {
        uint64_t value = 0;
        std::memcpy(&value, monitor.data, monitor.bytes);
        answer << "monitor " << monitor.name << " " << value << "\n";
    }
    answer.close();
    if (!answer) fail("cannot write " + folder + "/answer.txt (disk full?)");
    model.final();
    return 0;
}
