// Products of N activations with LANES weights each, summed up inside of N DSP slices: a slice multiplies an activation with the
// weights of all lanes side by side in one factor, and adds what the slice before it has summed up. In the factor, lanes lie STEP
// bits apart; all but the highest hold w + 2**(W_BITS-1), so that no lane ever borrows from the next. `offset` makes up for it.
// Element i takes part LATE + i cycles after it comes, so the whole sum stands LATE + N + 2 cycles after the inputs; `offset` comes
// 2 + LATE cycles after its inputs. All advance with `enable`. Products of 8 bits are not worth a slice: they are in LUTs.
module dsp_chain #(
    parameter int unsigned N         = 4,
    parameter int unsigned LATE      = 0,
    parameter int unsigned LANES     = 3,
    parameter int unsigned STEP      = 10,
    parameter int unsigned X_BITS    = 4,
    parameter int unsigned W_BITS    = 4,
    parameter int unsigned LANE_BITS = 10,

    localparam int unsigned SUM_BITS = (LANES - 1) * STEP + LANE_BITS
) (
    input  logic                                   ap_clk,
    input  logic                                   enable,
    input  logic [N-1:0][X_BITS-1:0]               x,       // unsigned
    input  logic [LANES-1:0][N-1:0][W_BITS-1:0]    w,       // two's complement
    input  logic [SUM_BITS-1:0]                    offset,
    output logic [LANES-1:0][LANE_BITS-1:0]        sum
);

    if (N < 1 || LANES < 1 || LANE_BITS < 1) begin : g_check
        $error("dsp_chain: N=%0d, LANES=%0d and LANE_BITS=%0d have to be at least 1", N, LANES, LANE_BITS);
    end
    if (LANES > 1 && STEP < LANE_BITS) begin : g_check_step
        $error("dsp_chain: STEP=%0d is less than LANE_BITS=%0d", STEP, LANE_BITS);
    end

    localparam int unsigned FACTOR_BITS = (LANES - 1) * STEP + W_BITS;
    // Only the attribute uses it, which a simulator does not read.
    /* verilator lint_off UNUSEDPARAM */
    localparam STYLE = FACTOR_BITS + X_BITS > 8 ? "yes" : "no";
    /* verilator lint_on UNUSEDPARAM */

    for (genvar i = 0; i < N; i++) begin : g_slice
        logic [LANES-1:0][W_BITS-1:0] weights, weights_then;
        logic [X_BITS-1:0]            x_then;
        logic [FACTOR_BITS-1:0]       packed_weights;

        for (genvar l = 0; l < LANES; l++) begin : g_lane
            assign weights[l] = w[l][i];
        end

        delay_line #(
            .WIDTH (LANES * W_BITS + X_BITS),
            .CYCLES(LATE + i)
        ) wait_for_sum (
            .ap_clk(ap_clk),
            .enable(enable),
            .in    ({weights, x[i]}),
            .out   ({weights_then, x_then})
        );

        always_comb begin
            packed_weights = '0;
            for (int unsigned l = 0; l < LANES; l++) begin
                packed_weights[l*STEP+:W_BITS] = weights_then[l];
                if (l + 1 < LANES) packed_weights[l*STEP+W_BITS-1] = !weights_then[l][W_BITS-1];
            end
        end

        logic signed [FACTOR_BITS-1:0]        a;
        logic signed [X_BITS:0]               b;
        (* use_dsp = STYLE *)
        logic signed [FACTOR_BITS+X_BITS-1:0] product;
        /* verilator lint_off UNUSEDSIGNAL */  // above the highest lane only slices further on read
        logic        [SUM_BITS-1:0]           total;
        /* verilator lint_on UNUSEDSIGNAL */
        logic        [SUM_BITS-1:0]           so_far;

        if (i == 0) begin : g_first
            assign so_far = offset;
        end else begin : g_later
            assign so_far = g_slice[i-1].total;
        end

        always_ff @(posedge ap_clk) begin
            if (enable) begin
                a       <= packed_weights;
                b       <= {1'b0, x_then};
                product <= (FACTOR_BITS + X_BITS)'(a * b);
                total   <= SUM_BITS'(product) + so_far;
            end
        end
    end

    for (genvar l = 0; l < LANES; l++) begin : g_sum
        assign sum[l] = g_slice[N-1].total[l*STEP+:LANE_BITS];
    end

endmodule
