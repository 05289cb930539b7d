// A design with ports ap_clk, ap_rst_n, rx and tx at the end of a serial line, driven through standard input and output:
//   W count bytes   sends bytes, after those that are still on their way
//   R count         runs until so many bytes have come or none passed for `patience` cycles: count bytes
//   C cycles        runs so many cycles
// Numbers have four bytes, lowest first. It ends with its input.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <memory>
#include <vector>

#include "Vserial_shell.h"
#include "verilated.h"

namespace {

bool read_all(void* to, size_t size) { return std::fread(to, 1, size, stdin) == size; }

class Line {
   public:
    Line(int clocks_per_bit) : clocks_(clocks_per_bit) {
        top_->rx = 1;
        top_->ap_rst_n = 0;
        top_->eval();
        for (int i = 0; i < 16; i++) cycle();
        top_->ap_rst_n = 1;
    }

    void send(uint8_t byte) { waiting_.push_back(byte); }
    bool sending() const { return out_left_ > 0; }
    std::deque<uint8_t>& received() { return received_; }

    void cycle() {
        transmit();
        top_->ap_clk = 1;
        top_->eval();
        top_->ap_clk = 0;
        top_->eval();
        if (top_->ap_rst_n) receive(top_->tx);
    }

   private:
    void transmit() {
        if (out_left_ == 0 && !waiting_.empty()) {
            out_ = 0x200 | waiting_.front() << 1;  // start bit, data, stop bit
            waiting_.pop_front();
            out_left_ = 10 * clocks_;
        }
        if (out_left_ > 0) {
            top_->rx = out_ >> ((10 * clocks_ - out_left_) / clocks_) & 1;
            out_left_--;
        }
    }

    void receive(bool level) {
        if (in_at_ < 0) {
            if (!level) in_at_ = 0, in_ = 0;
            return;
        }
        if (++in_at_ % clocks_ == clocks_ / 2) {
            int bit = in_at_ / clocks_;
            if (bit == 0 && level) std::fprintf(stderr, "a start bit that is too short\n"), std::exit(1);
            if (bit >= 1 && bit <= 8) in_ |= level << (bit - 1);
            if (bit == 9) {
                if (!level) std::fprintf(stderr, "no stop bit\n"), std::exit(1);
                received_.push_back(in_);
                in_at_ = -1;
            }
        }
    }

    std::unique_ptr<Vserial_shell> top_ = std::make_unique<Vserial_shell>();
    std::deque<uint8_t> waiting_, received_;
    const int clocks_;
    int out_ = 0, out_left_ = 0, in_ = 0, in_at_ = -1;
};

}  // namespace

int main(int argc, char** argv) {
    if (argc != 3) return 2;
    Line line(std::atoi(argv[1]));
    const long patience = std::atol(argv[2]);
    char command;
    uint32_t count;
    while (read_all(&command, 1) && read_all(&count, 4)) {
        if (command == 'W') {
            std::vector<uint8_t> bytes(count);
            if (!read_all(bytes.data(), count)) break;
            for (uint8_t byte : bytes) line.send(byte);
        } else if (command == 'C') {
            for (uint32_t i = 0; i < count; i++) line.cycle();
        } else {
            size_t before = line.received().size();
            for (long idle = 0; line.received().size() < count && idle < patience; idle++) {
                line.cycle();
                if (line.sending()) idle = 0;
                if (line.received().size() != before) before = line.received().size(), idle = 0;
            }
            auto& have = line.received();
            uint32_t given = have.size() < count ? have.size() : count;
            std::fwrite(&given, 1, 4, stdout);
            for (uint32_t i = 0; i < given; i++) std::fputc(have.front(), stdout), have.pop_front();
            std::fflush(stdout);
        }
    }
    return 0;
}
