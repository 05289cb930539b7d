// A MAC PE for comparison: if (valid) acc = (first ? 0 : acc) + sum_i x_i * w_i, x unsigned, w signed, both of 4 bits, modulo
// 2**ACC_BITS. A pipeline whose flip-flops advance with `en`. METHOD:
//   0  `*` and `+`, and the synthesis does what it can
//   1  a product is two functions of six inputs, x * w[1:0] and x * w[3:2], each the shape of a LUT; two adder trees
//   2  bits of the weights: rows x_i * w_i[b] + x_k * w_k[b] are one LUT a bit, with the ANDs inside; an adder tree a bit
//   3  as 2, with ternary adders: two rows and the row of a fifth connection, whose ANDs fit into the adder; these in threes; then the
//      planes, and the plane of the sign with the accumulator
module mac_pe #(
    parameter int unsigned SIMD     = 16,
    parameter int unsigned ACC_BITS = 16,
    parameter int unsigned METHOD   = 3
) (
    input  logic                 clk,
    input  logic                 en,
    input  logic                 valid,
    input  logic                 first,
    input  logic [SIMD-1:0][3:0] x,
    input  logic [SIMD-1:0][3:0] w,
    output logic [ACC_BITS-1:0]  acc
);

    if (SIMD < 2 || METHOD > 3) begin : g_check
        $error("mac_pe: SIMD=%0d has to be at least 2, METHOD=%0d at most 3", SIMD, METHOD);
    end

    // Widest sum of a beat: 15 * -8 * SIMD.
    localparam int unsigned SUM_BITS = 8 + $clog2(SIMD);

    if (METHOD == 0) begin : g_star
        logic signed [SIMD-1:0][7:0] product;
        logic [SUM_BITS-1:0]         sum;
        for (genvar i = 0; i < SIMD; i++) begin : g_product
            wire signed [8:0] full = 9'($signed({1'b0, x[i]})) * 9'($signed(w[i]));
            wire unused = &{1'b0, full[8]};
            always_ff @(posedge clk) if (en) product[i] <= full[7:0];
        end
        signed_tree #(.N(SIMD), .BITS(8)) tree (.clk, .en, .operand(product), .sum);
        accumulator #(.BITS(SUM_BITS), .ACC_BITS(ACC_BITS), .LATENCY(1 + $clog2(SIMD))) last (.clk, .en, .valid, .first, .sum, .acc);
    end

    if (METHOD == 1) begin : g_digits
        logic [SIMD-1:0][5:0]         low, high;
        logic [5+$clog2(SIMD):0]      low_sum, high_sum;
        logic [SUM_BITS-1:0]          sum;
        for (genvar i = 0; i < SIMD; i++) begin : g_product
            always_ff @(posedge clk) begin
                if (en) begin
                    case (w[i][1:0])
                        2'd0: low[i] <= '0;
                        2'd1: low[i] <= 6'(x[i]);
                        2'd2: low[i] <= 6'({x[i], 1'b0});
                        2'd3: low[i] <= 6'(x[i]) * 6'd3;
                    endcase
                    case (w[i][3:2])
                        2'd0: high[i] <= '0;
                        2'd1: high[i] <= 6'(x[i]);
                        2'd2: high[i] <= -6'({x[i], 1'b0});
                        2'd3: high[i] <= -6'(x[i]);
                    endcase
                end
            end
        end
        adder_tree #(
            .N(SIMD), .BITS(6), .SUM_BITS(6 + $clog2(SIMD))
        ) low_tree (
            .ap_clk(clk), .enable(en), .operand(low), .sum(low_sum)
        );
        signed_tree #(.N(SIMD), .BITS(6)) high_tree (.clk, .en, .operand(high), .sum(high_sum));
        always_ff @(posedge clk) if (en) sum <= SUM_BITS'(low_sum) + SUM_BITS'($signed({high_sum, 2'b00}));
        accumulator #(.BITS(SUM_BITS), .ACC_BITS(ACC_BITS), .LATENCY(2 + $clog2(SIMD))) last (.clk, .en, .valid, .first, .sum, .acc);
    end

    if (METHOD == 2) begin : g_rows
        localparam int unsigned ROWS = (SIMD + 1) / 2;
        localparam int unsigned BITS = 5 + $clog2(ROWS);
        logic [3:0][BITS-1:0] plane;
        for (genvar b = 0; b < 4; b++) begin : g_plane
            logic [ROWS-1:0][4:0] row;
            for (genvar i = 0; i < ROWS; i++) begin : g_row
                localparam int unsigned K = 2 * i + 1 < SIMD ? 2 * i + 1 : 2 * i;
                wire [3:0] other = K == 2 * i ? '0 : x[K] & {4{w[K][b]}};
                always_ff @(posedge clk) if (en) row[i] <= 5'(x[2*i] & {4{w[2*i][b]}}) + 5'(other);
            end
            adder_tree #(
                .N(ROWS), .BITS(5), .SUM_BITS(BITS)
            ) tree (
                .ap_clk(clk), .enable(en), .operand(row), .sum(plane[b])
            );
        end
        logic [BITS+1:0]     even, odd;
        logic [SUM_BITS-1:0] sum;
        always_ff @(posedge clk) begin
            if (en) begin
                even <= (BITS + 2)'(plane[0]) + (BITS + 2)'({plane[1], 1'b0});
                odd  <= (BITS + 2)'(plane[2]) - (BITS + 2)'({plane[3], 1'b0});
                sum  <= SUM_BITS'(even) + SUM_BITS'($signed({odd, 2'b00}));
            end
        end
        accumulator #(.BITS(SUM_BITS), .ACC_BITS(ACC_BITS), .LATENCY(3 + $clog2(ROWS))) last (.clk, .en, .valid, .first, .sum, .acc);
    end

    if (METHOD == 3) begin : g_ternary
        // For each bit of the weights: a number of five connections each, one of six if one would be left over, and the rows of others.
        localparam int unsigned SIXES  = SIMD % 5 == 1 ? 1 : 0;
        localparam int unsigned FIVES  = (SIMD - 6 * SIXES) / 5;
        localparam int unsigned BEGIN  = 5 * FIVES + 6 * SIXES;
        localparam int unsigned LEFT   = (SIMD - BEGIN + 1) / 2;
        localparam int unsigned COUNT  = FIVES + SIXES + LEFT;
        localparam int unsigned LEVELS = COUNT > 9 ? 3 : COUNT > 3 ? 2 : COUNT > 1 ? 1 : 0;
        localparam int unsigned BITS   = $clog2(15 * SIMD + 1);

        logic [3:0][BITS-1:0] plane;
        for (genvar b = 0; b < 4; b++) begin : g_plane
            logic [COUNT-1:0][6:0] number;
            for (genvar g = 0; g < FIVES + SIXES; g++) begin : g_group
                logic [4:0] left, right, third;
                logic       third_on;
                wire  [6:0] sum;
                ternary_adder #(
                    .WIDTH(7)
                ) add (
                    .a(7'(left)), .b(7'(right)), .c(7'(third)), .c_on(third_on), .carry_in(1'b0), .s(sum)
                );
                always_ff @(posedge clk) begin
                    if (en) begin
                        left      <= 5'(x[5*g] & {4{w[5*g][b]}}) + 5'(x[5*g+1] & {4{w[5*g+1][b]}});
                        right     <= 5'(x[5*g+2] & {4{w[5*g+2][b]}}) + 5'(x[5*g+3] & {4{w[5*g+3][b]}});
                        number[g] <= sum;
                    end
                end
                if (g < FIVES) begin : g_five
                    always_ff @(posedge clk) if (en) {third, third_on} <= {1'b0, x[5*g+4], w[5*g+4][b]};
                end else begin : g_six
                    assign third_on = 1'b1;
                    always_ff @(posedge clk)
                        if (en) third <= 5'(x[5*g+4] & {4{w[5*g+4][b]}}) + 5'(x[5*g+5] & {4{w[5*g+5][b]}});
                end
            end
            for (genvar i = 0; i < LEFT; i++) begin : g_left
                localparam int unsigned A = BEGIN + 2 * i;
                localparam int unsigned K = A + 1 < SIMD ? A + 1 : A;
                wire  [3:0] other = K == A ? '0 : x[K] & {4{w[K][b]}};
                logic [4:0] row;
                always_ff @(posedge clk) begin
                    if (en) begin
                        row                   <= 5'(x[A] & {4{w[A][b]}}) + 5'(other);
                        number[FIVES+SIXES+i] <= 7'(row);
                    end
                end
            end
            ternary_tree #(
                .N(COUNT), .MOST(90), .LEVELS(LEVELS), .BITS(BITS)
            ) tree (
                .clk, .en, .operand(number), .sum(plane[b])
            );
        end

        // plane 0 + 2 * plane 1 + 4 * plane 2, and in the accumulator -8 * plane 3 = {~plane 3, 111} + 1.
        logic [LEVELS+2:0]   firsts, valids;
        logic [BITS+2:0]     low;
        logic [BITS-1:0]     sign;
        wire  [BITS+2:0]     next_low;
        wire  [ACC_BITS-1:0] next;
        assign next_low[0] = plane[0][0];
        ternary_adder #(
            .WIDTH(BITS + 2)
        ) add_low (
            .a((BITS + 2)'(plane[0][BITS-1:1])), .b((BITS + 2)'(plane[1])), .c((BITS + 2)'({plane[2], 1'b0})), .c_on(1'b1),
            .carry_in(1'b0), .s(next_low[BITS+2:1])
        );
        ternary_adder #(
            .WIDTH(ACC_BITS)
        ) add_acc (
            .a(ACC_BITS'($signed({1'b1, ~sign, 3'b111}))), .b(ACC_BITS'(low)), .c(acc), .c_on(!firsts[LEVELS+2]), .carry_in(1'b1),
            .s(next)
        );
        always_ff @(posedge clk) begin
            if (en) begin
                valids <= {valids[LEVELS+1:0], valid};
                firsts <= {firsts[LEVELS+1:0], first};
                low    <= next_low;
                sign   <= plane[3];
                if (valids[LEVELS+2]) acc <= next;
            end
        end
    end

endmodule

// Sum of signed numbers, a register behind each level of pairs.
module signed_tree #(
    parameter int unsigned N    = 4,
    parameter int unsigned BITS = 4,
    localparam int unsigned LEVELS = $clog2(N)
) (
    input  logic                   clk,
    input  logic                   en,
    input  logic [N-1:0][BITS-1:0] operand,
    output logic [BITS+LEVELS-1:0] sum
);
    for (genvar l = 0; l <= LEVELS; l++) begin : g_level
        localparam int unsigned COUNT  = (N + (1 << l) - 1) >> l;
        localparam int unsigned HALF   = (1 << l) / 2;
        localparam int unsigned BEFORE = l == 0 ? N : (N + HALF - 1) / (l == 0 ? 1 : HALF);
        logic signed [BITS+l-1:0] value[COUNT];
        for (genvar i = 0; i < COUNT; i++) begin : g_value
            if (l == 0) begin : g_operand
                assign value[i] = operand[i];
            end else begin : g_sum
                wire signed [BITS+l-1:0] even = (BITS + l)'(g_level[l-1].value[2*i]);
                if (2 * i + 1 < BEFORE) begin : g_two
                    wire signed [BITS+l-1:0] odd = (BITS + l)'(g_level[l-1].value[2*i+1]);
                    always_ff @(posedge clk) if (en) value[i] <= even + odd;
                end else begin : g_one
                    always_ff @(posedge clk) if (en) value[i] <= even;
                end
            end
        end
    end
    assign sum = g_level[LEVELS].value[0];
endmodule

// Sum of unsigned numbers of at most MOST by LEVELS of ternary adders, a register behind each.
module ternary_tree #(
    parameter int unsigned N      = 4,
    parameter int unsigned MOST   = 75,
    parameter int unsigned LEVELS = 1,
    parameter int unsigned BITS   = 9
) (
    input  logic                             clk,
    input  logic                             en,
    input  logic [N-1:0][$clog2(MOST+1)-1:0] operand,
    output logic [BITS-1:0]                  sum
);
    for (genvar l = 0; l <= LEVELS; l++) begin : g_level
        localparam int unsigned COUNT  = (N + 3 ** l - 1) / 3 ** l;
        localparam int unsigned THIRD  = l == 0 ? 1 : 3 ** l / 3;
        localparam int unsigned BEFORE = (N + THIRD - 1) / THIRD;
        localparam int unsigned WIDE   = $clog2(MOST * (3 ** l < N ? 3 ** l : N) + 1);
        logic [COUNT-1:0][WIDE-1:0] value;
        for (genvar i = 0; i < COUNT; i++) begin : g_value
            if (l == 0) begin : g_operand
                assign value[i] = operand[i];
            end else if (3 * i + 2 < BEFORE) begin : g_three
                wire [WIDE-1:0] added;
                ternary_adder #(
                    .WIDTH(WIDE)
                ) add (
                    .a(WIDE'(g_level[l-1].value[3*i])), .b(WIDE'(g_level[l-1].value[3*i+1])), .c(WIDE'(g_level[l-1].value[3*i+2])),
                    .c_on(1'b1), .carry_in(1'b0), .s(added)
                );
                always_ff @(posedge clk) if (en) value[i] <= added;
            end else if (3 * i + 1 < BEFORE) begin : g_two
                always_ff @(posedge clk)
                    if (en) value[i] <= WIDE'(g_level[l-1].value[3*i]) + WIDE'(g_level[l-1].value[3*i+1]);
            end else begin : g_one
                always_ff @(posedge clk) if (en) value[i] <= WIDE'(g_level[l-1].value[3*i]);
            end
        end
    end
    assign sum = BITS'(g_level[LEVELS].value[0]);
endmodule

// If (valid) acc = (first ? 0 : acc) + sum, where `valid` and `first` come LATENCY cycles before their sum.
module accumulator #(
    parameter int unsigned BITS     = 12,
    parameter int unsigned ACC_BITS = 16,
    parameter int unsigned LATENCY  = 5
) (
    input  logic                clk,
    input  logic                en,
    input  logic                valid,
    input  logic                first,
    input  logic [BITS-1:0]     sum,
    output logic [ACC_BITS-1:0] acc
);
    logic [LATENCY-1:0] valids, firsts;
    always_ff @(posedge clk) begin
        if (en) begin
            valids <= LATENCY'({valids, valid});
            firsts <= LATENCY'({firsts, first});
            if (valids[LATENCY-1]) acc <= (firsts[LATENCY-1] ? '0 : acc) + ACC_BITS'($signed(sum));
        end
    end
endmodule
