// Maximum of neighbours in a sequence of ITEMS items of BEATS beats each:
//   STRIDE 1: out[i] = max(in[i], in[i+1]), ITEMS - 1 items; with FIRST the first item leaves as it is before them, with LAST the last
//             one behind them, but not both
//   STRIDE 2: out[i] = max(in[2i], in[2i+1]), ITEMS/2 items; with FIRST the first item leaves as it is and the pairs begin behind it; a
//             last item without a partner leaves as it is with LAST and is dropped without
// One memory holds the last item; every arriving beat reads the word of the item before and overwrites it.
//
// With STRIDE 1 and LAST the last item of a sequence leaves by itself ("draining"): beside the first item of the next sequence when that
// is there, without it when it is not. Draining beat d needs d >= beat; both move together at worst, so it always holds and input never
// waits for it: one beat in and one beat out a cycle, from sequence to sequence without a gap, and nothing stays behind.
module pairwise_max #(
    parameter int unsigned ITEMS     = 4,
    parameter int unsigned BEATS     = 1,
    parameter int unsigned PE        = 1,  // elements a beat
    parameter int unsigned ELEM_BITS = 8,
    parameter bit          SIGNED    = 0,
    parameter int unsigned STRIDE    = 2,
    parameter bit          FIRST     = 0,
    parameter bit          LAST      = 0
) (
    input  logic                         ap_clk,
    input  logic                         ap_rst_n,

    input  logic [PE-1:0][ELEM_BITS-1:0] in_tdata,
    input  logic                         in_tvalid,
    output logic                         in_tready,

    // Not registered behind the maximum; the operator ends in a skid buffer.
    output logic [PE-1:0][ELEM_BITS-1:0] out_tdata,
    output logic                         out_tvalid,
    input  logic                         out_tready
);

    if (STRIDE != 1 && STRIDE != 2) begin : g_check_stride
        $error("pairwise_max: STRIDE=%0d is neither 1 nor 2", STRIDE);
    end
    if (STRIDE == 1 && FIRST && LAST) begin : g_check_ends
        $error("pairwise_max: with STRIDE=1 there is no time for both FIRST and LAST");
    end
    if (ITEMS + 32'(FIRST) + 32'(LAST) < 2 || ITEMS < 1 || BEATS < 1 || PE < 1 || ELEM_BITS < 1) begin : g_check_size
        $error("pairwise_max: ITEMS=%0d, BEATS=%0d, PE=%0d, ELEM_BITS=%0d leave nothing to compute", ITEMS, BEATS, PE, ELEM_BITS);
    end

    localparam int unsigned BEAT_BITS = BEATS > 1 ? $clog2(BEATS) : 1;
    localparam int unsigned ITEM_BITS = ITEMS > 1 ? $clog2(ITEMS) : 1;
    localparam logic [BEAT_BITS-1:0] LAST_BEAT = BEAT_BITS'(BEATS - 1);
    localparam logic [ITEM_BITS-1:0] LAST_ITEM = ITEM_BITS'(ITEMS - 1);

    logic [BEAT_BITS-1:0] beat, drain;
    logic [ITEM_BITS-1:0] item;
    logic                 draining;

    wire enable = !out_tvalid || out_tready;
    wire accept = in_tvalid && enable;
    // The second of a pair, or an item that leaves as it is: at one end of the sequence.
    wire second = STRIDE == 2 ? item[0] != FIRST : item != '0 || FIRST;
    wire end_item = (FIRST && item == '0) || (STRIDE == 2 && LAST && item == LAST_ITEM && !second);

    assign in_tready = enable;

    always_ff @(posedge ap_clk) begin
        if (!ap_rst_n) begin
            beat     <= '0;
            item     <= '0;
            drain    <= '0;
            draining <= 1'b0;
        end else begin
            if (draining && enable) begin
                drain    <= drain == LAST_BEAT ? '0 : drain + 1'b1;
                draining <= drain != LAST_BEAT;
            end
            if (accept) begin
                beat <= beat == LAST_BEAT ? '0 : beat + 1'b1;
                if (beat == LAST_BEAT) begin
                    item <= item == LAST_ITEM ? '0 : item + 1'b1;
                    if (STRIDE == 1 && LAST && item == LAST_ITEM) draining <= 1'b1;
                end
            end
        end
    end

    logic [PE-1:0][ELEM_BITS-1:0] older, newer;
    logic                         drained, alone;

    row_buffer #(
        .DEPTH(BEATS),
        .WIDTH(PE * ELEM_BITS)
    ) last_item (
        .ap_clk    (ap_clk),
        .write     (accept),
        .write_addr(beat),
        .write_data(in_tdata),
        .read      (enable),
        .read_addr (draining ? drain : beat),
        .read_data (older)
    );

    always_ff @(posedge ap_clk) begin
        if (!ap_rst_n) out_tvalid <= 1'b0;
        else if (enable) out_tvalid <= draining || (accept && (second || end_item));
        if (enable) begin
            newer   <= in_tdata;
            drained <= draining;
            alone   <= end_item;
        end
    end

    for (genvar p = 0; p < PE; p++) begin : g_lane
        wire newer_wins = SIGNED ? $signed(newer[p]) > $signed(older[p]) : newer[p] > older[p];
        assign out_tdata[p] = !drained && (alone || newer_wins) ? newer[p] : older[p];
    end

`ifndef SYNTHESIS
    always_ff @(posedge ap_clk) begin
        if (ap_rst_n && draining) assert (item == '0 && drain >= beat);
    end
`endif

endmodule
