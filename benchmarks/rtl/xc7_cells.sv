// The two 7-series cells that ternary_adder.sv places: as black boxes for synthesis, else what they do (AMD UG953).
`ifdef SYNTHESIS
(* blackbox *)
`endif
module LUT6_2 #(
    parameter logic [63:0] INIT = '0
) (
    input  logic I0, I1, I2, I3, I4, I5,
    output logic O5, O6
);
`ifndef SYNTHESIS
    assign O5 = INIT[{1'b0, I4, I3, I2, I1, I0}];
    assign O6 = INIT[{I5, I4, I3, I2, I1, I0}];
`endif
endmodule

`ifdef SYNTHESIS
(* blackbox *)
`endif
module CARRY4 (
    input  logic       CI,
    input  logic       CYINIT,
    input  logic [3:0] DI,
    input  logic [3:0] S,
    output logic [3:0] O,
    output logic [3:0] CO
);
`ifndef SYNTHESIS
    logic below;
    always_comb begin
        below = CI | CYINIT;
        for (int unsigned i = 0; i < 4; i++) begin
            O[i]  = S[i] ^ below;
            below = S[i] ? below : DI[i];
            CO[i] = below;
        end
    end
`endif
endmodule
