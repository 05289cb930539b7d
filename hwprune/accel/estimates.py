"""Estimates where FINN has none: the LUTs of its matrix-vector unit, which it counts as 0."""

from onnx import NodeProto
from qonnx.custom_op.registry import getCustomOp

_PRODUCT_LUTS = {True: 17.4, False: 24.0}
"""Of the adder trees behind the DSP slices, a product; whether both factors have at most 4 bits."""
_SUM_LUTS = 4.1
"""A bit of each accumulator: accumulation, the output queue and its multiplexer."""


def mvau_luts(node: NodeProto) -> float:
    """LUTs of FINN's matrix-vector unit (``mvu_vvu_axi.sv``) on 7-series parts, its weight memory not included.

    Fitted to syntheses by Yosys (synth_xilinx -abc9, xc7) of PE 1 to 16, SIMD 4 to 36, 4 and 8 bits, which it meets
    within 13 %.
    """
    operator = getCustomOp(node)
    pe, simd = operator.get_nodeattr("PE"), operator.get_nodeattr("SIMD")
    narrow = max(operator.get_input_datatype(i).bitwidth() for i in (0, 1)) <= 4
    return pe * simd * _PRODUCT_LUTS[narrow] + _SUM_LUTS * pe * operator.get_output_datatype().bitwidth()
