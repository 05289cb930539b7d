"""How deep the FIFOs are before they are sized: generous, and free of deadlock by construction; not minimal.

A join waits for its slowest branch while the fork before it feeds all of them. With a frame's room on every branch no
operator upstream ever waits for the join, so no cycle of waiting can form. For full speed a branch must also hold what
passes while the slower one is under way, which on small feature maps is several frames.
"""

import math
from collections.abc import Mapping

from onnx import NodeProto
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.custom_op.registry import getCustomOp

from hwprune.accel.fifo_storage import FifoSize

DEPTH = 256
"""Beats, where no branches meet: bursts of that length do not slow the chain down."""
MARGIN = 0.25
"""Of a frame, on top of the estimated difference between two branches."""


def set_fifo_depths(model: ModelWrapper, depth: int | None) -> None:
    """Ask for one FIFO a stream, at its reader, in place.

    Parameters
    ----------
    model
        Folded hardware graph; ``InsertFIFO`` then reads the nodes' ``inFIFODepths``.
    depth
        Beats, of every FIFO; None for depths that neither block nor slow down.
    """
    delays = _delays(model)
    for node in model.graph.node:
        operator = getCustomOp(node)
        streams = [i for i, name in enumerate(node.input) if model.get_initializer(name) is None]
        depths = [depth or DEPTH] * len(streams)
        if depth is None and len(streams) > 1:
            latest = max(delays[node.input[i]] for i in streams)
            for i in streams:
                frames = max(1.0, latest - delays[node.input[i]] + MARGIN)
                depths[i] = max(DEPTH, math.ceil(frames * _beats(operator, i)))
        operator.set_nodeattr("inFIFODepths", depths)
        operator.set_nodeattr("outFIFODepths", [2] * len(node.output))


def keep_to_block_ram(model: ModelWrapper, part: str) -> None:
    """FINN's deep FIFOs choose UltraRAM by size alone, but 7-series parts have none."""
    from finn.util.basic import get_dsp_block

    if get_dsp_block(part) != "DSP48E1":
        return
    for node in model.get_nodes_by_op_type("StreamingFIFO_rtl"):
        fifo = getCustomOp(node)
        if fifo.resolve_ram_style() == "ultra":
            fifo.set_nodeattr("ram_style", "block")


def resize(model: ModelWrapper, sizes: Mapping[str, FifoSize]) -> None:
    """Give FIFO nodes other sizes, in place."""
    for node in model.get_nodes_by_op_type("StreamingFIFO_rtl"):
        if node.name in sizes:
            depth, style = sizes[node.name]
            fifo = getCustomOp(node)
            fifo.set_nodeattr("depth", int(depth))
            fifo.set_nodeattr("ram_style", style)


def _delays(model: ModelWrapper) -> dict[str, float]:
    """For every stream, how long after the image's its first beat comes, in frames.

    In steady state each operator spreads a frame over the whole interval; one that needs ``r`` of ``h`` rows before it
    can answer is late by ``r / h``.
    """
    delays = {value.name: 0.0 for value in model.graph.input}
    for node in model.graph.node:
        arrival = max(delays[name] for name in node.input if name in delays)
        for name in node.output:
            delays[name] = arrival + _rows_needed(node) / int(getCustomOp(node).get_normal_input_shape(0)[1])
    return delays


def _rows_needed(node: NodeProto) -> int:
    operator = getCustomOp(node)
    match node.op_type:
        case "ConvolutionInputGenerator_rtl":
            kernel, dilation = operator.get_nodeattr("ConvKernelDim")[0], operator.get_nodeattr("Dilation")[0]
            return int(dilation * (kernel - 1) + 1)
        case "MaxPool2d_rtl":
            return operator.get_nodeattr("kernel")
        case "UpsampleNearestNeighbour_rtl":
            return 1
    return 0


def _beats(operator, index: int) -> int:
    return math.prod(int(extent) for extent in operator.get_folded_input_shape(index)[:-1])
