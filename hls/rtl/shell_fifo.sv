// First in, first out. A word comes out of a register two cycles after it went in; DEPTH words, and one more at the output.
module shell_fifo #(
    parameter int unsigned DEPTH = 16,  // words, a power of two
    parameter int unsigned WIDTH = 8    // bits
) (
    input  logic             ap_clk,
    input  logic             ap_rst_n,

    input  logic [WIDTH-1:0] in_data,
    input  logic             in_valid,
    output logic             in_ready,

    output logic [WIDTH-1:0] out_data,
    output logic             out_valid,
    input  logic             out_ready
);

    if (DEPTH < 2 || DEPTH != 1 << $clog2(DEPTH) || WIDTH < 1) begin : g_check
        $error("shell_fifo: DEPTH=%0d has to be a power of two from 2 on, WIDTH=%0d at least 1", DEPTH, WIDTH);
    end

    localparam int unsigned ADDR_BITS = $clog2(DEPTH);

    logic [ADDR_BITS:0]   stored;  // without the word at the output
    logic [ADDR_BITS-1:0] write_addr;
    logic [ADDR_BITS-1:0] read_addr;

    wire push = in_valid && in_ready;
    wire pop  = stored != 0 && (out_ready || !out_valid);

    assign in_ready = !stored[ADDR_BITS];

    always_ff @(posedge ap_clk) begin
        if (!ap_rst_n) begin
            stored     <= '0;
            write_addr <= '0;
            read_addr  <= '0;
            out_valid  <= 1'b0;
        end else begin
            stored <= stored + (ADDR_BITS + 1)'(push) - (ADDR_BITS + 1)'(pop);
            if (push) write_addr <= write_addr + 1'b1;
            if (pop) read_addr <= read_addr + 1'b1;
            out_valid <= pop || (out_valid && !out_ready);
        end
    end

    // Its output keeps the word until the next one is read: it is the output's register.
    row_buffer #(
        .DEPTH(DEPTH),
        .WIDTH(WIDTH)
    ) memory (
        .ap_clk    (ap_clk),
        .write     (push),
        .write_addr(write_addr),
        .write_data(in_data),
        .read      (pop),
        .read_addr (read_addr),
        .read_data (out_data)
    );

endmodule
