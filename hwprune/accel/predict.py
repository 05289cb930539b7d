"""What an accelerator takes and how fast it is, from the layer table alone: no weights, no graph, no FINN.

A search over widths asks this thousands of times. The operators are those that `hwprune.accel.lower` makes of the
table, folded as `hwprune.accel.folding` folds them. What is only known with the weights is guessed: the bits of the
sums (`SUM_SHARE`), on which thresholds and accumulators depend. FIFOs and width converters are not counted.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from hwprune.accel.budget import Budget, fewest_cycles
from hwprune.accel.operator_costs import (
    Amounts,
    Choice,
    Fork,
    Join,
    Mvau,
    Operator,
    Padding,
    Pool,
    Samvau,
    Thresholds,
    Upsample,
    Window,
    choices,
    fold,
)
from hwprune.accel.operators.pooling import check_pool
from hwprune.errors import UserError
from hwprune.models.architecture import IMAGE, Architecture, Conv, Layer
from hwprune.quant.hardware_table import hardware_table
from hwprune.quant.precision import Precision

SUM_SHARE = 0.2
"""Of the greatest sum that codes of this many bits could give, what trained weights reach."""
THRESHOLDS_NARROWER = 2
"""Bits that thresholds have less than the sums they are compared with, by two trained networks' median."""
PIXEL_BITS = 8
UNITS = (Mvau, Samvau)

Channels = Mapping[str, int]
"""Of the image and every layer's output."""


@dataclass(frozen=True)
class _Node:
    """An operator whose channels are still open, and the nodes from which it reads (None is the image)."""

    name: str
    make: Callable[[Channels], Operator]
    sources: tuple[int | None, ...]


class Row(NamedTuple):
    """One folded operator."""

    name: str
    operator: Operator
    choice: Choice
    amounts: Amounts

    def as_json(self) -> dict[str, Any]:
        """As the rows of `hwprune.accel.compile`; no PE or SIMD is None."""
        return {
            "name": self.name,
            "op": self.operator.op.removesuffix("_rtl"),
            "cycles": self.choice.cycles,
            "pe": self.choice.pe or None,
            "simd": self.choice.simd or None,
            **self.amounts._asdict(),
        }


@dataclass(frozen=True)
class Prediction:
    """A folded design.

    Attributes
    ----------
    rows
        Its operators, in the order of the data flow.
    """

    rows: tuple[Row, ...]

    @property
    def cycles(self) -> int:
        """Of the slowest operator, a frame."""
        return max(row.choice.cycles for row in self.rows)

    @property
    def amounts(self) -> Amounts:
        """All that its operators take."""
        return Amounts(*map(sum, zip(*(row.amounts for row in self.rows), strict=True)))

    @property
    def resources(self) -> dict[str, int]:
        """As `hwprune.accel.folding.resources`."""
        return self.amounts._asdict()


