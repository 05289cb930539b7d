// A PE of weights -1 and 1, without multipliers: a SAM PE whose codes are all 0. Inputs and sums are those of sam_pe.sv.
module binary_pe #(
    parameter int unsigned SIMD     = 16,
    parameter int unsigned BITS     = 4,
    parameter int unsigned ACC_BITS = 12
) (
    input  logic                      clk,
    input  logic                      en,
    input  logic                      valid,
    input  logic                      first,
    input  logic [SIMD-1:0][BITS-1:0] x,
    input  logic [SIMD-1:0]           negative,
    output logic [ACC_BITS-1:0]       acc
);

    sam_pe #(
        .SIMD(SIMD), .GROUP(1), .SETS(1), .MIN(0), .SIGNS(1), .BITS(BITS), .Q_BITS(1), .Q_SHIFT(0), .ACC_BITS(ACC_BITS)
    ) unit (
        .clk, .en, .valid, .first, .x, .q('0), .negative, .acc
    );

endmodule
