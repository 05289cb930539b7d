// Drives many AXI-Stream devices in one model, each port with stalls of its own, and holds the devices to the protocol:
// no output may follow an input within the cycle, and what is offered stays until it is taken.
// Usage: bench FOLDER; job.txt holds "seed N", then "in NAME PERCENT LEAST BURST" or "out NAME PERCENT LEAST BURST BEATS" a line.

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <vector>

#include "Model.h"
#include "verilated.h"

struct Port {
    std::string name;
    CData* valid;
    CData* ready;
    uint8_t* data;
    size_t bytes;
    bool active = false, offered = false, accepted = false;
    unsigned percent = 0, least = 1, burst = 1, pause = 0;
    bool drawn = false;  // the pause before the next beat
    uint64_t beats = 0, expected = 0;
    CData seen = 0;              // the signal the device drives: ready of an input, valid of an output
    std::vector<uint8_t> feed;   // inputs
    std::vector<uint8_t> shown, held;  // outputs: data while probing, data offered in the last cycle
    std::ofstream record;
};

static void add(std::vector<Port>& to, const char* name, CData* valid, CData* ready, void* data, size_t bytes) {
    Port port;
    port.name = name, port.valid = valid, port.ready = ready, port.data = static_cast<uint8_t*>(data), port.bytes = bytes;
    to.push_back(std::move(port));
}

#include "ports.h"  // generated: void ports(Model&, std::vector<Port>& inputs, std::vector<Port>& outputs)

[[noreturn]] static void fail(const std::string& what, uint64_t cycle) {
    std::fprintf(stderr, "cycle %llu: %s\n", static_cast<unsigned long long>(cycle), what.c_str());
    std::exit(3);
}

int main(int, char** argv) {
    const std::string folder = argv[1];
    std::ifstream job(folder + "/job.txt");
    uint64_t seed = 0;
    std::string word;
    job >> word >> seed;
    VerilatedContext context;
    context.randReset(2);  // flip-flops come up at random: reset has to do its work
    context.randSeed(static_cast<int>(seed & 0x7fffffff) | 1);
    std::mt19937_64 random(seed);
    Model model{&context};
    std::vector<Port> inputs, outputs;
    ports(model, inputs, outputs);

    uint64_t missing = 0;
    for (std::string name; job >> word >> name;) {
        for (auto& port : word == "in" ? inputs : outputs) {
            if (port.name != name) continue;
            port.active = true;
            job >> port.percent >> port.least >> port.burst;
            if (word == "in") {
                std::ifstream beats(folder + "/" + name + ".in", std::ios::binary);
                port.feed.assign(std::istreambuf_iterator<char>(beats), {});
                port.expected = port.feed.size() / port.bytes;
            } else {
                job >> port.expected;
            }
            missing += port.expected;
            port.record.open(folder + "/" + name + ".out", std::ios::binary);
        }
    }
    const auto stalls = [&](Port& port) {
        if (!port.drawn && random() % 100 < port.percent)
            port.pause = port.least + static_cast<unsigned>(random() % (port.burst - port.least + 1));
        port.drawn = port.pause > 0;
        return port.pause > 0 && port.pause-- > 0;
    };
    const auto write = [](Port& port, uint64_t cycle) {
        port.record.write(reinterpret_cast<const char*>(&cycle), sizeof cycle);
        port.record.write(reinterpret_cast<const char*>(port.data), static_cast<std::streamsize>(port.bytes));
    };
    const auto probe = [&] {  // nothing offered, nothing wanted
        model.ap_clk = 0;
        for (auto& port : inputs) *port.valid = 0, std::memset(port.data, 0, port.bytes);
        for (auto& port : outputs) *port.ready = 0;
        model.eval();
    };
    const auto rise = [&] {
        model.ap_clk = 1;
        model.eval();
    };

    model.ap_rst_n = 0;
    for (int i = 0; i < 4; ++i) probe(), rise();
    for (auto& port : outputs)
        if (*port.valid) fail(port.name + ": valid in reset", 0);
    model.ap_rst_n = 1;

    uint64_t idle = 0, after = 0;
    for (uint64_t cycle = 0; after < 64; ++cycle) {
        probe();
        for (auto& port : inputs) port.seen = *port.ready;
        for (auto& port : outputs) port.seen = *port.valid, port.shown.assign(port.data, port.data + port.bytes);

        for (auto& port : inputs) {
            if (!port.offered) port.offered = port.active && port.beats < port.expected && !stalls(port);
            *port.valid = port.offered;
            if (port.offered) std::memcpy(port.data, &port.feed[port.beats * port.bytes], port.bytes);
        }
        for (auto& port : outputs) *port.ready = missing == 0 || (port.active && !stalls(port));
        model.eval();

        for (auto& port : inputs)
            if (*port.ready != port.seen) fail(port.name + ": ready follows an input within the cycle", cycle);
        for (auto& port : outputs) {
            if (*port.valid != port.seen || std::memcmp(port.data, port.shown.data(), port.bytes))
                fail(port.name + ": valid or data follows an input within the cycle", cycle);
            if (!port.held.empty() && (!*port.valid || std::memcmp(port.data, port.held.data(), port.bytes)))
                fail(port.name + ": an offered beat was withdrawn or changed", cycle);
            if (*port.valid && !port.active) fail(port.name + ": a beat from nothing", cycle);
            port.held.clear();
        }

        ++idle;
        after += missing == 0;
        for (auto& port : inputs) {
            if (*port.valid && *port.ready) {
                write(port, cycle);
                ++port.beats, --missing, port.offered = false, idle = 0;
            }
        }
        for (auto& port : outputs) {
            if (*port.valid && *port.ready) {
                write(port, cycle);
                missing -= port.beats++ < port.expected, idle = 0;
            } else if (*port.valid) {
                port.held.assign(port.data, port.data + port.bytes);
            }
        }
        if (missing && idle > 5000) {
            for (auto* group : {&outputs, &inputs})
                for (auto& port : *group)
                    if (port.beats < port.expected) fail(port.name + ": stuck", cycle);
        }
        rise();
    }
    model.final();
    return 0;
}
