// Reads each vector of BEATS words once and gives it PASSES times, one word in every cycle with `enable`, also from vector to vector.
// A ring holds a vector: on the first pass a word is read as soon as it has been written, on the last pass it makes room for the next
// vector. A word is announced by `fetch` and stands at `word` from the following cycle with `enable` on.
module vector_replay #(
    parameter int unsigned BEATS  = 4,
    parameter int unsigned PASSES = 2,
    parameter int unsigned WIDTH  = 8
) (
    input  logic             ap_clk,
    input  logic             ap_rst_n,

    input  logic [WIDTH-1:0] in_tdata,
    input  logic             in_tvalid,
    output logic             in_tready,

    input  logic             enable,  // depends on flip-flops only
    output logic             fetch,
    output logic [WIDTH-1:0] word
);

    if (BEATS < 1 || PASSES < 1 || WIDTH < 1) begin : g_check
        $error("vector_replay: BEATS=%0d, PASSES=%0d and WIDTH=%0d have to be at least 1", BEATS, PASSES, WIDTH);
    end

    if (PASSES == 1) begin : g_pass
        assign in_tready = enable;
        assign fetch     = enable && in_tvalid;
        always_ff @(posedge ap_clk) if (enable) word <= in_tdata;

        wire unused = &{1'b0, ap_rst_n};
    end else begin : g_ring
        // Two words at least, so that one can come while the other is read.
        localparam int unsigned ADDR_BITS = BEATS > 2 ? $clog2(BEATS) : 1;
        localparam int unsigned BEAT_BITS = BEATS > 1 ? $clog2(BEATS) : 1;
        localparam int unsigned PASS_BITS = PASSES > 1 ? $clog2(PASSES) : 1;
        localparam logic [BEAT_BITS-1:0] LAST_BEAT = BEAT_BITS'(BEATS - 1);
        localparam logic [PASS_BITS-1:0] LAST_PASS = PASS_BITS'(PASSES - 1);

        logic [ADDR_BITS-1:0] write_addr, read_addr, start;  // start: of the vector
        logic [ADDR_BITS:0]   used, unread;                  // words not yet free, words not yet visited
        logic [BEAT_BITS-1:0] beat;
        logic [PASS_BITS-1:0] pass;

        wire write = in_tvalid && in_tready;
        wire first = fetch && pass == '0;
        wire last  = fetch && pass == LAST_PASS;

        assign in_tready = !used[ADDR_BITS];
        assign fetch     = enable && (pass != '0 || unread != '0);

        wire [ADDR_BITS-1:0] following = read_addr + 1'b1;

        always_ff @(posedge ap_clk) begin
            if (!ap_rst_n) begin
                write_addr <= '0;
                used       <= '0;
                unread     <= '0;
            end else begin
                if (write) write_addr <= write_addr + 1'b1;
                used   <= used + (ADDR_BITS + 1)'(write) - (ADDR_BITS + 1)'(last);
                unread <= unread + (ADDR_BITS + 1)'(write) - (ADDR_BITS + 1)'(first);
            end
        end

        always_ff @(posedge ap_clk) begin
            if (!ap_rst_n) begin
                read_addr <= '0;
                start     <= '0;
                beat      <= '0;
                pass      <= '0;
            end else if (fetch) begin
                if (beat != LAST_BEAT) begin
                    beat      <= beat + 1'b1;
                    read_addr <= following;
                end else begin
                    beat <= '0;
                    if (pass != LAST_PASS) begin
                        pass      <= pass + 1'b1;
                        read_addr <= start;
                    end else begin
                        pass      <= '0;
                        read_addr <= following;
                        start     <= following;
                    end
                end
            end
        end

        row_buffer #(
            .DEPTH(1 << ADDR_BITS),
            .WIDTH(WIDTH)
        ) ring (
            .ap_clk    (ap_clk),
            .write     (write),
            .write_addr(write_addr),
            .write_data(in_tdata),
            .read      (enable),
            .read_addr (read_addr),
            .read_data (word)
        );
    end

endmodule
