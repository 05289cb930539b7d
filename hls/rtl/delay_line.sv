// `in` CYCLES later; only cycles with `enable` count. Not reset, so that it fits shift registers in LUTs.
module delay_line #(
    parameter int unsigned WIDTH  = 1,
    parameter int unsigned CYCLES = 1
) (
    input  logic             ap_clk,
    input  logic             enable,
    input  logic [WIDTH-1:0] in,
    output logic [WIDTH-1:0] out
);

    if (CYCLES == 0) begin : g_wire
        assign out = in;
        wire unused = &{1'b0, ap_clk, enable};
    end else begin : g_register
        logic [CYCLES-1:0][WIDTH-1:0] line;
        always_ff @(posedge ap_clk) begin
            if (enable) begin
                line[0] <= in;
                for (int unsigned i = 1; i < CYCLES; i++) line[i] <= line[i-1];
            end
        end
        assign out = line[CYCLES-1];
    end

endmodule
