// Sum of N products in LUTs, modulo 2**SUM_BITS: x unsigned, w in two's complement. Bit by bit of the weights: of two inputs the
// rows x & w[b] are added in one LUT a bit, then the rows of all pairs, then the sums of the bits. The highest bit counts less
// than nothing: its sum P, of BITS bits, is added as ~P = 2**BITS - 1 - P, so `sum` is 2**(W_BITS-1) * (2**BITS - 1) too much.
// Latency 1 + $clog2(pairs of inputs) + $clog2(W_BITS); all advance with `enable`.
module lut_products #(
    parameter int unsigned N        = 4,
    parameter int unsigned X_BITS   = 4,
    parameter int unsigned W_BITS   = 4,
    parameter int unsigned SUM_BITS = 12
) (
    input  logic                     ap_clk,
    input  logic                     enable,
    input  logic [N-1:0][X_BITS-1:0] x,
    input  logic [N-1:0][W_BITS-1:0] w,
    output logic [SUM_BITS-1:0]      sum
);

    if (N < 1 || X_BITS < 1 || W_BITS < 2 || SUM_BITS < 1) begin : g_check
        $error("lut_products: N=%0d, X_BITS=%0d and SUM_BITS=%0d have to be at least 1, W_BITS=%0d at least 2", N, X_BITS,
               SUM_BITS, W_BITS);
    end

    localparam int unsigned PAIRS  = (N + 1) / 2;
    localparam int unsigned BITS   = X_BITS + 1 + $clog2(PAIRS);  // of the sum of a bit
    localparam int unsigned LEVELS = $clog2(W_BITS);

    logic [W_BITS-1:0][BITS-1:0] plane;

    for (genvar b = 0; b < W_BITS; b++) begin : g_bit
        logic [PAIRS-1:0][X_BITS:0] row;

        for (genvar i = 0; i < PAIRS; i++) begin : g_pair
            if (2 * i + 1 < N) begin : g_two
                always_ff @(posedge ap_clk)
                    if (enable)
                        row[i] <= (X_BITS + 1)'(x[2*i] & {X_BITS{w[2*i][b]}})
                                + (X_BITS + 1)'(x[2*i+1] & {X_BITS{w[2*i+1][b]}});
            end else begin : g_one
                always_ff @(posedge ap_clk) if (enable) row[i] <= (X_BITS + 1)'(x[2*i] & {X_BITS{w[2*i][b]}});
            end
        end

        if (PAIRS == 1) begin : g_single
            assign plane[b] = row[0];
        end else begin : g_several
            adder_tree #(
                .N       (PAIRS),
                .BITS    (X_BITS + 1),
                .SUM_BITS(BITS)
            ) tree (
                .ap_clk (ap_clk),
                .enable (enable),
                .operand(row),
                .sum    (plane[b])
            );
        end
    end

    // In pairs of neighbours: the higher of two is worth 2**(2**(l-1)) of the lower.
    for (genvar l = 0; l <= LEVELS; l++) begin : g_level
        localparam int unsigned COUNT = (W_BITS + (1 << l) - 1) >> l;
        localparam int unsigned WIDE  = BITS + (1 << l) < SUM_BITS ? BITS + (1 << l) : SUM_BITS;
        logic [COUNT-1:0][WIDE-1:0] value;

        if (l == 0) begin : g_first
            for (genvar i = 0; i < COUNT; i++) begin : g_plane
                assign value[i] = WIDE'(plane[i] ^ {BITS{i + 1 == W_BITS}});
            end
        end else begin : g_sum
            localparam int unsigned BEFORE = (W_BITS + (1 << (l - 1)) - 1) >> (l - 1);
            for (genvar i = 0; i < COUNT; i++) begin : g_pair
                wire [WIDE-1:0] low = WIDE'(g_level[l-1].value[2*i]);
                if (2 * i + 1 < BEFORE) begin : g_two
                    wire [WIDE-1:0] high = WIDE'(g_level[l-1].value[2*i+1]) << (1 << (l - 1));
                    always_ff @(posedge ap_clk) if (enable) value[i] <= low + high;
                end else begin : g_one
                    always_ff @(posedge ap_clk) if (enable) value[i] <= low;
                end
            end
        end
    end

    assign sum = SUM_BITS'(g_level[LEVELS].value[0]);

endmodule
