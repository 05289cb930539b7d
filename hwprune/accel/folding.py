"""How parallel each operator works: the cheapest fold of each that meets a number of cycles a frame.

In a streaming chain the slowest operator decides, so each operator is folded on its own: no faster than the target, at
the least cost. Where FINN's SetFolding first widens SIMD and then PE, the matrix-vector unit takes here the pair with
the fewest DSP slices. Between two operators whose beats hold numbers of elements that do not divide each other, FINN's
width converter loses cycles; so the units prefer a SIMD that goes with the channels, and the operators around them a
fold that goes with their neighbours.
"""

import math
from collections.abc import Iterable

from onnx import NodeProto
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.custom_op.registry import getCustomOp

from hwprune.accel.budget import Budget, fewest_cycles
from hwprune.accel.estimates import mvau_luts
from hwprune.accel.folds import folds, misfits, mvau_folds, samvau_folds
from hwprune.accel.windows import WindowShape
from hwprune.errors import UserError


def fold_to_cycles(model: ModelWrapper, cycles: int) -> None:
    """Set PE and SIMD of every operator, in place, so that none takes more than ``cycles`` a frame.

    Raises
    ------
    UserError
        If an operator cannot be that fast even when fully unfolded; the message says how fast it can be.
    """
    units = [node for node in model.graph.node if node.op_type in _UNITS]
    others = [node for node in model.graph.node if node.op_type not in _UNITS]
    for node in units:
        _fold(node, cycles, fold_options(model, node), [])
    folded = {node.name for node in units}
    for node in others:
        _fold(node, cycles, fold_options(model, node), _neighbours(model, node, folded))
        folded.add(node.name)


def fold_options(model: ModelWrapper, node: NodeProto) -> Iterable[dict[str, int]]:
    """The folds of an operator as values of its attributes, cheapest first; the last is the fastest."""
    if node.op_type in _UNITS:
        return _UNITS[node.op_type](node, _channels(model, node))
    return _options(node)


def fold_to_budget(model: ModelWrapper, budget: Budget, part: str) -> int:
    """Fold as fast as ``budget`` allows, in place; the cycles of the slowest operator are returned.

    Raises
    ------
    UserError
        If even the smallest folding does not fit.
    """
    slow = _slowest(model, _unfolded_cycles(model))
    best = fewest_cycles(slow, budget, lambda cycles, limits: _fits(model, cycles, limits, part))
    if best is None:
        smallest = resources(model, part)
        raise UserError(
            f"compile: the smallest folding takes {smallest['lut']} LUTs, {smallest['dsp']} DSP slices and "
            f"{smallest['bram18']} block RAMs by estimate, over the budget (max_luts: {budget.luts}, max_dsps: "
            f"{budget.dsps}, max_brams: {budget.brams}); prune more, or raise it"
        )
    return _slowest(model, best)


def _fits(model: ModelWrapper, cycles: int, budget: Budget, part: str) -> bool:
    """Fold to ``cycles``; whether that is possible and within ``budget``."""
    try:
        fold_to_cycles(model, cycles)
    except UserError:
        return False
    return budget.holds(resources(model, part))


def resources(model: ModelWrapper, part: str) -> dict[str, int]:
    """The estimate for the whole graph: ``lut``, ``dsp``, ``bram18`` (18 Kb blocks), ``uram``."""
    total = {"lut": 0, "dsp": 0, "bram18": 0, "uram": 0}
    for node in model.graph.node:
        for key, value in node_resources(node, part).items():
            total[key] += value
    return total


def node_resources(node: NodeProto, part: str) -> dict[str, int]:
    """FINN's estimate for one operator, completed where it has none, with the keys of `resources`."""
    operator = getCustomOp(node)
    estimate = operator.node_res_estimation(part)
    if node.op_type == "MVAU_rtl" and not operator.own:
        estimate = {**estimate, "LUT": mvau_luts(node)}
    names = {"lut": "LUT", "dsp": "DSP", "bram18": "BRAM_18K", "uram": "URAM"}
    return {key: math.ceil(estimate.get(name, 0)) for key, name in names.items()}


def node_cycles(node: NodeProto) -> int:
    """FINN's estimate of the cycles an operator takes for one frame."""
    return int(getCustomOp(node).get_exp_cycles())


