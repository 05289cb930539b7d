// A shift register of which any word can be read: a LUT a bit for every 32 words. Vivado infers it from the behavioural
// half; Yosys, which would take flip-flops, gets the primitives with YOSYS_SRL defined, and for parts whose LUTs are no shift
// registers a circular LUT-RAM with SHIFT_IN_RAM.
module dynamic_srl #(
    int unsigned DEPTH = 32,
    int unsigned WIDTH = 8,
    localparam int unsigned TAP_BITS = DEPTH > 1 ? $clog2(DEPTH) : 1
) (
    input  logic                clk,
    input  logic                shift,
    input  logic [WIDTH-1:0]    d,
    input  logic [TAP_BITS-1:0] tap,  // 0 is the newest word
    output logic [WIDTH-1:0]    q
);
`ifdef YOSYS_SRL
    localparam int unsigned SEGMENTS = (DEPTH + 31) / 32;
    for (genvar i = 0; i < WIDTH; i++) begin : g_bit
        logic [SEGMENTS:0]   chain;
        logic [SEGMENTS-1:0] read;
        assign chain[0] = d[i];
        for (genvar s = 0; s < SEGMENTS; s++) begin : g_segment
            SRLC32E #(.INIT(0)) srl (.CLK(clk), .CE(shift), .D(chain[s]), .A(5'(tap)), .Q(read[s]), .Q31(chain[s+1]));
        end
        if (SEGMENTS == 1) assign q[i] = read[0];
        else               assign q[i] = read[tap >> 5];
    end
`elsif SHIFT_IN_RAM
    (* ram_style = "distributed" *) logic [WIDTH-1:0] words[2**TAP_BITS];
    /* verilator lint_off PROCASSINIT */
    logic [TAP_BITS-1:0] newest = '0;
    /* verilator lint_on PROCASSINIT */
    wire  [TAP_BITS-1:0] next = newest + 1'b1;
    always_ff @(posedge clk)
        if (shift) begin
            words[next] <= d;
            newest      <= next;
        end
    assign q = words[TAP_BITS'(newest - tap)];
`else
    (* shreg_extract = "yes" *) logic [WIDTH-1:0] words[DEPTH];
    always_ff @(posedge clk)
        if (shift) begin
            words[0] <= d;
            for (int unsigned i = 1; i < DEPTH; i++) words[i] <= words[i-1];
        end
    assign q = words[tap];
`endif
endmodule : dynamic_srl
