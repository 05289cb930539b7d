// Memory of the last frame of an output stream. It takes as many frames as are asked for, a beat a cycle, and no beat more.
module serial_frame_out #(
    parameter int unsigned BYTES = 1,    // of a beat
    parameter int unsigned BEATS = 4,    // of a frame

    localparam int unsigned ADDR_BITS = BEATS > 1 ? $clog2(BEATS) : 1,
    localparam int unsigned BYTE_BITS = BYTES > 1 ? $clog2(BYTES) : 1
) (
    input  logic                 ap_clk,
    input  logic                 ap_rst_n,

    input  logic                 start,
    input  logic [15:0]          frames,
    output logic                 first_done,  // the first frame since `start` is here
    output logic                 all_done,    // all of them

    input  logic [ADDR_BITS-1:0] read_beat,
    input  logic [BYTE_BITS-1:0] read_byte,
    output logic [7:0]           read_data,   // a cycle later

    input  logic [8*BYTES-1:0]   in_tdata,
    input  logic                 in_tvalid,
    output logic                 in_tready
);

    if (BYTES < 1 || BEATS < 1) begin : g_check
        $error("serial_frame_out: BYTES=%0d and BEATS=%0d have to be at least 1", BYTES, BEATS);
    end

    logic [15:0]          left;  // frames to take
    logic [ADDR_BITS-1:0] beat;
    logic [8*BYTES-1:0]   word;

    wire take = in_tvalid && in_tready;
    wire last = beat == ADDR_BITS'(BEATS - 1);

    assign all_done  = left == '0;
    assign in_tready = !all_done;

    always_ff @(posedge ap_clk) begin
        if (!ap_rst_n) begin
            left       <= '0;
            beat       <= '0;
            first_done <= 1'b0;
        end else if (start) begin
            left       <= frames;
            beat       <= '0;
            first_done <= 1'b0;
        end else if (take) begin
            beat <= last ? '0 : beat + 1'b1;
            if (last) begin
                left       <= left - 1'b1;
                first_done <= 1'b1;
            end
        end
    end

    row_buffer #(
        .DEPTH(BEATS),
        .WIDTH(8 * BYTES)
    ) memory (
        .ap_clk    (ap_clk),
        .write     (take),
        .write_addr(beat),
        .write_data(in_tdata),
        .read      (1'b1),
        .read_addr (read_beat),
        .read_data (word)
    );

    logic [BYTE_BITS-1:0] byte_at;
    always_ff @(posedge ap_clk) byte_at <= read_byte;
    if (BYTES == 1) begin : g_byte
        wire unused = byte_at[0];
        assign read_data = word;
    end else begin : g_bytes
        assign read_data = word[8*byte_at+:8];
    end

endmodule
