// The SAM PE before distances, for comparison: acc = max_i(x_i + p_i) + min_i(x_i + n_i) over all inputs and beats, weights signed, so
// that sums and comparisons take six bits. A register behind the sums and behind every second level of comparisons.
module sam_wide_pe #(
    parameter int unsigned SIMD = 16
) (
    input  logic                 clk,
    input  logic                 en,
    input  logic                 first,
    input  logic [SIMD-1:0][3:0] x,
    input  logic [SIMD-1:0][3:0] p,
    input  logic [SIMD-1:0][3:0] n,
    output logic [6:0]           acc
);
    localparam int unsigned LEVELS  = $clog2(SIMD);
    localparam int unsigned LATENCY = 1 + (LEVELS + 1) / 2;

    for (genvar l = 0; l <= LEVELS; l++) begin : g_level
        localparam int unsigned COUNT = SIMD >> l;
        logic signed [5:0] high[COUNT], low[COUNT];
        for (genvar i = 0; i < COUNT; i++) begin : g_value
            logic signed [5:0] greater, less;
            if (l == 0) begin : g_sum
                assign greater = 6'(x[i]) + 6'($signed(p[i]));
                assign less    = 6'(x[i]) + 6'($signed(n[i]));
            end else begin : g_pair
                wire signed [5:0] a = g_level[l-1].high[2*i], b = g_level[l-1].high[2*i+1];
                wire signed [5:0] c = g_level[l-1].low[2*i], d = g_level[l-1].low[2*i+1];
                assign greater = a > b ? a : b;
                assign less    = c < d ? c : d;
            end
            if (l == 0 || (LEVELS - l) % 2 == 0) begin : g_register
                always_ff @(posedge clk) if (en) {high[i], low[i]} <= {greater, less};
            end else begin : g_wire
                assign high[i] = greater;
                assign low[i]  = less;
            end
        end
    end

    logic [LATENCY-1:0] firsts;
    logic signed [5:0]  greatest, least;
    wire  signed [5:0]  high = g_level[LEVELS].high[0], low = g_level[LEVELS].low[0];
    always_ff @(posedge clk) begin
        if (en) begin
            firsts <= LATENCY'({firsts, first});
            if (firsts[LATENCY-1] || high > greatest) greatest <= high;
            if (firsts[LATENCY-1] || low < least) least <= low;
            acc <= 7'(greatest) + 7'(least);
        end
    end
endmodule