def _slowest(model: ModelWrapper, cycles: int) -> int:
    fold_to_cycles(model, cycles)
    return max(node_cycles(node) for node in model.graph.node)


def _unfolded_cycles(model: ModelWrapper) -> int:
    for node in model.graph.node:
        operator = getCustomOp(node)
        for attribute in ("PE", "SIMD", "parallel_window"):
            if attribute in operator.get_nodeattr_types():
                operator.set_nodeattr(attribute, 0 if attribute == "parallel_window" else 1)
    return max(node_cycles(node) for node in model.graph.node)


def _fold(node: NodeProto, cycles: int, options: Iterable[dict[str, int]], neighbours: list[int]) -> None:
    """Take the first option that meets ``cycles`` among those that go with most ``neighbours`` (elements a beat)."""
    operator = getCustomOp(node)
    best, fewest = None, len(neighbours) + 1
    for option in options:
        _set(operator, option)
        if operator.get_exp_cycles() > cycles:
            continue
        lanes = int(operator.get_folded_output_shape()[-1])
        bad = misfits(lanes, neighbours)
        if bad < fewest:
            best, fewest = option, bad
        if not fewest:
            break
    if best is None:
        raise UserError(
            f"compile: operator {node.name!r} takes {int(operator.get_exp_cycles())} cycles a frame even when fully "
            f"unfolded, but the goal leaves {cycles}; lower target_fps or raise clock_mhz"
        )
    _set(operator, best)


def _neighbours(model: ModelWrapper, node: NodeProto, folded: set[str]) -> list[int]:
    """Elements a beat at the other ends of a node's streams, as far as those nodes are folded."""
    lanes = []
    for name in node.input:
        source = model.find_producer(name)
        if source is not None and source.name in folded:
            lanes.append(int(getCustomOp(source).get_folded_output_shape()[-1]))
    for name in node.output:
        for reader in model.find_consumers(name):
            if reader.name in folded:
                lanes.append(int(getCustomOp(reader).get_folded_input_shape(list(reader.input).index(name))[-1]))
    return lanes


def _set(operator, option: dict[str, int]) -> None:
    for attribute, value in option.items():
        operator.set_nodeattr(attribute, int(value))


def _channels(model: ModelWrapper, node: NodeProto) -> int:
    """Channels of the tensor that a matrix-vector unit's window slides over."""
    source = model.find_producer(node.input[0])
    if source is not None and source.op_type == "ConvolutionInputGenerator_rtl":
        return getCustomOp(source).get_nodeattr("IFMChannels")
    return getCustomOp(node).get_nodeattr("MW")


def _options(node: NodeProto) -> Iterable[dict[str, int]]:
    """The folds of an operator other than a matrix-vector unit, cheapest first; the last is the fastest."""
    operator = getCustomOp(node)
    found = folds(node.op_type, operator.get_nodeattr)
    if not found:
        raise UserError(f"operator {node.name!r}: {node.op_type} has no folding rule")
    (fold,) = found
    if node.op_type == "ConvolutionInputGenerator_rtl":
        narrow = [{"SIMD": value, "parallel_window": 0} for value in fold.values]
        names = ("ConvKernelDim", "Stride", "Dilation", "IFMDim")
        shape = WindowShape(*(tuple(map(int, operator.get_nodeattr(name))) for name in names))
        return [*narrow, {"SIMD": fold.values[-1], "parallel_window": 1}] if shape.works_whole else narrow
    return [{fold.attribute: value} for value in fold.values]


def _mvau_options(node: NodeProto, channels: int) -> Iterable[dict[str, int]]:
    """The folds of a matrix-vector unit, cheapest first; the last is the fastest."""
    operator = getCustomOp(node)
    factor_bits = max(operator.get_input_datatype(i).bitwidth() for i in (0, 1))
    return _pairs(mvau_folds(operator.get_nodeattr, channels, factor_bits))


def _samvau_options(node: NodeProto, channels: int) -> Iterable[dict[str, int]]:
    """The folds of a unit of SAM neurons, cheapest first; the last is the fastest."""
    return _pairs(samvau_folds(getCustomOp(node).get_nodeattr, channels))


def _pairs(found: list[tuple[int, int]]) -> Iterable[dict[str, int]]:
    return ({"PE": pe, "SIMD": simd} for pe, simd in found)


_UNITS = {"MVAU_rtl": _mvau_options, "SAMVAU_rtl": _samvau_options}
