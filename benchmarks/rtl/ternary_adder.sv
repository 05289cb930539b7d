// s = a + b + (c_on ? c : 0) + carry_in, modulo 2**WIDTH. A 7-series ternary adder: a LUT and a bit of carry chain
// for each bit of three operands, which Vivado infers and Yosys does not, so the cells are placed here. A LUT's O5 is the bit's majority,
// which the next higher LUT adds to the XOR of its own three.
module ternary_adder #(
    parameter int unsigned WIDTH = 8
) (
    input  logic [WIDTH-1:0] a,
    input  logic [WIDTH-1:0] b,
    input  logic [WIDTH-1:0] c,
    input  logic             c_on,
    input  logic             carry_in,
    output logic [WIDTH-1:0] s
);

    localparam int unsigned QUADS = (WIDTH + 3) / 4;

    // Inputs from the lowest address bit on: a, b, c, c_on, the majority below.
    function automatic logic [63:0] table_of();
        logic [63:0] init;
        logic        in_a, in_b, in_c, in_m;
        for (int unsigned i = 0; i < 32; i++) begin
            in_a = i[0];
            in_b = i[1];
            in_c = i[2] & i[3];
            in_m = i[4];
            init[i]    = (in_a & in_b) | (in_a & in_c) | (in_b & in_c);
            init[i+32] = in_a ^ in_b ^ in_c ^ in_m;
        end
        return init;
    endfunction

    wire [4*QUADS-1:0] half, below, sum, carry;
    wire [WIDTH:0]     majority;

    assign majority[0] = 1'b0;
    for (genvar i = 0; i < 4 * QUADS; i++) begin : g_bit
        if (i < WIDTH) begin : g_lut
            LUT6_2 #(
                .INIT(table_of())
            ) lut (
                .I0(a[i]), .I1(b[i]), .I2(c[i]), .I3(c_on), .I4(majority[i]), .I5(1'b1), .O6(half[i]), .O5(majority[i+1])
            );
            assign below[i] = majority[i];
        end else begin : g_none
            assign half[i]  = 1'b0;
            assign below[i] = 1'b0;
        end
    end
    for (genvar i = 0; i < QUADS; i++) begin : g_carry
        wire into;
        if (i == 0) begin : g_first
            assign into = 1'b0;
        end else begin : g_chained
            assign into = carry[4*i-1];
        end
        CARRY4 chain (
            .CI(into), .CYINIT(i == 0 ? carry_in : 1'b0), .DI(below[4*i+:4]), .S(half[4*i+:4]), .O(sum[4*i+:4]), .CO(carry[4*i+:4])
        );
    end
    assign s = sum[WIDTH-1:0];

    wire unused = &{1'b0, majority[WIDTH], sum, carry};

endmodule
