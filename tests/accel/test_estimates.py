"""The estimate of a matrix-vector unit against what Yosys made of FINN's RTL."""

import pytest
from onnx import helper

from hwprune.accel.estimates import mvau_luts

# (PE, SIMD, bits of weights, of inputs, of sums) -> LUTs: Yosys 0.70, synth_xilinx -flatten -abc9 -arch xc7, of
# mvu_vvu_axi of finn-plus 1.6.1 (DSP48E1), MW = 8 SIMD, MH = 8 PE.
SYNTHESISED = {
    (1, 4, 4, 4, 13): 122,
    (1, 16, 4, 4, 15): 333,
    (4, 4, 4, 4, 13): 523,
    (4, 8, 4, 4, 14): 773,
    (4, 16, 4, 4, 15): 1356,
    (4, 36, 4, 4, 17): 2897,
    (8, 9, 4, 4, 15): 1744,
    (8, 16, 4, 4, 15): 2658,
    (8, 36, 4, 4, 17): 5468,
    (16, 16, 4, 4, 15): 5219,
    (4, 8, 8, 8, 22): 1107,
    (4, 16, 4, 8, 19): 1834,
    (8, 9, 8, 8, 23): 2828,
}


@pytest.mark.parametrize(("unit", "luts"), SYNTHESISED.items())
def test_luts_of_a_matrix_vector_unit(unit, luts):
    pe, simd, weight_bits, input_bits, sum_bits = unit
    node = helper.make_node("MVAU_rtl", ["x", "w"], ["y"], domain="finn.custom_op.fpgadataflow.rtl", PE=pe, SIMD=simd,
                            MW=8 * simd, MH=8 * pe, inputDataType=f"UINT{input_bits}",
                            weightDataType=f"INT{weight_bits}", outputDataType=f"INT{sum_bits}",
                            accDataType=f"INT{sum_bits}", core="finn")  # fmt: skip
    assert mvau_luts(node) == pytest.approx(luts, rel=0.13)
