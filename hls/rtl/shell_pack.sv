// Beats of a stream to words of memory, the first byte to the lowest address. A frame begins with a word; its last word is
// filled up with zeros. One beat a cycle, or one word a cycle where a beat is wider.
module shell_pack #(
    parameter int unsigned WORD_BYTES = 8,
    parameter int unsigned BEAT_BYTES = 1,
    parameter int unsigned BEATS      = 1   // of a frame
) (
    input  logic                    ap_clk,
    input  logic                    ap_rst_n,

    input  logic [8*BEAT_BYTES-1:0] in_tdata,
    input  logic                    in_tvalid,
    output logic                    in_tready,

    output logic [8*WORD_BYTES-1:0] word_data,
    output logic                    word_valid,
    input  logic                    word_ready
);

    if (WORD_BYTES < 1 || BEAT_BYTES < 1 || BEATS < 1) begin : g_check
        $error("shell_pack: WORD_BYTES=%0d, BEAT_BYTES=%0d and BEATS=%0d have to be at least 1", WORD_BYTES, BEAT_BYTES,
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
    logic                        ended;  // what is held ends a frame

    logic [8*BEAT_BYTES-1:0] beat_data;
    logic                    beat_valid;
    logic                    beat_ready;

    skid_buffer #(
        .WIDTH(8 * BEAT_BYTES)
    ) skid (
        .ap_clk    (ap_clk),
        .ap_rst_n  (ap_rst_n),
        .in_tdata  (in_tdata),
        .in_tvalid (in_tvalid),
        .in_tready (in_tready),
        .out_tdata (beat_data),
        .out_tvalid(beat_valid),
        .out_tready(beat_ready)
    );

    assign word_data  = held[WORD-1:0];
    assign word_valid = count >= HELD_BITS'(WORD) || (ended && count != 0);

    wire give = word_valid && word_ready;
    wire more = count > HELD_BITS'(WORD);

    // What is left when the word is gone: less than a word allows the next beat to follow, unless another frame's rest waits.
    wire [HELD_BITS-1:0] left  = !give ? count : more ? count - HELD_BITS'(WORD) : '0;
    wire                 waits = ended && left != 0;
    wire                 take  = beat_valid && beat_ready;
    wire                 last  = beat == BEAT_BITS'(BEATS - 1);

    assign beat_ready = left < HELD_BITS'(WORD) && !waits;

    logic [HELD-1:0][8*UNIT-1:0] next;

    always_comb begin
        next = !give ? held : held >> (8 * WORD_BYTES);
        for (int unsigned at = 0; at < WORD; at++) begin
            if (take && left == HELD_BITS'(at)) next[at+:BEAT] = beat_data;
        end
    end

    always_ff @(posedge ap_clk) begin
        if (!ap_rst_n) begin
            held  <= '0;
            count <= '0;
            beat  <= '0;
            ended <= 1'b0;
        end else begin
            held  <= next;
            count <= left + (take ? HELD_BITS'(BEAT) : '0);
            ended <= take ? last : waits;
            if (take) beat <= last ? '0 : beat + 1'b1;
        end
    end

endmodule
