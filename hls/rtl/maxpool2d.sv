// 2x2 max-pool over an NHWC stream, PE channels a beat, frame after frame.
//   STRIDE 2: floor(HEIGHT/2) x floor(WIDTH/2) pixels out
//   STRIDE 1: HEIGHT x WIDTH pixels out; the input counts as padded right and below by pixels that never win
// The maximum is separable: neighbours in a row first, then neighbours in a column. Both cases take one beat a cycle, that is
// HEIGHT * WIDTH * CHANNELS / PE cycles a frame, with no gap between frames: with STRIDE 1 the last row leaves while the first row
// of the next frame comes in, or by itself.
module maxpool2d #(
    parameter int unsigned HEIGHT    = 4,
    parameter int unsigned WIDTH     = 4,
    parameter int unsigned CHANNELS  = 1,
    parameter int unsigned PE        = 1,
    parameter int unsigned ELEM_BITS = 8,
    parameter bit          SIGNED    = 0,
    parameter int unsigned STRIDE    = 2
) (
    input  logic                    ap_clk,
    input  logic                    ap_rst_n,

    input  logic [PE*ELEM_BITS-1:0] in_tdata,
    input  logic                    in_tvalid,
    output logic                    in_tready,

    output logic [PE*ELEM_BITS-1:0] out_tdata,
    output logic                    out_tvalid,
    input  logic                    out_tready
);

    if (STRIDE != 1 && STRIDE != 2) begin : g_check_stride
        $error("maxpool2d: STRIDE=%0d is neither 1 nor 2", STRIDE);
    end
    if (HEIGHT < STRIDE || WIDTH < STRIDE) begin : g_check_size
        $error("maxpool2d: a frame of %0d x %0d pixels gives no output with STRIDE=%0d", HEIGHT, WIDTH, STRIDE);
    end
    if (PE < 1 || CHANNELS < 1 || CHANNELS % PE != 0) begin : g_check_pe
        $error("maxpool2d: PE=%0d does not divide CHANNELS=%0d", PE, CHANNELS);
    end

    localparam int unsigned FOLDS = CHANNELS / PE;

    logic [PE*ELEM_BITS-1:0] row_tdata, column_tdata;
    logic                    row_tvalid, column_tvalid;
    logic                    row_tready, column_tready;

    pairwise_max #(
        .ITEMS    (WIDTH),
        .BEATS    (FOLDS),
        .PE       (PE),
        .ELEM_BITS(ELEM_BITS),
        .SIGNED   (SIGNED),
        .STRIDE   (STRIDE)
    ) along_row (
        .ap_clk    (ap_clk),
        .ap_rst_n  (ap_rst_n),
        .in_tdata  (in_tdata),
        .in_tvalid (in_tvalid),
        .in_tready (in_tready),
        .out_tdata (row_tdata),
        .out_tvalid(row_tvalid),
        .out_tready(row_tready)
    );

    pairwise_max #(
        .ITEMS    (HEIGHT),
        .BEATS    (WIDTH / STRIDE * FOLDS),
        .PE       (PE),
        .ELEM_BITS(ELEM_BITS),
        .SIGNED   (SIGNED),
        .STRIDE   (STRIDE)
    ) along_column (
        .ap_clk    (ap_clk),
        .ap_rst_n  (ap_rst_n),
        .in_tdata  (row_tdata),
        .in_tvalid (row_tvalid),
        .in_tready (row_tready),
        .out_tdata (column_tdata),
        .out_tvalid(column_tvalid),
        .out_tready(column_tready)
    );

    skid_buffer #(
        .WIDTH(PE * ELEM_BITS)
    ) skid (
        .ap_clk    (ap_clk),
        .ap_rst_n  (ap_rst_n),
        .in_tdata  (column_tdata),
        .in_tvalid (column_tvalid),
        .in_tready (column_tready),
        .out_tdata (out_tdata),
        .out_tvalid(out_tvalid),
        .out_tready(out_tready)
    );

endmodule
