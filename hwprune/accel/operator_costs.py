"""Operators as numbers: the folds each can have, with cycles a frame, and what a fold takes.

The cycles of FINN's own operators are by formulas of finn-plus 1.6.1, of which each class names its source. What they
take is in `hwprune.accel.operators.finn_units`, what ours take in `hwprune.accel.operators.units`. The tests hold all
of it to the operators themselves. Parts with DSP48 slices only.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar, NamedTuple

from hwprune.accel.folds import common_divisors, folds, misfits, mvau_folds, samvau_folds
from hwprune.accel.operators import units
from hwprune.accel.operators.finn_units import ThresholdUnit, WindowUnit, padding_luts
from hwprune.accel.operators.mac_unit import MacUnit
from hwprune.accel.operators.pooling import pool_stages
from hwprune.accel.operators.resources import is_block_rom
from hwprune.accel.windows import WindowShape


class Amounts(NamedTuple):
    """What something takes of a part, with the keys of `hwprune.accel.folding.resources`."""

    lut: int = 0
    dsp: int = 0
    bram18: int = 0
    uram: int = 0


class Choice(NamedTuple):
    """One fold of an operator: PE and SIMD (0 where it has none), the whole window at once or not, cycles a frame, and
    elements of a beat at either end."""

    pe: int
    simd: int
    whole: bool
    cycles: int
    lanes_in: int
    lanes_out: int


@dataclass(frozen=True)
class Mvau:
    """Our matrix-vector unit with its products in DSP slices (`hwprune.accel.operators.mvau`)."""

    op: ClassVar[str] = "MVAU_rtl"
    vectors: int
    inputs: int
    outputs: int
    channels: int
    input_bits: int
    weight_bits: int
    sum_bits: int

    def choices(self) -> list[Choice]:
        """Its folds, the cheapest first."""
        attributes = {"MW": self.inputs, "MH": self.outputs}
        pairs = mvau_folds(attributes.__getitem__, self.channels, max(self.input_bits, self.weight_bits))
        return [_unit_choice(self, pe, simd) for pe, simd in pairs]

    def amounts(self, choice: Choice) -> Amounts:
        """LUTs, DSP slices and block RAMs, the weights' ROM included."""
        unit = MacUnit(
            pe=choice.pe,
            simd=choice.simd,
            beats=self.inputs // choice.simd,
            folds=self.outputs // choice.pe,
            **{name: getattr(self, name) for name in ("input_bits", "weight_bits", "sum_bits")},
        )
        blocks = is_block_rom(*unit.rom_shape)
        return Amounts(unit.luts(blocks), unit.dsps, unit.bram18(blocks))


@dataclass(frozen=True)
class Samvau:
    """A unit of SAM neurons (`hwprune.accel.operators.samvau_rtl`); ``group`` counts connections."""

    op: ClassVar[str] = "SAMVAU_rtl"
    vectors: int
    inputs: int
    outputs: int
    channels: int
    group: int
    sets: int
    signs: bool
    shift: int
    input_bits: int
    weight_bits: int
    sum_bits: int

    def choices(self) -> list[Choice]:
        """Its folds, the cheapest first."""
        attributes = {"MW": self.inputs, "MH": self.outputs, "group": self.group}
        return [_unit_choice(self, *pair) for pair in samvau_folds(attributes.__getitem__, self.channels)]

    def amounts(self, choice: Choice) -> Amounts:
        """LUTs and block RAMs, the ROM's included."""
        unit = units.SamUnit(
            pe=choice.pe,
            simd=choice.simd,
            beats=self.inputs // choice.simd,
            folds=self.outputs // choice.pe,
            **{name: getattr(self, name) for name in ("group", "sets", "signs", "shift")},
            **{name: getattr(self, name) for name in ("input_bits", "weight_bits", "sum_bits")},
        )
        blocks = is_block_rom(*unit.rom_shape)
        return Amounts(unit.luts(blocks), 0, unit.bram18(blocks))


