"""Estimates where FINN has none: the LUTs of its matrix-vector unit, which it counts as 0."""

from onnx import NodeProto
from qonnx.custom_op.registry import getCustomOp

from hwprune.accel.operators import units


def mvau_luts(node: NodeProto) -> float:
    """LUTs of a matrix-vector unit on 7-series parts; see `hwprune.accel.operators.units.mvau_luts`."""
    operator = getCustomOp(node)
    factor_bits = max(operator.get_input_datatype(i).bitwidth() for i in (0, 1))
    sum_bits = operator.get_output_datatype().bitwidth()
    return units.mvau_luts(operator.get_nodeattr("PE"), operator.get_nodeattr("SIMD"), factor_bits, sum_bits)
