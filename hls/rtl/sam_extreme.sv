// a = max_i sat(u_i * 2**X_SHIFT - q_i * 2**Q_SHIFT), where sat turns what is negative into 0. All numbers are unsigned.
// A pipeline of sam_pkg::extreme_latency(N) cycles, all of which advance with `en`; nothing is reset.
module sam_extreme #(
    parameter int unsigned N       = 4,
    parameter int unsigned U_BITS  = 4,
    parameter int unsigned Q_BITS  = 4,
    parameter int unsigned X_SHIFT = 0,
    parameter int unsigned Q_SHIFT = 0
) (
    input  logic                       clk,
    input  logic                       en,
    input  logic [N-1:0][U_BITS-1:0]   u,
    input  logic [N-1:0][Q_BITS-1:0]   q,
    output logic [U_BITS+X_SHIFT-1:0]  a
);

    if (N < 1 || U_BITS < 1 || Q_BITS < 1) begin : g_check
        $error("sam_extreme: N=%0d, U_BITS=%0d, Q_BITS=%0d have to be at least 1", N, U_BITS, Q_BITS);
    end

    localparam int unsigned BITS   = U_BITS + X_SHIFT;
    localparam int unsigned LEVELS = $clog2(N);
    localparam int unsigned WIDE   = BITS > Q_BITS + Q_SHIFT ? BITS : Q_BITS + Q_SHIFT;

    // g_level[l].value: what is left after l levels of maxima; an odd one out passes.
    for (genvar l = 0; l <= LEVELS; l++) begin : g_level
        localparam int unsigned COUNT = (N + (1 << l) - 1) >> l;
        logic [COUNT-1:0][BITS-1:0] value, found;

        if (l == 0) begin : g_difference
            for (genvar i = 0; i < N; i++) begin : g_operand
                wire [WIDE-1:0] minuend    = WIDE'(u[i]) << X_SHIFT;
                wire [WIDE-1:0] subtrahend = WIDE'(q[i]) << Q_SHIFT;
                assign found[i] = minuend > subtrahend ? BITS'(minuend - subtrahend) : '0;
            end
        end else begin : g_maximum
            localparam int unsigned BEFORE = (N + (1 << (l - 1)) - 1) >> (l - 1);
            for (genvar i = 0; i < COUNT; i++) begin : g_pair
                if (2 * i + 1 < BEFORE) begin : g_two
                    wire [BITS-1:0] even = g_level[l-1].value[2*i];
                    wire [BITS-1:0] odd  = g_level[l-1].value[2*i+1];
                    assign found[i] = odd > even ? odd : even;
                end else begin : g_one
                    assign found[i] = g_level[l-1].value[2*i];
                end
            end
        end

        if (l == 0 || (LEVELS - l) % 2 == 0) begin : g_register
            always_ff @(posedge clk) if (en) value <= found;
        end else begin : g_wire
            assign value = found;
        end
    end

    assign a = g_level[LEVELS].value[0];

endmodule
