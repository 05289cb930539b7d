// The windows of a convolution, as FINN's ConvolutionInputGenerator: row by row, pixel by pixel, channels last.
#ifndef HWPRUNE_SLIDING_WINDOW_HPP
#define HWPRUNE_SLIDING_WINDOW_HPP

#include "stream.hpp"

namespace hwprune {

// A window leaves in KERNEL_H * KERNEL_W * FOLDS beats. The rows of a window are read while those that the next row of
// windows needs in addition come in, so the ring holds STRIDE_H rows more than a window reaches over.
template <int HEIGHT, int WIDTH, int KERNEL_H, int KERNEL_W, int STRIDE_H, int STRIDE_W, int DILATION_H, int DILATION_W,
          int FOLDS, int BITS>
void sliding_window(Stream<BITS>& in, Stream<BITS>& out) {
    const int REACH_H = DILATION_H * (KERNEL_H - 1) + 1;
    const int REACH_W = DILATION_W * (KERNEL_W - 1) + 1;
    static_assert(HEIGHT >= REACH_H && WIDTH >= REACH_W, "the feature map holds a window");
    const int ROWS = REACH_H + STRIDE_H;
    const int OUT_H = (HEIGHT - REACH_H) / STRIDE_H + 1;
    const int OUT_W = (WIDTH - REACH_W) / STRIDE_W + 1;
    const int ROW = WIDTH * FOLDS;
    const int FILL = REACH_H * ROW;                                // beats before the first window
    const int EMIT = OUT_W * KERNEL_H * KERNEL_W * FOLDS;          // beats of a row of windows
    const int STEPS = EMIT > STRIDE_H * ROW ? EMIT : STRIDE_H * ROW;

    ap_uint<BITS> ring[ROWS][ROW];
    int row = 0, rows = 0, place = 0;                      // where the next beat is put; `row` in the ring
    int top = 0, left = 0, ky = 0, kx = 0, fold = 0;       // which beat leaves next
    int step = 0;
    for (int i = 0; i < FILL + OUT_H * STEPS; ++i) {
#pragma HLS pipeline style=flp II=1
#pragma HLS dependence variable=ring inter false
        const bool filling = i < FILL;
        if (!filling && step < EMIT) {
            const int below = top + ky * DILATION_H;
            out.write(ring[below < ROWS ? below : below - ROWS][(left + kx * DILATION_W) * FOLDS + fold]);
            if (++fold == FOLDS) {
                fold = 0;
                if (++kx == KERNEL_W) {
                    kx = 0;
                    if (++ky == KERNEL_H) {
                        ky = 0;
                        left += STRIDE_W;
                    }
                }
            }
        }
        if (rows < HEIGHT && (filling || step < STRIDE_H * ROW)) {
            ring[row][place] = in.read();
            if (++place == ROW) {
                place = 0;
                ++rows;
                if (++row == ROWS) row = 0;
            }
        }
        if (!filling && ++step == STEPS) {
            step = 0;
            left = 0;
            top = top + STRIDE_H < ROWS ? top + STRIDE_H : top + STRIDE_H - ROWS;
        }
    }
}

// A window leaves in one beat; a pixel is one beat. Line buffers above a window of registers that the pixels shift
// through.
template <int HEIGHT, int WIDTH, int KERNEL_H, int KERNEL_W, int STRIDE_H, int STRIDE_W, int DILATION_H, int DILATION_W,
          int BITS>
void sliding_window_parallel(Stream<BITS>& in, Stream<KERNEL_H * KERNEL_W * BITS>& out) {
    const int REACH_H = DILATION_H * (KERNEL_H - 1) + 1;
    const int REACH_W = DILATION_W * (KERNEL_W - 1) + 1;
    static_assert(HEIGHT >= REACH_H && WIDTH >= REACH_W, "the feature map holds a window");
    ap_uint<BITS> lines[REACH_H][WIDTH];  // line REACH_H - 1 only passes on
    ap_uint<BITS> window[KERNEL_H][REACH_W];
#pragma HLS array_partition variable=lines complete dim=1
#pragma HLS array_partition variable=window complete dim=0
    for (int y = 0; y < HEIGHT; ++y) {
        for (int x = 0; x < WIDTH; ++x) {
#pragma HLS pipeline style=flp II=1
#pragma HLS dependence variable=lines inter false
            ap_uint<BITS> column[REACH_H];
#pragma HLS array_partition variable=column complete
            for (int row = 0; row < REACH_H - 1; ++row) {
#pragma HLS unroll
                column[row] = lines[row + 1][x];
            }
            column[REACH_H - 1] = in.read();
            for (int row = 0; row < REACH_H; ++row) {
#pragma HLS unroll
                lines[row][x] = column[row];
            }
            ap_uint<KERNEL_H * KERNEL_W * BITS> beat = 0;
            for (int ky = 0; ky < KERNEL_H; ++ky) {
#pragma HLS unroll
                for (int at = 0; at < REACH_W; ++at) {
#pragma HLS unroll
                    window[ky][at] = at + 1 < REACH_W ? window[ky][at + 1 < REACH_W ? at + 1 : at] : column[ky * DILATION_H];
                    if (at % DILATION_W == 0) set_element(beat, ky * KERNEL_W + at / DILATION_W, window[ky][at]);
                }
            }
            const int top = y - (REACH_H - 1), left = x - (REACH_W - 1);
            if (top >= 0 && left >= 0 && top % STRIDE_H == 0 && left % STRIDE_W == 0) out.write(beat);
        }
    }
}

}  // namespace hwprune

#endif
