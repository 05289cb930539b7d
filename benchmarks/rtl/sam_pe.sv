// A SAM PE as in hls/rtl/samvau.sv, for comparison: the same leaves, adder tree and accumulator, with codes and signs that stream in.
// GROUP 0: all inputs of all beats share a maximum; acc is then A, or A - B, of the beats up to now.
module sam_pe #(
    parameter int unsigned SIMD     = 16,
    parameter int unsigned GROUP    = 4,
    parameter int unsigned SETS     = 1,
    parameter bit          MIN      = 0,
    parameter bit          SIGNS    = 1,
    parameter int unsigned BITS     = 4,
    parameter int unsigned Q_BITS   = 4,
    parameter int unsigned Q_SHIFT  = 0,
    parameter int unsigned ACC_BITS = 12,
    localparam int unsigned TERMS = GROUP == 0 ? 1 : SIMD / GROUP
) (
    input  logic                                        clk,
    input  logic                                        en,
    input  logic                                        valid,
    input  logic                                        first,
    input  logic [SIMD-1:0][BITS-1:0]                   x,
    input  logic [SETS-1:0][SIMD-1:0][Q_BITS-1:0]       q,
    input  logic [TERMS-1:0]                            negative,
    output logic [ACC_BITS-1:0]                         acc
);

    localparam int unsigned LEAF    = SIMD / TERMS;
    localparam int unsigned EXTREME = sam_pkg::extreme_latency(LEAF);
    localparam int unsigned TREE    = $clog2(SETS * TERMS);
    localparam int unsigned LATENCY = EXTREME + TREE;

    logic [LATENCY:0] valids, firsts;
    assign {valids[0], firsts[0]} = {valid, first};
    always_ff @(posedge clk) if (en) {valids[LATENCY:1], firsts[LATENCY:1]} <= {valids[LATENCY-1:0], firsts[LATENCY-1:0]};

    logic [TERMS-1:0] inverted;
    if (SIGNS) begin : g_signs
        delay_line #(.WIDTH(TERMS), .CYCLES(EXTREME)) beside (.ap_clk(clk), .enable(en), .in(negative), .out(inverted));
    end else begin : g_no_signs
        assign inverted = '0;
        wire unused = &{1'b0, negative};
    end

    logic [SETS-1:0][TERMS-1:0][BITS-1:0] part;
    for (genvar s = 0; s < SETS; s++) begin : g_set
        for (genvar t = 0; t < TERMS; t++) begin : g_term
            sam_extreme #(
                .N(LEAF), .U_BITS(BITS), .Q_BITS(Q_BITS), .Q_SHIFT(Q_SHIFT)
            ) leaf (
                .clk, .en, .u(s == 1 && MIN ? ~x[t*LEAF+:LEAF] : x[t*LEAF+:LEAF]), .q(q[s][t*LEAF+:LEAF]), .a(part[s][t])
            );
        end
    end

    if (GROUP == 0) begin : g_field
        logic [SETS-1:0][BITS-1:0] extreme;
        for (genvar s = 0; s < SETS; s++) begin : g_running
            always_ff @(posedge clk)
                if (en && valids[EXTREME] && (firsts[EXTREME] || part[s] > extreme[s])) extreme[s] <= part[s];
        end
        logic sign;
        always_ff @(posedge clk) if (en && valids[EXTREME]) sign <= inverted[0];
        if (SETS == 1) begin : g_one
            assign acc = ACC_BITS'(extreme[0] ^ {BITS{sign}});
        end else begin : g_two
            wire unused = &{1'b0, sign};
            always_ff @(posedge clk) if (en) acc <= ACC_BITS'(extreme[0]) - ACC_BITS'(extreme[SETS-1]);
        end
        wire unused = &{1'b0, firsts[LATENCY], valids[LATENCY]};
    end else begin : g_groups
        logic [SETS*TERMS-1:0][BITS-1:0] operand;
        for (genvar t = 0; t < TERMS; t++) begin : g_operand
            for (genvar s = 0; s < SETS; s++) begin : g_set
                assign operand[SETS*t+s] = part[s][t] ^ {BITS{inverted[t] ^ (s == 1)}};
            end
        end
        logic [ACC_BITS-1:0] terms;
        if (TREE == 0) begin : g_one
            assign terms = ACC_BITS'(operand);
        end else begin : g_several
            adder_tree #(
                .N(SETS * TERMS), .BITS(BITS), .SUM_BITS(ACC_BITS)
            ) tree (
                .ap_clk(clk), .enable(en), .operand, .sum(terms)
            );
        end
        always_ff @(posedge clk) if (en && valids[LATENCY]) acc <= (firsts[LATENCY] ? '0 : acc) + terms;
    end

endmodule
