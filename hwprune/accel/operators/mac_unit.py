"""What ``mvau.sv`` takes on 7-series parts, from plain numbers; see `hwprune.accel.operators.units`."""

import math
from dataclasses import dataclass
from functools import cached_property

from hwprune.accel.operators import resources
from hwprune.accel.operators.packing import Packing, packing


@dataclass(frozen=True)
class MacUnit:
    """A matrix-vector unit.

    Attributes
    ----------
    pe, simd
        Outputs, and inputs of each, of a cycle.
    beats, folds
        Beats of a vector, and of its sums.
    input_bits, weight_bits, sum_bits
        Of an activation, a weight and a sum.
    dsp
        Whether products are in DSP slices.
    version
        Of the slices: 1 for DSP48E1, 2 for DSP48E2.
    """

    pe: int
    simd: int
    beats: int
    folds: int
    input_bits: int
    weight_bits: int
    sum_bits: int
    dsp: bool = True
    version: int = 1

    @cached_property
    def packing(self) -> Packing:
        """Of the products in DSP slices."""
        return packing(self.pe, self.simd, self.input_bits, self.weight_bits, self.version)

    @property
    def dsps(self) -> int:
        """DSP slices."""
        return self.packing.slices if self.dsp else 0

    @property
    def surplus(self) -> int:
        """What the unit's unsigned numbers bring into each sum."""
        highest = 1 << self.weight_bits - 1
        if self.dsp:
            return self.beats * self.packing.chains * self.packing.chain * ((1 << self.input_bits) - 1) * highest
        return self.beats * highest * ((1 << self._plane_bits) - 1)

    @property
    def _plane_bits(self) -> int:
        """Of the sum of a bit of all weights in ``lut_products.sv``."""
        return self.input_bits + 1 + ((self.simd + 1) // 2 - 1).bit_length()

    def product_cycles(self) -> int:
        """From a word of the ROM to the sum of a beat's products."""
        if self.dsp:
            return self.packing.chain + 2 + (self.packing.chains - 1).bit_length()
        return 1 + ((self.simd + 1) // 2 - 1).bit_length() + (self.weight_bits - 1).bit_length()

    @property
    def rom_shape(self) -> tuple[int, int]:
        """Words, and bits of a word."""
        return self.beats * self.folds, self.pe * self.simd * self.weight_bits

    @property
    def _ring_shape(self) -> tuple[int, int]:
        """Words, a power of two, and bits a word of the ring in ``vector_replay.sv``."""
        return max(2, 1 << (self.beats - 1).bit_length()), self.simd * self.input_bits

    def bram18(self, rom_in_blocks: bool) -> int:
        """18-Kbit block RAMs of the ROM and of the replayed vector."""
        rom = resources.bram18(*self.rom_shape) if rom_in_blocks else 0
        return rom + (resources.memory_bram18(*self._ring_shape) if self.folds > 1 else 0)

    def luts(self, rom_in_blocks: bool) -> int:
        """LUTs: of each output tree and sum; offsets that all share, late inputs, memories, counters, the output."""
        if self.dsp:
            tree = (self.packing.chains - 1) * (self.packing.lane_bits + 1)
            late = max(0, self.packing.chain - 3) * (self.packing.lanes * self.weight_bits + self.input_bits)
            offsets = self.packing.chains * (3 * self.packing.chain + self.packing.lane_bits / 2)
            offsets += self.packing.chains * self.packing.groups * late
        else:
            pairs = (self.simd + 1) // 2
            tree = self.weight_bits * (pairs * (self.input_bits + 1) + (pairs - 1) * (self.input_bits + 2.5))
            tree = 0.78 * (tree + (self.weight_bits - 1) * (self._plane_bits + 2))
            offsets = 0
        unit = tree + self.sum_bits
        memories = 0 if rom_in_blocks else resources.rom_luts(*self.rom_shape)
        control = 2 * resources.counter_bits(self.beats * self.folds, self.beats, self.folds) + 10
        if self.folds > 1:
            memories += resources.memory_luts(*self._ring_shape)
            control += 6 * resources.counter_bits(self.beats) + 2 * resources.counter_bits(self.folds)
        output = resources.skid_luts(self.pe * self.sum_bits) if self.beats == 1 else 2
        return math.ceil(self.pe * unit + offsets + memories + control + output)
