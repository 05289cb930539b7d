// One pair of converters in a ring of bytes: beats are packed into words, words unpacked into beats again, both sides stall at
// random, and what comes out is compared with what went in. The words themselves are compared with bytes counted by hand.
module shell_widths #(
    parameter int unsigned WORD_BYTES = 8,
    parameter int unsigned BEAT_BYTES = 3,
    parameter int unsigned BEATS      = 7,
    parameter int unsigned FRAMES     = 20
) (
    input  logic ap_clk,
    input  logic ap_rst_n,
    output logic done,
    output logic wrong
);

    localparam int unsigned FRAME_BYTES = BEATS * BEAT_BYTES;
    localparam int unsigned WORDS       = shell_pkg::words(BEATS, BEAT_BYTES, WORD_BYTES);

    // Byte i of frame f.
    function automatic logic [7:0] value(int unsigned f, int unsigned i);
        value = 8'((f * 131 + i * 29 + (i >> 3)) ^ (i >> 7));
    endfunction

    logic [8*BEAT_BYTES-1:0] in_tdata, out_tdata;
    logic [8*WORD_BYTES-1:0] word;
    logic                    in_tvalid, in_tready, out_tvalid, out_tready, word_valid, word_ready, packed_valid, gate;

    shell_pack #(.WORD_BYTES(WORD_BYTES), .BEAT_BYTES(BEAT_BYTES), .BEATS(BEATS)) pack (
        .word_data(word), .word_valid(packed_valid), .word_ready(word_ready && gate), .*);
    shell_unpack #(.WORD_BYTES(WORD_BYTES), .BEAT_BYTES(BEAT_BYTES), .BEATS(BEATS)) unpack (
        .word_data(word), .word_valid(word_valid), .*);

    assign word_valid = packed_valid && gate;

    int unsigned in_frame, in_beat, word_frame, word_index, out_frame, out_beat;

    always_comb begin
        for (int unsigned b = 0; b < BEAT_BYTES; b++) in_tdata[8*b+:8] = value(in_frame, in_beat * BEAT_BYTES + b);
    end

    assign done = out_frame == FRAMES;

    always_ff @(posedge ap_clk) begin
        if (!ap_rst_n) begin
            {in_frame, in_beat, word_frame, word_index, out_frame, out_beat} <= '0;
            in_tvalid  <= 1'b0;
            out_tready <= 1'b0;
            gate       <= 1'b0;
            wrong      <= 1'b0;
        end else begin
            // The first half of the frames at full speed.
            gate       <= out_frame < FRAMES / 2 || $urandom_range(2) != 0;
            out_tready <= out_frame < FRAMES / 2 || $urandom_range(2) != 0;
            if (in_tready || !in_tvalid) in_tvalid <= in_frame < FRAMES && (out_frame < FRAMES / 2 || $urandom_range(2) != 0);
            if (in_tvalid && in_tready) begin
                in_beat <= in_beat + 1;
                if (in_beat + 1 == BEATS) begin
                    in_beat  <= 0;
                    in_frame <= in_frame + 1;
                    if (in_frame + 1 == FRAMES) in_tvalid <= 1'b0;
                end
            end
            if (word_valid && word_ready) begin
                for (int unsigned b = 0; b < WORD_BYTES; b++) begin
                    if (word[8*b+:8] != (word_index * WORD_BYTES + b < FRAME_BYTES ? value(word_frame, word_index * WORD_BYTES + b) : 0))
                        wrong <= 1'b1;
                end
                word_index <= word_index + 1 == WORDS ? 0 : word_index + 1;
                word_frame <= word_frame + 32'(word_index + 1 == WORDS);
            end
            if (out_tvalid && out_tready) begin
                for (int unsigned b = 0; b < BEAT_BYTES; b++) begin
                    if (out_tdata[8*b+:8] != value(out_frame, out_beat * BEAT_BYTES + b)) wrong <= 1'b1;
                end
                out_beat <= out_beat + 1;
                if (out_beat + 1 == BEATS) begin
                    out_beat  <= 0;
                    out_frame <= out_frame + 1;
                end
            end
        end
    end

endmodule
