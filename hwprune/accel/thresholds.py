"""The activation of a layer as integer thresholds, found by searching the very function that the network evaluates.

A layer's activation is a rising function of one integer, the convolution's sum: scale, shift, LeakyReLU or ReLU, round,
clamp. The chip computes it as ``lowest + (number of thresholds that are <= sum)`` (FINN's Thresholding, QONNX's
MultiThreshold). The search evaluates the same float32 operations as the network, so that ties and roundings fall the
same way: no threshold is ever off by one, LeakyReLU included.
"""

from collections.abc import Callable

import numpy as np
from onnx import NodeProto
from qonnx.core.datatype import BaseDataType, DataType
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.custom_op.registry import getCustomOp

from hwprune.errors import UserError

Function = Callable[[np.ndarray], np.ndarray]


def activation_thresholds(function: Function, channels: int, output: BaseDataType, low: int, high: int) -> np.ndarray:
    """Thresholds of a rising integer function.

    Parameters
    ----------
    function
        Maps float32 integers of shape (channels, n) to integers of the same shape, channel by channel, never falling.
    channels
        Number of channels.
    output
        Integer data type of the result.
    low, high
        The sums that can occur, both included.

    Returns
    -------
    ndarray
        float32 integers, shape (channels, steps), rising: step k of a channel is the least sum whose result is at least
        ``output.min() + k + 1``; ``low`` if all sums reach it, ``high + 1`` if none does.
    """
    levels = np.arange(output.min() + 1, output.max() + 1, dtype=np.float32)[None, :]
    least = np.full((channels, levels.shape[1]), low, dtype=np.int64)
    beyond = np.full_like(least, high + 1)
    while np.any(least < beyond):
        middle = (least + beyond) // 2
        reached = function(middle.astype(np.float32)) >= levels
        beyond = np.where(reached, middle, beyond)
        least = np.where(reached, least, np.minimum(middle + 1, beyond))
    return least.astype(np.float32)


def elementwise_chain(model: ModelWrapper, tensor: str) -> tuple[Function, list[NodeProto]]:
    """The float32 function from ``tensor`` (N, C, H, W) up to the next Quant node, or to the graph's output.

    Returns
    -------
    function
        Takes and gives arrays of shape (C, n).
    nodes
        The nodes it stands for, in order; the last is a Quant node unless the graph ends before one.

    Raises
    ------
    UserError
        At an operator that is no rising function of one value.
    """
    steps: list[Function] = []
    nodes: list[NodeProto] = []
    while True:
        consumers = model.find_consumers(tensor)
        if not consumers:
            break
        if len(consumers) > 1:
            raise UserError(f"tensor {tensor!r}: a convolution's sums are read by {len(consumers)} nodes; only one can")
        (node,) = consumers
        nodes.append(node)
        steps.append(_step(model, node))
        tensor = node.output[0]
        if node.op_type == "Quant":
            break

    def function(x: np.ndarray) -> np.ndarray:
        for step in steps:
            x = step(x)
        return x

    return function, nodes


def _step(model: ModelWrapper, node: NodeProto) -> Function:
    match node.op_type:
        case "Mul":
            factor = _per_channel(model, node)
            if np.any(factor < 0):
                raise UserError(
                    f"node {node.name!r}: a negative scale makes the activation fall; negate the weights instead"
                )
            return lambda x: x * factor
        case "Add":
            addend = _per_channel(model, node)
            return lambda x: x + addend
        case "Relu":
            return lambda x: np.maximum(x, np.float32(0))
        case "LeakyRelu":
            slope = np.float32(next((a.f for a in node.attribute if a.name == "alpha"), 0.01))
            return lambda x: np.where(x < 0, x * slope, x)
        case "Quant":
            return _rounding(model, node)
        case other:
            raise UserError(
                f"node {node.name!r}: {other} between a convolution and its quantiser cannot become thresholds"
            )


def _rounding(model: ModelWrapper, node: NodeProto) -> Function:
    scale, zero_point = (model.get_initializer(node.input[i]) for i in (1, 2))
    if np.any(scale != 1) or np.any(zero_point != 0):
        raise UserError(f"node {node.name!r}: the graph must be in integer form (scale 1, zero point 0)")
    output = getCustomOp(node).get_integer_datatype(model)
    return lambda x: np.round(np.clip(x, np.float32(output.min()), np.float32(output.max())))


def _per_channel(model: ModelWrapper, node: NodeProto) -> np.ndarray:
    values = [v for v in (model.get_initializer(i) for i in node.input) if v is not None]
    if len(values) != 1:
        raise UserError(f"node {node.name!r}: {node.op_type} needs one constant operand to become thresholds")
    return np.asarray(values[0], np.float32).reshape(-1, 1)


def sum_range(weights: np.ndarray, values: BaseDataType) -> tuple[int, int]:
    """Least and largest sum that ``weights`` (sums, inputs) can give on inputs of the data type ``values``."""
    positive, negative = np.clip(weights, 0, None).sum(1), np.clip(weights, None, 0).sum(1)
    low = (positive * values.min() + negative * values.max()).min()
    high = (positive * values.max() + negative * values.min()).max()
    # Zero is always possible where a border is padded.
    return min(int(low), 0), max(int(high), 0)


def sum_type(low: int, high: int) -> BaseDataType:
    """The smallest signed data type for the sums ``low`` to ``high`` that also holds the threshold ``high + 1``."""
    bits = max(int(low + 1).bit_length() if low < 0 else 0, int(high + 1).bit_length()) + 1
    return DataType[f"INT{max(bits, 2)}"]
