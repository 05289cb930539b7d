"""How parallel each operator works: the cheapest fold of each that meets a number of cycles a frame.

In a streaming chain the slowest operator decides, so each operator is folded on its own: no faster than the target, at
the least cost. Where FINN's SetFolding first widens SIMD and then PE, the matrix-vector unit takes here the pair with
the fewest DSP slices, and among those the one whose input beats line up with the window's.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from onnx import NodeProto
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.custom_op.registry import getCustomOp

from hwprune.errors import UserError

# Operator -> (attribute of its parallelism, attribute that it divides).
_SIMPLE = {
    "FMPadding_rtl": ("SIMD", "NumChannels"),
    "Thresholding_rtl": ("PE", "NumChannels"),
    "MaxPool2d_rtl": ("PE", "Channels"),
    "UpsampleNearestNeighbour_rtl": ("SIMD", "NumChannels"),
    "DuplicateStreams_rtl": ("PE", "NumChannels"),
    "StreamingConcat_rtl": ("SIMD", "ChannelsPerStream"),
}


@dataclass(frozen=True)
class Budget:
    """What a design may take, by FINN's estimates; None is no limit."""

    luts: int | None = None
    dsps: int | None = None

    def holds(self, resources: dict[str, int]) -> bool:
        """Whether an estimate (see `resources`) keeps to it."""
        return all(limit is None or resources[key] <= limit for key, limit in (("lut", self.luts), ("dsp", self.dsps)))


def fold_to_cycles(model: ModelWrapper, cycles: int) -> None:
    """Set PE and SIMD of every operator, in place, so that none takes more than ``cycles`` a frame.

    Raises
    ------
    UserError
        If an operator cannot be that fast even when fully unfolded; the message says how fast it can be.
    """
    for node in model.graph.node:
        _fold(node, cycles)


def fold_to_budget(model: ModelWrapper, budget: Budget, part: str) -> int:
    """Fold as fast as ``budget`` allows, in place; the cycles of the slowest operator are returned.

    Raises
    ------
    UserError
        If even the smallest folding does not fit.
    """
    # Fewer cycles never cost less, so the fastest design that fits is found by bisection.
    slow = _slowest(model, _unfolded_cycles(model))
    fold_to_cycles(model, slow)
    smallest = resources(model, part)
    if not budget.holds(smallest):
        raise UserError(
            f"compile: the smallest folding takes {smallest['lut']} LUTs and {smallest['dsp']} DSP slices by FINN's "
            f"estimate, over the budget (max_luts: {budget.luts}, max_dsps: {budget.dsps}); prune more, or raise it"
        )
    fast, best = 1, slow
    while fast < best:
        middle = (fast + best) // 2
        try:
            fold_to_cycles(model, middle)
            fits = budget.holds(resources(model, part))
        except UserError:
            fits = False
        if fits:
            best = middle
        else:
            fast = middle + 1
    fold_to_cycles(model, best)
    return _slowest(model, best)


def resources(model: ModelWrapper, part: str) -> dict[str, int]:
    """FINN's estimate for the whole graph: ``lut``, ``dsp``, ``bram18`` (18 Kb blocks), ``uram``."""
    total = {"lut": 0, "dsp": 0, "bram18": 0, "uram": 0}
    for node in model.graph.node:
        for key, value in node_resources(node, part).items():
            total[key] += value
    return total


def node_resources(node: NodeProto, part: str) -> dict[str, int]:
    """FINN's estimate for one operator, with the keys of `resources`."""
    estimate = getCustomOp(node).node_res_estimation(part)
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


def _fold(node: NodeProto, cycles: int) -> None:
    operator = getCustomOp(node)
    if node.op_type in _SIMPLE:
        attribute, divided = _SIMPLE[node.op_type]
        options = [{attribute: d} for d in _common_divisors(operator.get_nodeattr(divided))]
    elif node.op_type == "MVAU_rtl":
        options = _mvau_options(operator)
    elif node.op_type == "ConvolutionInputGenerator_rtl":
        channels = operator.get_nodeattr("IFMChannels")
        options = [{"SIMD": d, "parallel_window": 0} for d in _common_divisors(channels)]
        options.append({"SIMD": channels, "parallel_window": 1})
    else:
        raise UserError(f"operator {node.name!r}: {node.op_type} has no folding rule")
    for option in options:
        for attribute, value in option.items():
            operator.set_nodeattr(attribute, int(value))
        if operator.get_exp_cycles() <= cycles:
            return
    raise UserError(
        f"compile: operator {node.name!r} takes {int(operator.get_exp_cycles())} cycles a frame even when fully "
        f"unfolded, but the goal leaves {cycles}; lower target_fps or raise clock_mhz"
    )


def _mvau_options(operator) -> Iterable[dict[str, int]]:
    """Folds of a matrix-vector unit, cheapest first; the last is the fastest."""
    height, width = operator.get_nodeattr("MH"), operator.get_nodeattr("MW")
    # A DSP slice holds the products of several PE with one input: four of 4 bits, two of more.
    lanes = 4 if max(operator.get_input_datatype(i).bitwidth() for i in (0, 1)) <= 4 else 2

    def cost(fold: tuple[int, int]) -> tuple[int, int, int]:
        pe, simd = fold
        # Among equals more SIMD and less PE: fewer accumulators.
        return math.ceil(pe / lanes) * simd, pe * simd, pe

    folds = [(pe, simd) for pe in _common_divisors(height) for simd in _common_divisors(width)]
    return ({"PE": pe, "SIMD": simd} for pe, simd in sorted(folds, key=cost))


def _common_divisors(number) -> list[int]:
    numbers = [int(n) for n in number] if hasattr(number, "__iter__") else [int(number)]
    shared = math.gcd(*numbers)
    return [d for d in range(1, shared + 1) if shared % d == 0]
