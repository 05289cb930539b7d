// A layer of MAC PEs in the shell of hls/rtl/samvau.sv, for comparison: the same replay of inputs, ROM of weights, valid bits and output
// buffer. With DSP, FINN's `mvu` instead of mac_pe, four
// products of 4 bits to a DSP48E1 if no weight is -8.
module mac_layer #(
    parameter int unsigned MW       = 288,
    parameter int unsigned MH       = 32,
    parameter int unsigned SIMD     = 16,
    parameter int unsigned PE       = 4,
    parameter bit          DSP      = 0,
    parameter int unsigned ACC_BITS = 17,
    parameter bit          BLOCK    = 0,
    parameter              CODES    = ""
) (
    input  logic                        ap_clk,
    input  logic                        ap_rst_n,
    input  logic [SIMD-1:0][3:0]        in_tdata,
    input  logic                        in_tvalid,
    output logic                        in_tready,
    output logic [PE-1:0][ACC_BITS-1:0] out_tdata,
    output logic                        out_tvalid,
    input  logic                        out_tready
);
    if (MW / SIMD < 2 || MH / PE < 2 || (!DSP && (SIMD < 11 || SIMD > 16))) begin : g_check
        $error("mac_layer: SIMD=%0d, PE=%0d: SIMD from 11 to 16, and at least two folds of inputs and of outputs", SIMD, PE);
    end

    localparam int unsigned BEATS = MW / SIMD;
    localparam int unsigned FOLDS = MH / PE;
    localparam int unsigned FETCH = BLOCK ? 2 : 1;
    localparam int unsigned CORE  = 5;  // cycles through mac_pe, METHOD 3, of 11 to 16 inputs
    localparam int unsigned DEPTH = BEATS * FOLDS;
    localparam int unsigned ADDR_BITS = $clog2(DEPTH);
    localparam int unsigned BEAT_BITS = $clog2(BEATS);

    logic sum_valid, skid_tready, fetch;
    wire  enable = !sum_valid || skid_tready;

    logic [SIMD-1:0][3:0]         fetched, x;
    logic [PE-1:0][SIMD-1:0][3:0] w;

    vector_replay #(
        .BEATS(BEATS), .PASSES(FOLDS), .WIDTH(SIMD * 4)
    ) replay (
        .ap_clk, .ap_rst_n, .in_tdata, .in_tvalid, .in_tready, .enable, .fetch, .word(fetched)
    );
    delay_line #(.WIDTH(SIMD * 4), .CYCLES(FETCH - 1)) beside_rom (.ap_clk, .enable, .in(fetched), .out(x));

    logic [ADDR_BITS-1:0] addr;
    logic [BEAT_BITS-1:0] beat;
    always_ff @(posedge ap_clk) begin
        if (!ap_rst_n) begin
            addr <= '0;
            beat <= '0;
        end else if (fetch) begin
            addr <= addr == ADDR_BITS'(DEPTH - 1) ? '0 : addr + 1'b1;
            beat <= beat == BEAT_BITS'(BEATS - 1) ? '0 : beat + 1'b1;
        end
    end
    rom #(
        .DEPTH(DEPTH), .WIDTH(PE * SIMD * 4), .FILE(CODES), .BLOCK(BLOCK)
    ) weights (
        .ap_clk, .enable, .addr, .word(w)
    );

    wire first_beat = beat == '0;
    wire last_beat  = beat == BEAT_BITS'(BEATS - 1);
    logic [FETCH-1:0] begins, ends, valids;
    always_ff @(posedge ap_clk) begin
        if (!ap_rst_n) valids <= '0;
        else if (enable) valids <= FETCH'({valids, fetch});
        if (enable) begins <= FETCH'({begins, first_beat});
        if (enable) ends <= FETCH'({ends, fetch && last_beat});
    end

    logic [PE-1:0][ACC_BITS-1:0] acc;
    if (DSP) begin : g_dsp
        mvu #(
            .VERSION(1), .NARROW_WEIGHTS(1), .PE(PE), .SIMD(SIMD), .WEIGHT_WIDTH(4), .ACTIVATION_WIDTH(4), .ACCU_WIDTH(ACC_BITS)
        ) core (
            .clk(ap_clk), .rst(!ap_rst_n), .en(enable), .last(ends[FETCH-1]), .zero(!valids[FETCH-1]), .w(w), .a(x), .vld(sum_valid),
            .p(acc)
        );
    end else begin : g_lut
        logic [CORE-1:0] finished;
        always_ff @(posedge ap_clk) begin
            if (!ap_rst_n) finished <= '0;
            else if (enable) finished <= {finished[CORE-2:0], ends[FETCH-1]};
        end
        assign sum_valid = finished[CORE-1];
        for (genvar p = 0; p < PE; p++) begin : g_pe
            mac_pe #(
                .SIMD(SIMD), .ACC_BITS(ACC_BITS)
            ) pe (
                .clk(ap_clk), .en(enable), .valid(valids[FETCH-1]), .first(begins[FETCH-1]), .x, .w(w[p]), .acc(acc[p])
            );
        end
    end

    skid_buffer #(
        .WIDTH(PE * ACC_BITS)
    ) skid (
        .ap_clk, .ap_rst_n, .in_tdata(acc), .in_tvalid(sum_valid), .in_tready(skid_tready), .out_tdata, .out_tvalid, .out_tready
    );
endmodule