@dataclass
class Predictor:
    """Predicts the accelerators of a layer table, for other widths too.

    Parameters
    ----------
    architecture
        Of the float network; groups of SAM layers that narrower inputs do not allow become smaller, as
        `hwprune.sam.choice.fitted` makes them.
    size
        (height, width) of its images.
    precision
        Bits, and the activation of the quantised network.

    Raises
    ------
    UserError
        If a layer has no hardware.
    """

    architecture: Architecture
    size: tuple[int, int]
    precision: Precision = field(default_factory=Precision)

    def __post_init__(self):
        self.architecture = self.precision.apply(hardware_table(self.architecture, self.size))
        self._shapes = self.architecture.shapes(*self.size)
        self._nodes: list[_Node] = []
        made: dict[str, int | None] = {IMAGE: None}
        for layer in self.architecture.layers:
            last = self._emit(layer, tuple(made[source] for source in layer.inputs))
            readers = sum(layer.name == source for other in self.architecture.layers for source in other.inputs)
            made[layer.name] = self._fork(layer.name, readers, last) if readers > 1 else last
        streams: list[list[int]] = [[] for _ in self._nodes]
        for index, node in enumerate(self._nodes):
            for source in node.sources:
                if source is not None:
                    streams[source].append(index)
        self._readers = streams
        units = [isinstance(operator, UNITS) for operator in self._operators({})]
        self._units = [index for index, unit in enumerate(units) if unit]
        self._others = [index for index, unit in enumerate(units) if not unit]

    def at(self, cycles: int, widths: Mapping[str, int] | None = None) -> Prediction:
        """The cheapest design in which no operator takes more than ``cycles`` a frame.

        An operator that cannot be so fast is unfolded as far as it goes, so `Prediction.cycles` may be more.

        Parameters
        ----------
        cycles
            A frame.
        widths
            Output channels of convolutions that are not those of the table.
        """
        operators = self._operators(widths or {})
        folded: list[tuple[Choice, Amounts] | None] = [None] * len(operators)
        for index in self._units:
            folded[index] = fold(operators[index], cycles)
        for index in self._others:
            folded[index] = fold(operators[index], cycles, self._neighbours(index, folded))
        rows = zip(self._nodes, operators, folded, strict=True)
        return Prediction(tuple(Row(node.name, operator, *found) for node, operator, found in rows))

    def fastest(self, budget: Budget, widths: Mapping[str, int] | None = None) -> Prediction | None:
        """The fastest design within a budget; None if even the slowest does not fit."""

        def fits(cycles: int, limits: Budget) -> bool:
            design = self.at(cycles, widths)
            return design.cycles <= cycles and limits.holds(design.resources)

        slowest = max(max(c.cycles for c in choices(operator)) for operator in self._operators(widths or {}))
        best = fewest_cycles(slowest, budget, fits)
        return None if best is None else self.at(best, widths)

    def _operators(self, widths: Mapping[str, int]) -> list[Operator]:
        channels = {IMAGE: self.architecture.in_channels}
        for layer in self.architecture.layers:
            if layer.op == "conv":
                channels[layer.name] = widths.get(layer.name, layer.out_channels)
            elif layer.op == "concat":
                channels[layer.name] = sum(channels[source] for source in layer.inputs)
            else:
                channels[layer.name] = channels[layer.inputs[0]]
        return [node.make(channels) for node in self._nodes]

    def _neighbours(self, index: int, folded: list[tuple[Choice, Amounts] | None]) -> tuple[int, ...]:
        """Elements a beat at the other ends of a node's streams, as far as those nodes are folded."""
        lanes = [folded[source][0].lanes_out for source in self._nodes[index].sources if source is not None]
        lanes += [folded[reader][0].lanes_in for reader in self._readers[index] if folded[reader]]
        return tuple(lanes)

    def _add(self, name: str, make: Callable[[Channels], Operator], *sources: int | None) -> int:
        self._nodes.append(_Node(name, make, sources))
        return len(self._nodes) - 1

    def _emit(self, layer: Layer, sources: tuple[int | None, ...]) -> int:
        """The operators of a layer; the last one's number."""
        name, bits = layer.name, self.precision.activation_bits
        size, out_size = self._shapes[layer.inputs[0]][1:], self._shapes[name][1:]
        pixels, source = math.prod(out_size), layer.inputs[0]
        match layer.op:
            case "conv":
                return self._conv(layer, *sources)
            case "maxpool":
                left, right, top, bottom = layer.pad
                window = layer.kernel, layer.stride, (top, left, bottom, right)
                check_pool(name, size, *window)
                return self._add(f"{name}_pool", lambda c: Pool(c[source], *window, size, bits), *sources)
            case "upsample":
                return self._add(f"{name}_repeat", lambda c: Upsample(c[source], layer.factor, size, bits), *sources)
            case "concat":
                make = lambda c: Join(pixels, tuple(c[part] for part in layer.inputs), bits)  # noqa: E731
                return self._add(f"{name}_concat", make, *sources)
        raise UserError(f"layer {name!r}: {layer.op} has no hardware in hwprune")

    def _fork(self, name: str, readers: int, last: int) -> int:
        pixels, bits = math.prod(self._shapes[name][1:]), self.precision.activation_bits
        return self._add(f"{name}_fork", lambda c: Fork(pixels, c[name], readers, bits), last)

    def _conv(self, layer: Conv, last: int | None) -> int:
        """As `hwprune.accel.lower`: padding, window, unit, thresholds."""
        name, source, kernel, padding = layer.name, layer.input, layer.kernel, layer.padding
        out_size = self._shapes[name][1:]
        size = tuple(extent + 2 * padding for extent in self._shapes[source][1:])
        bits = PIXEL_BITS if source == IMAGE else self.precision.activation_bits
        pixels = math.prod(out_size)
        if padding:
            last = self._add(f"{name}_pad", lambda c: Padding(size, c[source], bits), last)
        if kernel > 1 or layer.stride > 1:

            def window(c: Channels) -> Window:
                return Window(c[source], kernel, layer.stride, layer.dilation, size, out_size, bits)

            last = self._add(f"{name}_window", window, last)
        unit = self._samvau(layer, pixels, bits) if layer.sam else self._mvau(layer, pixels, bits)
        last = self._add(f"{name}_{'samvau' if layer.sam else 'mvau'}", unit, last)
        if name in self.architecture.heads:
            return last
        out_bits = self.precision.activation_bits

        def thresholds(c: Channels) -> Thresholds:
            return Thresholds(pixels, c[name], max(out_bits, unit(c).sum_bits - THRESHOLDS_NARROWER), out_bits)

        return self._add(f"{name}_thresholds", thresholds, last)

    def _mvau(self, layer: Conv, pixels: int, bits: int) -> Callable[[Channels], Mvau]:
        weight_bits = self.precision.of_weights(self.architecture, layer.name)
        most = (2 ** (weight_bits - 1) - 1) * (2**bits - 1)

        def make(c: Channels) -> Mvau:
            inputs = layer.kernel**2 * c[layer.input]
            sum_bits = _sum_bits(inputs * most)
            return Mvau(pixels, inputs, c[layer.name], c[layer.input], bits, weight_bits, sum_bits)

        return make

    def _samvau(self, layer: Conv, pixels: int, bits: int) -> Callable[[Channels], Samvau]:
        sam = layer.sam
        span = 2**bits - 1
        dead = -(-(span << max(0, -sam.shift)) // (1 << max(0, sam.shift)))
        weight_bits = min(self.precision.of_weights(self.architecture, layer.name), dead.bit_length())

        def make(c: Channels) -> Samvau:
            channels, inputs = c[layer.input], layer.kernel**2 * c[layer.input]
            group = sam.group or inputs
            if sam.group:
                group = max((g for g in range(1, sam.group + 1) if channels % g == 0 and sam.allows(g)), default=1)
            sum_bits = _sum_bits((inputs // group) * (span << max(0, -sam.shift)))
            return Samvau(pixels, inputs, c[layer.name], channels, group, 2 if sam.two_sets else 1,
                          not sam.two_sets, sam.shift, bits, weight_bits, sum_bits)  # fmt: skip

        return make


def _sum_bits(most: int) -> int:
    """Signed bits of sums whose greatest magnitude would be ``most`` with all codes at their greatest."""
    return max(2, math.ceil(SUM_SHARE * most).bit_length() + 1)
