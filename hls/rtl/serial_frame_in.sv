// Memory of one frame, and its beats as a stream, a beat a cycle, the frame as often as it is asked for without a gap.
module serial_frame_in #(
    parameter int unsigned BYTES = 1,    // of a beat
    parameter int unsigned BEATS = 4,    // of a frame

    localparam int unsigned ADDR_BITS = BEATS > 1 ? $clog2(BEATS) : 1
) (
    input  logic                 ap_clk,
    input  logic                 ap_rst_n,

    input  logic                 write,
    input  logic [ADDR_BITS-1:0] write_beat,
    input  logic [8*BYTES-1:0]   write_data,

    input  logic                 start,
    input  logic [15:0]          frames,

    output logic [8*BYTES-1:0]   out_tdata,
    output logic                 out_tvalid,
    input  logic                 out_tready
);

    if (BYTES < 1 || BEATS < 1) begin : g_check
        $error("serial_frame_in: BYTES=%0d and BEATS=%0d have to be at least 1", BYTES, BEATS);
    end

    logic [15:0]          left;  // frames to send
    logic [ADDR_BITS-1:0] beat;

    wire advance = out_tready || !out_tvalid;
    wire last = beat == ADDR_BITS'(BEATS - 1);

    always_ff @(posedge ap_clk) begin
        if (!ap_rst_n) begin
            left       <= '0;
            beat       <= '0;
            out_tvalid <= 1'b0;
        end else if (start) begin
            left <= frames;
            beat <= '0;
        end else if (advance) begin
            out_tvalid <= left != '0;
            if (left != '0) begin
                beat <= last ? '0 : beat + 1'b1;
                if (last) left <= left - 1'b1;
            end
        end
    end

    row_buffer #(
        .DEPTH(BEATS),
        .WIDTH(8 * BYTES)
    ) memory (
        .ap_clk    (ap_clk),
        .write     (write),
        .write_addr(write_beat),
        .write_data(write_data),
        .read      (advance),
        .read_addr (beat),
        .read_data (out_tdata)
    );

endmodule