def _unit_choice(unit: Mvau | Samvau, pe: int, simd: int) -> Choice:
    cycles = unit.vectors * (unit.inputs // simd) * (unit.outputs // pe)
    return Choice(pe, simd, False, cycles, simd, pe)


@dataclass(frozen=True)
class Window:
    """FINN's sliding window in LUT-RAM (``rtl/convolutioninputgenerator_rtl.py``); sizes are (height, width), that of
    the input with its padding."""

    op: ClassVar[str] = "ConvolutionInputGenerator_rtl"
    channels: int
    kernel: int
    stride: int
    dilation: int
    size: tuple[int, int]
    out_size: tuple[int, int]
    bits: int

    def choices(self) -> list[Choice]:
        """SIMD over the channels of a pixel, then the whole window at once."""
        values = common_divisors(self.channels)
        found = [Choice(0, simd, False, self._cycles(simd), simd, simd) for simd in values]
        if self.kernel > 1 and self._shape.works_whole:
            pixels, whole = math.prod(self.size), self.kernel**2 * self.channels
            found.append(Choice(0, self.channels, True, pixels + 2, self.channels, whole))
        return found

    @property
    def _shape(self) -> WindowShape:
        return WindowShape(*((n, n) for n in (self.kernel, self.stride, self.dilation)), self.size)

    def _cycles(self, simd: int) -> int:
        """``get_exp_cycles``."""
        folds, (height, width) = self.channels // simd, self.size
        if self.kernel == 1:  # FINN's parallel style
            return height * width * folds + 2
        if 1 in self.size:
            return max(self.out_size) * self.kernel * folds + 2
        first = ((self.kernel - 1) * self.dilation * (width + 1) + 1) * folds
        row = max(self.out_size[1] * self.kernel**2, self.stride * width) * folds
        return first + self.out_size[0] * row

    def amounts(self, choice: Choice) -> Amounts:
        """Of the buffers in LUT-RAM; ``get_buffer_depth``."""
        folds, (height, width) = self.channels // choice.simd, self.size
        whole = choice.whole or self.kernel == 1
        if whole:
            words = self.dilation * (width - self.kernel + 1) - 1
            buffers = 0 if 1 in self.size else self.kernel - 1
        else:
            reach = (self.kernel - 1) * self.dilation * (width + 1)
            ahead = max(0, self.stride - 1 - self.kernel**2) + max(0, (self.stride - 1) * width - self.kernel**2)
            words, buffers = (reach + 1 + ahead) * folds, 1
        unit = WindowUnit(words, buffers, choice.simd * self.bits, height * width * folds, False, whole)
        return Amounts(unit.luts, 0, unit.bram18)


@dataclass(frozen=True)
class Thresholds:
    """FINN's thresholds (``rtl/thresholding_rtl.py``), ``threshold_bits`` wide, and their result's ``bits``."""

    op: ClassVar[str] = "Thresholding_rtl"
    pixels: int
    channels: int
    threshold_bits: int
    bits: int

    def choices(self) -> list[Choice]:
        """PE over the channels."""
        return _lanes(self.op, "NumChannels", self.channels, self.pixels * self.channels)

    def amounts(self, choice: Choice) -> Amounts:
        """A memory and a comparison for each level of the binary search."""
        unit = ThresholdUnit(self.channels // choice.pe, choice.pe, self.bits, self.threshold_bits)
        return Amounts(unit.luts, 0, unit.bram18)


@dataclass(frozen=True)
class Padding:
    """FINN's padding (``fmpadding.py``); ``size`` is (height, width) with the border."""

    op: ClassVar[str] = "FMPadding_rtl"
    size: tuple[int, int]
    channels: int
    bits: int

    def choices(self) -> list[Choice]:
        """SIMD over the channels."""
        return _lanes(self.op, "NumChannels", self.channels, math.prod(self.size) * self.channels)

    def amounts(self, choice: Choice) -> Amounts:
        """Counters and a beat."""
        return Amounts(padding_luts(*self.size, self.channels // choice.simd, choice.simd * self.bits))


@dataclass(frozen=True)
class Pool:
    """Our max-pool; ``size`` is (height, width) of the input, ``pads`` are (top, left, bottom, right)."""

    op: ClassVar[str] = "MaxPool2d_rtl"
    channels: int
    kernel: int
    stride: int
    pads: tuple[int, int, int, int]
    size: tuple[int, int]
    bits: int

    def choices(self) -> list[Choice]:
        """PE over the channels."""
        return _lanes(self.op, "Channels", self.channels, math.prod(self.size) * self.channels)

    def amounts(self, choice: Choice) -> Amounts:
        """Rows, pixels and comparisons."""
        stages = pool_stages(self.size, self.channels // choice.pe, self.kernel, self.stride, self.pads)
        luts, blocks = units.pool_memory(stages, choice.pe * self.bits)
        return Amounts(luts, 0, blocks)


@dataclass(frozen=True)
class Upsample:
    """Our nearest upsampling; ``size`` is (height, width) of the input."""

    op: ClassVar[str] = "UpsampleNearestNeighbour_rtl"
    channels: int
    factor: int
    size: tuple[int, int]
    bits: int

    def choices(self) -> list[Choice]:
        """SIMD over the channels."""
        pixels = math.prod(self.size) * self.factor**2
        return _lanes(self.op, "NumChannels", self.channels, pixels * self.channels)

    def amounts(self, choice: Choice) -> Amounts:
        """Two rows."""
        luts, blocks = units.upsample_memory(self.size[1], self.channels // choice.simd, choice.simd * self.bits)
        return Amounts(luts, 0, blocks)


@dataclass(frozen=True)
class Fork:
    """Our copies of a stream."""

    op: ClassVar[str] = "DuplicateStreams_rtl"
    pixels: int
    channels: int
    outputs: int
    bits: int

    def choices(self) -> list[Choice]:
        """PE over the channels."""
        return _lanes(self.op, "NumChannels", self.channels, self.pixels * self.channels)

    def amounts(self, choice: Choice) -> Amounts:
        """A skid buffer for each copy."""
        return Amounts(units.duplicate_luts(self.outputs, choice.pe * self.bits))


@dataclass(frozen=True)
class Join:
    """Our concatenation over channels."""

    op: ClassVar[str] = "StreamingConcat_rtl"
    pixels: int
    parts: tuple[int, ...]
    bits: int

    def choices(self) -> list[Choice]:
        """SIMD over the channels of every part."""
        return _lanes(self.op, "ChannelsPerStream", self.parts, self.pixels * sum(self.parts))

    def amounts(self, choice: Choice) -> Amounts:
        """A multiplexer and its skid buffer."""
        return Amounts(units.concat_luts(len(self.parts), max(self.parts) // choice.simd, choice.simd * self.bits))


Operator = Mvau | Samvau | Window | Thresholds | Padding | Pool | Upsample | Fork | Join


def _lanes(op: str, divided: str, value: Any, elements: int) -> list[Choice]:
    """An operator that passes ``elements`` a frame, one beat a cycle."""
    (fold,) = folds(op, {divided: value}.__getitem__)
    return [
        Choice(*((n, 0) if fold.attribute == "PE" else (0, n)), False, elements // n, n, n) for n in fold.values
    ]  # fmt: skip


@lru_cache(1 << 16)
def choices(operator: Operator) -> tuple[Choice, ...]:
    """All folds of an operator, the cheapest first."""
    return tuple(operator.choices())


@lru_cache(1 << 16)
def fold(operator: Operator, cycles: int, neighbours: Sequence[int] = ()) -> tuple[Choice, Amounts]:
    """The first fold within ``cycles`` among those that go with most ``neighbours`` (elements a beat), as
    `hwprune.accel.folding.fold_to_cycles` takes it, and what the operator takes then.

    One that cannot be so fast is unfolded as far as it goes.
    """
    fitting = [choice for choice in choices(operator) if choice.cycles <= cycles]
    if fitting:
        best = min(fitting, key=lambda choice: misfits(choice.lanes_out, neighbours)) if neighbours else fitting[0]
    else:
        best = min(choices(operator), key=lambda choice: choice.cycles)
    return best, operator.amounts(best)
