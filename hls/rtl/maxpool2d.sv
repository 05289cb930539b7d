// Max-pool over KERNEL x KERNEL pixels with a stride of 1 or 2, padded on any side by pixels that never win; NHWC, CHANNELS/PE beats a
// pixel. The maximum is separable, and one over k neighbours is that over two neighbours of maxima over k - 1: so KERNEL - 1 times
// pairwise_max along the row (items are pixels), and as often along the column (items are rows). The last one of each has the stride; a
// side is padded by items that leave as they are, one a stage.
//
// It holds KERNEL - 1 pixels and as many rows of maxima, and takes a beat in every cycle. Where a stage with stride 1 is padded at its
// end, the last row leaves while the first row of the next frame comes in, or by itself.
module maxpool2d #(
    parameter int unsigned HEIGHT     = 4,
    parameter int unsigned WIDTH      = 4,
    parameter int unsigned CHANNELS   = 1,
    parameter int unsigned PE         = 1,
    parameter int unsigned ELEM_BITS  = 8,
    parameter bit          SIGNED     = 0,
    parameter int unsigned KERNEL     = 2,
    parameter int unsigned STRIDE     = 2,
    parameter int unsigned PAD_TOP    = 0,
    parameter int unsigned PAD_LEFT   = 0,
    parameter int unsigned PAD_BOTTOM = 0,
    parameter int unsigned PAD_RIGHT  = 0
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
    if (KERNEL < 2) begin : g_check_kernel
        $error("maxpool2d: KERNEL=%0d is below 2", KERNEL);
    end
    if (PE < 1 || CHANNELS < 1 || CHANNELS % PE != 0) begin : g_check_pe
        $error("maxpool2d: PE=%0d does not divide CHANNELS=%0d", PE, CHANNELS);
    end
    // A stage pads by one item, the last one with stride 2 on both sides.
    if (PAD_TOP >= KERNEL || PAD_LEFT >= KERNEL || PAD_TOP + PAD_BOTTOM >= KERNEL + 32'(STRIDE == 2 && PAD_TOP == KERNEL - 1)
        || PAD_LEFT + PAD_RIGHT >= KERNEL + 32'(STRIDE == 2 && PAD_LEFT == KERNEL - 1)) begin : g_check_pads
        $error("maxpool2d: KERNEL=%0d, STRIDE=%0d: padding of %0d, %0d, %0d, %0d (top, left, bottom, right) is too much",
               KERNEL, STRIDE, PAD_TOP, PAD_LEFT, PAD_BOTTOM, PAD_RIGHT);
    end
    if (HEIGHT < 1 || WIDTH < 1 || PAD_TOP + HEIGHT + PAD_BOTTOM < KERNEL || PAD_LEFT + WIDTH + PAD_RIGHT < KERNEL) begin : g_check_size
        $error("maxpool2d: a frame of %0d x %0d pixels gives no output with KERNEL=%0d", HEIGHT, WIDTH, KERNEL);
    end

    localparam int unsigned FOLDS     = CHANNELS / PE;
    localparam int unsigned BITS      = PE * ELEM_BITS;
    localparam int unsigned STAGES    = KERNEL - 1;  // a direction
    localparam int unsigned OUT_WIDTH = (PAD_LEFT + WIDTH + PAD_RIGHT - KERNEL) / STRIDE + 1;

    logic [BITS-1:0] tdata [2*STAGES+1];
    logic            tvalid[2*STAGES+1];
    logic            tready[2*STAGES+1];

    assign tdata[0]  = in_tdata;
    assign tvalid[0] = in_tvalid;
    assign in_tready = tready[0];

    for (genvar i = 0; i < 2 * STAGES; i++) begin : g_stage
        localparam bit          ALONG_ROW = i < STAGES;
        localparam int unsigned STAGE     = ALONG_ROW ? i : i - STAGES;
        localparam int unsigned LENGTH    = ALONG_ROW ? WIDTH : HEIGHT;
        localparam int unsigned BEFORE    = ALONG_ROW ? PAD_LEFT : PAD_TOP;
        localparam int unsigned PADS      = BEFORE + (ALONG_ROW ? PAD_RIGHT : PAD_BOTTOM);
        localparam bit          FIRST     = STAGE < BEFORE;
        localparam int unsigned STEP      = STAGE == STAGES - 1 ? STRIDE : 1;

        pairwise_max #(
            // Each stage before that was not padded has taken an item away.
            .ITEMS    (STAGE > PADS ? LENGTH + PADS - STAGE : LENGTH),
            .BEATS    (ALONG_ROW ? FOLDS : OUT_WIDTH * FOLDS),
            .PE       (PE),
            .ELEM_BITS(ELEM_BITS),
            .SIGNED   (SIGNED),
            .STRIDE   (STEP),
            .FIRST    (FIRST),
            .LAST     (STEP == 1 ? !FIRST && STAGE < PADS : STAGE + 32'(FIRST) < PADS)
        ) pairs (
            .ap_clk    (ap_clk),
            .ap_rst_n  (ap_rst_n),
            .in_tdata  (tdata[i]),
            .in_tvalid (tvalid[i]),
            .in_tready (tready[i]),
            .out_tdata (tdata[i+1]),
            .out_tvalid(tvalid[i+1]),
            .out_tready(tready[i+1])
        );
    end

    skid_buffer #(
        .WIDTH(BITS)
    ) skid (
        .ap_clk    (ap_clk),
        .ap_rst_n  (ap_rst_n),
        .in_tdata  (tdata[2*STAGES]),
        .in_tvalid (tvalid[2*STAGES]),
        .in_tready (tready[2*STAGES]),
        .out_tdata (out_tdata),
        .out_tvalid(out_tvalid),
        .out_tready(out_tready)
    );

endmodule
