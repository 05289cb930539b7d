"""The options of a graph's operators, for `hwprune.accel.optimise`: folds, memory styles, DSP slices or LUTs."""

import itertools
import math
from collections.abc import Iterator
from dataclasses import replace

from onnx import NodeProto
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.custom_op.registry import getCustomOp

from hwprune.accel.fifo_storage import SHALLOW, FifoSize, fifo_control_luts, fifo_memory
from hwprune.accel.folding import fold_options, node_cycles, node_resources
from hwprune.accel.operator_costs import Amounts
from hwprune.accel.operators.units import width_converter_luts
from hwprune.accel.optimise import Link, Option, Problem, cached

STYLES = {
    "MVAU_rtl": {"core": ("dsp", "lut"), "ram_style": ("distributed", "block")},
    "SAMVAU_rtl": {"ram_style": ("distributed", "block")},
    "ConvolutionInputGenerator_rtl": {"ram_style": ("distributed", "block")},
}
"""Attributes of operators beside their folds that are free to be chosen, and their values."""


def problem(model: ModelWrapper, part: str) -> Problem:
    """All options of a graph without FIFOs and width converters, whose cost is that of its streams.

    Parameters
    ----------
    model
        Of `*_rtl` nodes; their attributes are as before afterwards.
    part
        FPGA part.
    """
    index = {node.name: number for number, node in enumerate(model.graph.node)}
    links = []
    for node in model.graph.node:
        for name in node.output:
            for reader in model.find_consumers(name) or ():
                bits = model.get_tensor_datatype(name).bitwidth()
                links.append(Link(index[node.name], index[reader.name], _stream_cost(bits)))
    return Problem([node_options(model, node, part) for node in model.graph.node], links)


def apply(model: ModelWrapper, found: Problem, chosen: tuple[int, ...]) -> None:
    """Set the attributes of the chosen options, in place."""
    for node, options, k in zip(model.graph.node, found.operators, chosen, strict=True):
        _set(getCustomOp(node), options[k].settings)


def node_options(model: ModelWrapper, node: NodeProto, part: str) -> list[Option]:
    """Of one operator."""
    operator = getCustomOp(node)
    if node.op_type in ("MVAU_rtl", "SAMVAU_rtl") and getattr(operator, "own", True):
        return _unit_options(model, node, operator)
    before = [(name, operator.get_nodeattr(name)) for name in operator.get_nodeattr_types() if name in _FREE]
    found = []
    for fold in fold_options(model, node):
        _set(operator, ((name, int(value)) for name, value in fold.items()))
        for style in _styles(operator, node.op_type):
            settings = (*((name, int(value)) for name, value in fold.items()), *style)
            _set(operator, settings)
            amounts = Amounts(**node_resources(node, part))
            shapes = operator.get_folded_input_shape(), operator.get_folded_output_shape()
            found.append(Option(settings, node_cycles(node), *(int(shape[-1]) for shape in shapes), amounts))
    _set(operator, before)
    return found


def _unit_options(model: ModelWrapper, node: NodeProto, operator) -> list[Option]:
    """Of a matrix-vector unit or one of SAM neurons, in numbers: nodes would take a hundred times as long."""
    inputs, outputs = operator.get_nodeattr("MW"), operator.get_nodeattr("MH")
    vectors, base = math.prod(map(int, operator.get_nodeattr("numInputVectors"))), operator.unit
    found = []
    for fold in fold_options(model, node):
        pe, simd = int(fold["PE"]), int(fold["SIMD"])
        beats, folds = inputs // simd, outputs // pe
        for style in _styles(operator, node.op_type):
            chosen = dict(style)
            core = {"dsp": chosen["core"] == "dsp"} if "core" in chosen else {}
            unit = replace(base, pe=pe, simd=simd, beats=beats, folds=folds, **core)
            blocks = chosen["ram_style"] == "block"
            amounts = Amounts(unit.luts(blocks), getattr(unit, "dsps", 0), unit.bram18(blocks))
            settings = (("PE", pe), ("SIMD", simd), *style)
            found.append(Option(settings, vectors * beats * folds, simd, pe, amounts))
    return found


_FOLDS = ("PE", "SIMD", "parallel_window", "depth_trigger_bram")
_FREE = {*_FOLDS, *(name for styles in STYLES.values() for name in styles)}


def _styles(operator, op_type: str) -> Iterator[tuple[tuple[str, str | int], ...]]:
    if op_type == "Thresholding_rtl":
        return ((("depth_trigger_bram", trigger),) for trigger in operator.unit.triggers)
    styles = STYLES.get(op_type, {})
    if op_type == "MVAU_rtl" and not operator.own:  # FINN's core is for parts that ours is not for
        styles = {}
    return itertools.product(*([(name, value) for value in values] for name, values in styles.items()))


def _set(operator, settings) -> None:
    for name, value in settings:
        operator.set_nodeattr(name, value)


def _stream_cost(bits: int):
    """Of a stream of elements of so many bits: a converter if its ends differ, and a short FIFO at the reader."""

    def cost(out: int, into: int) -> Amounts:
        converter = width_converter_luts(out * bits, into * bits) if out != into else 0
        fifo, stored = FifoSize(SHALLOW), 8 * math.ceil(into * bits / 8)
        return Amounts(converter + fifo_memory(fifo, stored).luts + fifo_control_luts(fifo, stored))

    return cached(cost)
