// Read-only memory with a synchronous read of one cycle, or two from block RAM. Its words, hexadecimal, one a line, come from FILE.
module rom #(
    parameter int unsigned DEPTH = 4,   // words
    parameter int unsigned WIDTH = 8,   // bits
    parameter              FILE  = "",
    parameter bit          BLOCK = 0,   // in block RAM, whose output register takes a second cycle; else in LUTs

    localparam int unsigned ADDR_BITS = DEPTH > 1 ? $clog2(DEPTH) : 1
) (
    input  logic                 ap_clk,
    input  logic                 enable,
    input  logic [ADDR_BITS-1:0] addr,
    output logic [WIDTH-1:0]     word
);

    if (DEPTH < 1 || WIDTH < 1) begin : g_check
        $error("rom: DEPTH=%0d and WIDTH=%0d have to be at least 1", DEPTH, WIDTH);
    end

    // Only the attribute uses it, which a simulator does not read.
    /* verilator lint_off UNUSEDPARAM */
`ifdef YOSYS
    localparam STYLE = BLOCK ? "block" : "logic";
`else
    localparam STYLE = BLOCK ? "block" : "distributed";
`endif
    /* verilator lint_on UNUSEDPARAM */

    (* rom_style = STYLE *) logic [WIDTH-1:0] mem[DEPTH];

    initial if (FILE != "") $readmemh(FILE, mem);

    logic [WIDTH-1:0] found;
    always_ff @(posedge ap_clk) if (enable) found <= mem[addr];

    if (BLOCK) begin : g_register
        always_ff @(posedge ap_clk) if (enable) word <= found;
    end else begin : g_wire
        assign word = found;
    end

endmodule
