// Concatenation over channels by taking turns: for each pixel FOLDS[0] beats of input 0, then FOLDS[1] of input 1, and so on.
// Every input has SIMD elements a beat. Input i has elements of IN_BITS[i] bits, packed from the least significant bit on, which
// are widened to OUT_BITS by their sign (IN_SIGNED[i]) or by zeros. One beat a cycle.
module stream_concat #(
    parameter int unsigned               INPUTS    = 2,
    parameter int unsigned               SIMD      = 1,
    parameter int unsigned               OUT_BITS  = 8,
    parameter logic [INPUTS-1:0][31:0]   IN_BITS   = {INPUTS{32'(OUT_BITS)}},
    parameter logic [INPUTS-1:0]         IN_SIGNED = '0,
    parameter logic [INPUTS-1:0][31:0]   FOLDS     = {INPUTS{32'd1}}
) (
    input  logic                                ap_clk,
    input  logic                                ap_rst_n,

    input  logic [INPUTS-1:0][SIMD*OUT_BITS-1:0] in_tdata,
    input  logic [INPUTS-1:0]                    in_tvalid,
    output logic [INPUTS-1:0]                    in_tready,

    output logic [SIMD*OUT_BITS-1:0]             out_tdata,
    output logic                                 out_tvalid,
    input  logic                                 out_tready
);

    function automatic int unsigned most_folds();
        most_folds = 1;
        for (int unsigned i = 0; i < INPUTS; i++) if (FOLDS[i] > most_folds) most_folds = FOLDS[i];
    endfunction

    if (INPUTS < 2 || SIMD < 1) begin : g_check
        $error("stream_concat: INPUTS=%0d has to be at least 2, SIMD=%0d at least 1", INPUTS, SIMD);
    end

    localparam int unsigned TURN_BITS = INPUTS > 1 ? $clog2(INPUTS) : 1;
    localparam int unsigned BEAT_BITS = most_folds() > 1 ? $clog2(most_folds()) : 1;

    logic [INPUTS-1:0][SIMD*OUT_BITS-1:0] widened;

    for (genvar i = 0; i < INPUTS; i++) begin : g_input
        localparam int unsigned BITS = IN_BITS[i];
        if (BITS < 1 || BITS > OUT_BITS || FOLDS[i] < 1) begin : g_check_input
            $error("stream_concat: input %0d has IN_BITS=%0d (1 to OUT_BITS=%0d) and FOLDS=%0d (at least 1)", i, BITS, OUT_BITS,
                   FOLDS[i]);
        end
        for (genvar s = 0; s < SIMD; s++) begin : g_element
            wire [BITS-1:0] element = in_tdata[i][s*BITS+:BITS];
            assign widened[i][s*OUT_BITS+:OUT_BITS] =
                IN_SIGNED[i] ? OUT_BITS'($signed(element)) : OUT_BITS'(element);
        end
    end

    logic [TURN_BITS-1:0] turn;
    logic [BEAT_BITS-1:0] beat;
    logic                 skid_tready;

    wire selected = in_tvalid[turn];

    for (genvar i = 0; i < INPUTS; i++) begin : g_ready
        assign in_tready[i] = skid_tready && turn == TURN_BITS'(i);
    end

    always_ff @(posedge ap_clk) begin
        if (!ap_rst_n) begin
            turn <= '0;
            beat <= '0;
        end else if (selected && skid_tready) begin
            if (beat != BEAT_BITS'(FOLDS[turn] - 1)) begin
                beat <= beat + 1'b1;
            end else begin
                beat <= '0;
                turn <= turn == TURN_BITS'(INPUTS - 1) ? '0 : turn + 1'b1;
            end
        end
    end

    skid_buffer #(
        .WIDTH(SIMD * OUT_BITS)
    ) skid (
        .ap_clk    (ap_clk),
        .ap_rst_n  (ap_rst_n),
        .in_tdata  (widened[turn]),
        .in_tvalid (selected),
        .in_tready (skid_tready),
        .out_tdata (out_tdata),
        .out_tvalid(out_tvalid),
        .out_tready(out_tready)
    );

endmodule
