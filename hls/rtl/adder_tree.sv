// Sum of N unsigned numbers, modulo 2**SUM_BITS. A pipeline of $clog2(N) cycles, a register behind every level; all advance with
// `enable`.
module adder_tree #(
    parameter int unsigned N        = 4,
    parameter int unsigned BITS     = 4,
    parameter int unsigned SUM_BITS = 8
) (
    input  logic                   ap_clk,
    input  logic                   enable,
    input  logic [N-1:0][BITS-1:0] operand,
    output logic [SUM_BITS-1:0]    sum
);

    if (N < 2 || BITS < 1 || SUM_BITS < 1) begin : g_check
        $error("adder_tree: N=%0d has to be at least 2, BITS=%0d and SUM_BITS=%0d at least 1", N, BITS, SUM_BITS);
    end

    localparam int unsigned LEVELS = $clog2(N);

    for (genvar l = 0; l <= LEVELS; l++) begin : g_level
        localparam int unsigned COUNT = (N + (1 << l) - 1) >> l;
        localparam int unsigned WIDE  = BITS + l < SUM_BITS ? BITS + l : SUM_BITS;
        logic [COUNT-1:0][WIDE-1:0] value;

        if (l == 0) begin : g_first
            for (genvar i = 0; i < N; i++) begin : g_operand
                assign value[i] = WIDE'(operand[i]);
            end
        end else begin : g_sum
            localparam int unsigned BEFORE = (N + (1 << (l - 1)) - 1) >> (l - 1);
            for (genvar i = 0; i < COUNT; i++) begin : g_pair
                if (2 * i + 1 < BEFORE) begin : g_two
                    always_ff @(posedge ap_clk)
                        if (enable) value[i] <= WIDE'(g_level[l-1].value[2*i]) + WIDE'(g_level[l-1].value[2*i+1]);
                end else begin : g_one
                    always_ff @(posedge ap_clk) if (enable) value[i] <= WIDE'(g_level[l-1].value[2*i]);
                end
            end
        end
    end

    assign sum = SUM_BITS'(g_level[LEVELS].value[0]);

endmodule
