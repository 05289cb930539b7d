// Nearest-neighbour upsampling by FACTOR in both directions over an NHWC stream, SIMD channels a beat; any number of rows.
// Every pixel leaves FACTOR times, every row FACTOR times. A ring of two rows feeds the output: a row is read as it is written, and
// its words are free again, one by one, at their last visit. So the next row comes in while this one is replayed, and one beat
// leaves a cycle even when the producer delivers at its mean rate: FACTOR^2 * WIDTH * CHANNELS / SIMD cycles a row.
module upsample_nearest #(
    parameter int unsigned WIDTH     = 4,  // pixels in an input row
    parameter int unsigned CHANNELS  = 1,
    parameter int unsigned SIMD      = 1,
    parameter int unsigned ELEM_BITS = 8,
    parameter int unsigned FACTOR    = 2
) (
    input  logic                      ap_clk,
    input  logic                      ap_rst_n,

    input  logic [SIMD*ELEM_BITS-1:0] in_tdata,
    input  logic                      in_tvalid,
    output logic                      in_tready,

    output logic [SIMD*ELEM_BITS-1:0] out_tdata,
    output logic                      out_tvalid,
    input  logic                      out_tready
);

    if (FACTOR < 2) begin : g_check_factor
        $error("upsample_nearest: FACTOR=%0d is below 2", FACTOR);
    end
    if (WIDTH < 1 || ELEM_BITS < 1) begin : g_check_size
        $error("upsample_nearest: WIDTH=%0d and ELEM_BITS=%0d have to be at least 1", WIDTH, ELEM_BITS);
    end
    if (SIMD < 1 || CHANNELS < 1 || CHANNELS % SIMD != 0) begin : g_check_simd
        $error("upsample_nearest: SIMD=%0d does not divide CHANNELS=%0d", SIMD, CHANNELS);
    end

    localparam int unsigned FOLDS = CHANNELS / SIMD;
    localparam int unsigned ROW   = WIDTH * FOLDS;  // beats
    localparam int unsigned DEPTH = 2 * ROW;

    localparam int unsigned ADDR_BITS  = $clog2(DEPTH);
    localparam int unsigned LEVEL_BITS = $clog2(DEPTH + 1);
    localparam int unsigned COPY_BITS  = FACTOR > 1 ? $clog2(FACTOR) : 1;
    localparam int unsigned FOLD_BITS  = FOLDS > 1 ? $clog2(FOLDS) : 1;
    localparam int unsigned COL_BITS   = WIDTH > 1 ? $clog2(WIDTH) : 1;

    localparam logic [COPY_BITS-1:0] LAST_COPY = COPY_BITS'(FACTOR - 1);
    localparam logic [FOLD_BITS-1:0] LAST_FOLD = FOLD_BITS'(FOLDS - 1);
    localparam logic [COL_BITS-1:0]  LAST_COL  = COL_BITS'(WIDTH - 1);

    // The position of the next beat out.
    logic [COPY_BITS-1:0] row_copy, pixel_copy;
    logic [COL_BITS-1:0]  col;
    logic [FOLD_BITS-1:0] fold;

    logic [ADDR_BITS-1:0]  write_addr, read_addr;
    logic [ADDR_BITS-1:0]  pixel_addr, row_addr;  // where the pixel and the row start
    logic [LEVEL_BITS-1:0] used, unread;          // words not yet free, words not yet visited

    wire first_visit = row_copy == '0 && pixel_copy == '0;
    wire last_visit  = row_copy == LAST_COPY && pixel_copy == LAST_COPY;

    logic                      word_tvalid, word_tready;
    logic [SIMD*ELEM_BITS-1:0] word;

    wire enable = !word_tvalid || word_tready;
    wire write  = in_tvalid && in_tready;
    wire read   = enable && (!first_visit || unread != '0);

    assign in_tready = used != LEVEL_BITS'(DEPTH);

    always_ff @(posedge ap_clk) begin
        if (!ap_rst_n) begin
            write_addr <= '0;
            used       <= '0;
            unread     <= '0;
        end else begin
            if (write) write_addr <= write_addr == ADDR_BITS'(DEPTH - 1) ? '0 : write_addr + 1'b1;
            used   <= used + LEVEL_BITS'(write) - LEVEL_BITS'(read && last_visit);
            unread <= unread + LEVEL_BITS'(write) - LEVEL_BITS'(read && first_visit);
        end
    end

    wire [ADDR_BITS-1:0] following = read_addr + 1'b1;  // used inside a row only, so it never wraps
    wire [ADDR_BITS-1:0] other_row = row_addr == '0 ? ADDR_BITS'(ROW) : '0;

    always_ff @(posedge ap_clk) begin
        if (!ap_rst_n) begin
            row_copy   <= '0;
            pixel_copy <= '0;
            col        <= '0;
            fold       <= '0;
            read_addr  <= '0;
            pixel_addr <= '0;
            row_addr   <= '0;
        end else if (read) begin
            if (fold != LAST_FOLD) begin
                fold      <= fold + 1'b1;
                read_addr <= following;
            end else begin
                fold <= '0;
                if (pixel_copy != LAST_COPY) begin
                    pixel_copy <= pixel_copy + 1'b1;
                    read_addr  <= pixel_addr;
                end else begin
                    pixel_copy <= '0;
                    if (col != LAST_COL) begin
                        col        <= col + 1'b1;
                        read_addr  <= following;
                        pixel_addr <= following;
                    end else begin
                        col <= '0;
                        if (row_copy != LAST_COPY) begin
                            row_copy   <= row_copy + 1'b1;
                            read_addr  <= row_addr;
                            pixel_addr <= row_addr;
                        end else begin
                            row_copy   <= '0;
                            read_addr  <= other_row;
                            pixel_addr <= other_row;
                            row_addr   <= other_row;
                        end
                    end
                end
            end
        end
    end

    row_buffer #(
        .DEPTH(DEPTH),
        .WIDTH(SIMD * ELEM_BITS)
    ) rows (
        .ap_clk    (ap_clk),
        .write     (write),
        .write_addr(write_addr),
        .write_data(in_tdata),
        .read      (enable),
        .read_addr (read_addr),
        .read_data (word)
    );

    always_ff @(posedge ap_clk) begin
        if (!ap_rst_n) word_tvalid <= 1'b0;
        else if (enable) word_tvalid <= read;
    end

    skid_buffer #(
        .WIDTH(SIMD * ELEM_BITS)
    ) skid (
        .ap_clk    (ap_clk),
        .ap_rst_n  (ap_rst_n),
        .in_tdata  (word),
        .in_tvalid (word_tvalid),
        .in_tready (word_tready),
        .out_tdata (out_tdata),
        .out_tvalid(out_tvalid),
        .out_tready(out_tready)
    );

endmodule
