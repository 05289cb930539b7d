// Simple dual-port memory on one clock. The read is synchronous and sees the word as it was before a write of the same cycle.
module row_buffer #(
    parameter int unsigned DEPTH = 512,  // words
    parameter int unsigned WIDTH = 8,    // bits

    localparam int unsigned ADDR_BITS = DEPTH > 1 ? $clog2(DEPTH) : 1
) (
    input  logic                 ap_clk,

    input  logic                 write,
    input  logic [ADDR_BITS-1:0] write_addr,
    input  logic [WIDTH-1:0]     write_data,

    input  logic                 read,
    input  logic [ADDR_BITS-1:0] read_addr,
    output logic [WIDTH-1:0]     read_data
);

    if (DEPTH < 1 || WIDTH < 1) begin : g_check
        $error("row_buffer: DEPTH=%0d and WIDTH=%0d have to be at least 1", DEPTH, WIDTH);
    end

    // A block RAM of 18 Kbit (512 x 36 at its widest) is worth about 190 LUTs on a Zynq-7020; shallower or smaller memories are
    // cheaper in LUT-RAM. hwprune/accel/operators/resources.py repeats this rule.
    // Only the attribute uses it, which a simulator does not read.
    /* verilator lint_off UNUSEDPARAM */
    localparam RAM_STYLE = (DEPTH >= 256 && DEPTH * WIDTH >= 8192) ? "block" : "distributed";
    /* verilator lint_on UNUSEDPARAM */

    (* ram_style = RAM_STYLE *) logic [WIDTH-1:0] mem[DEPTH];

    always_ff @(posedge ap_clk) begin
        if (read) read_data <= mem[read_addr];
        if (write) mem[write_addr] <= write_data;
    end

endmodule
