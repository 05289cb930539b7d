// Matrix-vector unit with its weights inside: MW activations a vector in beats of SIMD, MH sums in beats of PE, one beat of
// products a cycle. Products are made in DSP slices, several in each (dsp_chain), or in LUTs (DSP = 0, lut_products).
//
//     beats -> vector_replay -> products -> adder_tree -> sum -> output
//                     rom    ->                           BIAS
//
// Everything behind the replay moves with `enable`, which depends on flip-flops only; a beat that waits at the output stops it.
// The ROM's word of beat b of fold f is word f * MW/SIMD + b: the weights of PE outputs, of SIMD inputs each, the first lowest.
// All numbers inside are unsigned; a signed activation has its highest bit flipped. What that adds to the sums, and what
// dsp_chain adds, BIAS takes away.
module mvau #(
    parameter int unsigned MW       = 8,
    parameter int unsigned MH       = 2,
    parameter int unsigned SIMD     = 4,
    parameter int unsigned PE       = 1,
    parameter int unsigned X_BITS   = 4,
    parameter bit          X_SIGNED = 0,
    parameter int unsigned W_BITS   = 4,
    parameter int unsigned OUT_BITS = 12,
    parameter              WEIGHTS  = "",  // file of the ROM's words
    parameter bit          BLOCK    = 0,   // the ROM is in block RAM
    parameter bit          DSP      = 1,
    parameter int unsigned LANES    = 1,   // outputs that share a DSP slice
    parameter int unsigned STEP     = 12,  // bits from lane to lane
    parameter int unsigned CHAIN    = 4,   // inputs that are summed up inside of DSP slices

    parameter logic [(PE > 0 ? MH/PE : 1)-1:0][PE-1:0][OUT_BITS-1:0] BIAS = '0
) (
    input  logic                         ap_clk,
    input  logic                         ap_rst_n,

    input  logic [SIMD-1:0][X_BITS-1:0]  in_tdata,
    input  logic                         in_tvalid,
    output logic                         in_tready,

    output logic [PE-1:0][OUT_BITS-1:0]  out_tdata,
    output logic                         out_tvalid,
    input  logic                         out_tready
);

    if (SIMD < 1 || MW < 1 || MW % SIMD != 0) begin : g_check_simd
        $error("mvau: SIMD=%0d does not divide MW=%0d", SIMD, MW);
    end
    if (PE < 1 || MH < 1 || MH % PE != 0) begin : g_check_pe
        $error("mvau: PE=%0d does not divide MH=%0d", PE, MH);
    end
    if (X_BITS < 1 || W_BITS < 2 || OUT_BITS < 1) begin : g_check_bits
        $error("mvau: X_BITS=%0d and OUT_BITS=%0d have to be at least 1, W_BITS=%0d at least 2", X_BITS, OUT_BITS, W_BITS);
    end
    if (LANES < 1 || LANES > PE || CHAIN < 1 || CHAIN > SIMD) begin : g_check_packing
        $error("mvau: LANES=%0d has to be 1 to PE=%0d, CHAIN=%0d 1 to SIMD=%0d", LANES, PE, CHAIN, SIMD);
    end

    localparam int unsigned BEATS = MW / SIMD;
    localparam int unsigned FOLDS = MH / PE;

    localparam int unsigned CHAINS    = DSP ? (SIMD + CHAIN - 1) / CHAIN : 1;  // of each output
    localparam int unsigned LANE_BITS = DSP ? $clog2(CHAIN * ((1 << W_BITS) - 1) * ((1 << X_BITS) - 1) + 1) : OUT_BITS;
    localparam int unsigned FETCH     = BLOCK ? 2 : 1;
    localparam int unsigned PAIRS     = (SIMD + 1) / 2;
    localparam int unsigned PRODUCTS  = DSP ? CHAIN + 2 : $clog2(PAIRS) + $clog2(W_BITS) + 1;  // cycles
    localparam int unsigned TREE      = $clog2(CHAINS);

    // ---- Control
    logic sum_valid, room;
    wire  enable = !sum_valid || room;

    logic fetch;
    logic [SIMD-1:0][X_BITS-1:0] fetched, x;

    vector_replay #(
        .BEATS (BEATS),
        .PASSES(FOLDS),
        .WIDTH (SIMD * X_BITS)
    ) replay (
        .ap_clk   (ap_clk),
        .ap_rst_n (ap_rst_n),
        .in_tdata (in_tdata),
        .in_tvalid(in_tvalid),
        .in_tready(in_tready),
        .enable   (enable),
        .fetch    (fetch),
        .word     (fetched)
    );

    delay_line #(
        .WIDTH (SIMD * X_BITS),
        .CYCLES(FETCH - 1)
    ) beside_rom (
        .ap_clk(ap_clk),
        .enable(enable),
        .in    (fetched),
        .out   (x)
    );

    // ---- Weights
    localparam int unsigned DEPTH     = BEATS * FOLDS;
    localparam int unsigned ADDR_BITS = DEPTH > 1 ? $clog2(DEPTH) : 1;

    logic [ADDR_BITS-1:0]                    addr;
    logic [PE-1:0][SIMD-1:0][W_BITS-1:0]     weights;

    always_ff @(posedge ap_clk) begin
        if (!ap_rst_n) addr <= '0;
        else if (fetch) addr <= addr == ADDR_BITS'(DEPTH - 1) ? '0 : addr + 1'b1;
    end

    rom #(
        .DEPTH(DEPTH),
        .WIDTH(PE * SIMD * W_BITS),
        .FILE (WEIGHTS),
        .BLOCK(BLOCK)
    ) weight_rom (
        .ap_clk(ap_clk),
        .enable(enable),
        .addr  (addr),
        .word  (weights)
    );

    // ---- Valid bits up to the sum, and which beat of which fold is summed up
    localparam int unsigned STEP_BITS = BEATS > 1 ? $clog2(BEATS) : 1;
    localparam int unsigned FOLD_BITS = FOLDS > 1 ? $clog2(FOLDS) : 1;

    logic [FETCH+PRODUCTS+TREE-1:0] valid;
    logic [STEP_BITS-1:0]           beat;
    logic [FOLD_BITS-1:0]           fold;

    wire term_valid = valid[$high(valid)];
    wire last       = beat == STEP_BITS'(BEATS - 1);

    always_ff @(posedge ap_clk) begin
        if (!ap_rst_n) begin
            valid     <= '0;
            beat      <= '0;
            fold      <= '0;
            sum_valid <= 1'b0;
        end else if (enable) begin
            valid     <= {valid[$high(valid)-1:0], fetch};
            sum_valid <= term_valid && last;
            if (term_valid) begin
                beat <= last ? '0 : beat + 1'b1;
                if (last) fold <= fold == FOLD_BITS'(FOLDS - 1) ? '0 : fold + 1'b1;
            end
        end
    end

    // ---- Products
    logic [SIMD-1:0][X_BITS-1:0] u;
    for (genvar i = 0; i < SIMD; i++) begin : g_unsigned
        assign u[i] = X_SIGNED ? x[i] ^ (X_BITS'(1) << (X_BITS - 1)) : x[i];
    end

    logic [PE-1:0][CHAINS-1:0][LANE_BITS-1:0] part;

    if (DSP) begin : g_dsp
        localparam int unsigned GROUPS = (PE + LANES - 1) / LANES;

        for (genvar c = 0; c < CHAINS; c++) begin : g_chain
            localparam int unsigned FROM = c * CHAIN;
            localparam int unsigned N    = SIMD - FROM < CHAIN ? SIMD - FROM : CHAIN;
            localparam int unsigned LATE = CHAIN - N;

            // Lanes with 2**(W_BITS-1) added to each weight have as many times the activations too much. A constant that is more
            // than that keeps the difference from being negative: BIAS takes it away.
            localparam logic [LANE_BITS-1:0] MOST = LANE_BITS'(CHAIN * ((1 << X_BITS) - 1)) << (W_BITS - 1);

            logic [X_BITS+$clog2(CHAIN)-1:0] total, total_now;
            logic [LANE_BITS-1:0]            less, less_then;

            always_comb begin
                total_now = '0;
                for (int unsigned i = 0; i < N; i++) total_now += ($bits(total_now))'(u[FROM+i]);
            end

            always_ff @(posedge ap_clk) begin
                if (enable) begin
                    total <= total_now;
                    less  <= MOST - (LANE_BITS'(total) << (W_BITS - 1));
                end
            end

            delay_line #(
                .WIDTH (LANE_BITS),
                .CYCLES(LATE)
            ) late (
                .ap_clk(ap_clk),
                .enable(enable),
                .in    (less),
                .out   (less_then)
            );

            for (genvar g = 0; g < GROUPS; g++) begin : g_group
                localparam int unsigned OF = PE - g * LANES < LANES ? PE - g * LANES : LANES;

                logic [OF-1:0][N-1:0][W_BITS-1:0] w;
                logic [OF-1:0][LANE_BITS-1:0]     sum;
                logic [(OF-1)*STEP+LANE_BITS-1:0] offset;

                for (genvar l = 0; l < OF; l++) begin : g_lane
                    assign w[l]               = weights[g*LANES+l][FROM+:N];
                    assign part[g*LANES+l][c] = sum[l];
                end

                always_comb begin
                    offset = '0;
                    for (int unsigned l = 0; l < OF; l++) offset[l*STEP+:LANE_BITS] = l + 1 < OF ? less_then : MOST;
                end

                dsp_chain #(
                    .N        (N),
                    .LATE     (LATE),
                    .LANES    (OF),
                    .STEP     (STEP),
                    .X_BITS   (X_BITS),
                    .W_BITS   (W_BITS),
                    .LANE_BITS(LANE_BITS)
                ) chain (
                    .ap_clk(ap_clk),
                    .enable(enable),
                    .x     (u[FROM+:N]),
                    .w     (w),
                    .offset(offset),
                    .sum   (sum)
                );
            end
        end
    end else begin : g_lut
        for (genvar p = 0; p < PE; p++) begin : g_pe
            lut_products #(
                .N       (SIMD),
                .X_BITS  (X_BITS),
                .W_BITS  (W_BITS),
                .SUM_BITS(OUT_BITS)
            ) products (
                .ap_clk(ap_clk),
                .enable(enable),
                .x     (u),
                .w     (weights[p]),
                .sum   (part[p][0])
            );
        end
    end

    // ---- Sums
    logic [PE-1:0][OUT_BITS-1:0] sum;

    for (genvar p = 0; p < PE; p++) begin : g_sum
        logic [OUT_BITS-1:0] term;

        if (TREE == 0) begin : g_one
            assign term = OUT_BITS'(part[p]);
        end else begin : g_several
            adder_tree #(
                .N       (CHAINS),
                .BITS    (LANE_BITS),
                .SUM_BITS(OUT_BITS)
            ) tree (
                .ap_clk (ap_clk),
                .enable (enable),
                .operand(part[p]),
                .sum    (term)
            );
        end

        always_ff @(posedge ap_clk) if (enable && term_valid) sum[p] <= (beat == '0 ? BIAS[fold][p] : sum[p]) + term;
    end

    // ---- Output: where sums leave at most every other cycle, a register that is filled when it is empty is enough.
    if (BEATS > 1) begin : g_register
        assign room = !out_tvalid;

        always_ff @(posedge ap_clk) begin
            if (!ap_rst_n) out_tvalid <= 1'b0;
            else out_tvalid <= out_tvalid ? !out_tready : sum_valid;
        end

        always_ff @(posedge ap_clk) if (room) out_tdata <= sum;
    end else begin : g_skid
        skid_buffer #(
            .WIDTH(PE * OUT_BITS)
        ) skid (
            .ap_clk    (ap_clk),
            .ap_rst_n  (ap_rst_n),
            .in_tdata  (sum),
            .in_tvalid (sum_valid),
            .in_tready (room),
            .out_tdata (out_tdata),
            .out_tvalid(out_tvalid),
            .out_tready(out_tready)
        );
    end

endmodule
