// Words of memory to beats of a stream, the byte of the lowest address first. A frame begins with a word; what its last word
// holds beyond its last beat is dropped. One beat a cycle, or one word a cycle where a beat is wider.
module shell_unpack #(
    parameter int unsigned WORD_BYTES = 8,
    parameter int unsigned BEAT_BYTES = 1,
    parameter int unsigned BEATS      = 1   // of a frame
) (
    input  logic                    ap_clk,
    input  logic                    ap_rst_n,

    input  logic [8*WORD_BYTES-1:0] word_data,
    input  logic                    word_valid,
    output logic                    word_ready,

    output logic [8*BEAT_BYTES-1:0] out_tdata,
    output logic                    out_tvalid,
    input  logic                    out_tready
);

    if (WORD_BYTES < 1 || BEAT_BYTES < 1 || BEATS < 1) begin : g_check
        $error("shell_unpack: WORD_BYTES=%0d, BEAT_BYTES=%0d and BEATS=%0d have to be at least 1", WORD_BYTES, BEAT_BYTES,
               BEATS);
    end

    // Bytes move in units of the greatest common divisor.
    localparam int unsigned UNIT      = shell_pkg::gcd(WORD_BYTES, BEAT_BYTES);
    localparam int unsigned WORD      = WORD_BYTES / UNIT;
    localparam int unsigned BEAT      = BEAT_BYTES / UNIT;
    localparam int unsigned HELD      = WORD + BEAT - 1;
    localparam int unsigned HELD_BITS = $clog2(HELD + 1);
    localparam int unsigned BEAT_BITS = BEATS > 1 ? $clog2(BEATS) : 1;

    logic [HELD-1:0][8*UNIT-1:0] held;  // zero from `count` on
    logic [HELD_BITS-1:0]        count;
    logic [BEAT_BITS-1:0]        beat;
    logic                        skid_tready;

    wire beat_valid = count >= HELD_BITS'(BEAT);
    wire take       = beat_valid && skid_tready;
    wire last       = beat == BEAT_BITS'(BEATS - 1);

    // What is left when the beat is gone: less than a beat allows the next word to follow.
    wire [HELD_BITS-1:0] left = !take ? count : last ? '0 : count - HELD_BITS'(BEAT);

    logic [HELD-1:0][8*UNIT-1:0] next;

    assign word_ready = left < HELD_BITS'(BEAT);

    always_comb begin
        next = !take ? held : last ? '0 : held >> (8 * BEAT_BYTES);
        for (int unsigned at = 0; at < BEAT; at++) begin
            if (word_valid && left == HELD_BITS'(at)) next[at+:WORD] = word_data;
        end
    end

    always_ff @(posedge ap_clk) begin
        if (!ap_rst_n) begin
            held  <= '0;
            count <= '0;
            beat  <= '0;
        end else begin
            held  <= next;
            count <= left + (word_valid && word_ready ? HELD_BITS'(WORD) : '0);
            if (take) beat <= last ? '0 : beat + 1'b1;
        end
    end

    skid_buffer #(
        .WIDTH(8 * BEAT_BYTES)
    ) skid (
        .ap_clk    (ap_clk),
        .ap_rst_n  (ap_rst_n),
        .in_tdata  (held[BEAT-1:0]),
        .in_tvalid (beat_valid),
        .in_tready (skid_tready),
        .out_tdata (out_tdata),
        .out_tvalid(out_tvalid),
        .out_tready(out_tready)
    );

endmodule
