"""What ``mvau.sv`` takes on 7-series parts, from plain numbers; see `hwprune.accel.operators.units`."""

import math
from dataclasses import dataclass
from functools import cached_property

from hwprune.accel.operators import resources
from hwprune.accel.operators.packing import Packing, packing

_PRODUCT_LUTS = 20
"""Of a product of 4 bits by 4 that is not worth a DSP slice."""


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
        rom = resources.rom_bram18(*self.rom_shape) if rom_in_blocks else 0
        return rom + (resources.memory_bram18(*self._ring_shape) if self.folds > 1 else 0)

    @property
    def _late_bits(self) -> int:
        """Of inputs that wait in shift registers until their slice of a chain is reached; two cycles are registers."""
        packing, bits = self.packing, 0
        for chain in range(packing.chains):
            inputs = min(packing.chain, self.simd - chain * packing.chain)
            waiting = sum(packing.chain - inputs + i > 2 for i in range(inputs))
            bits += waiting * (packing.groups * packing.lanes * self.weight_bits + self.input_bits)
        return bits

    def luts(self, rom_in_blocks: bool) -> int:
        """LUTs: of each output tree and sum; late inputs, memories, counters, the output.

        Factors for DSP slices are fitted to 19 syntheses by Yosys (PE 1 to 12, SIMD 1 to 27, 4 and 8 bits).
        """
        counters = resources.counter_bits(self.beats * self.folds, self.beats, self.folds)
        if self.dsp:
            tree = 1.06 * (self.packing.chains - 1) * (self.packing.lane_bits + 1)
            unit = tree + 1.06 * self.sum_bits
            besides = 2 * self._late_bits + 3.2 * counters + _PRODUCT_LUTS * self.packing.in_luts
        else:
            pairs = (self.simd + 1) // 2
            tree = self.weight_bits * (pairs * (self.input_bits + 1) + (pairs - 1) * (self.input_bits + 2.5))
            unit = 0.78 * (tree + (self.weight_bits - 1) * (self._plane_bits + 2)) + self.sum_bits
            besides = 2 * counters + 12
            if self.folds > 1:
                besides += 6 * resources.counter_bits(self.beats) + 2 * resources.counter_bits(self.folds)
        memories = (resources.rom_multiplexer_luts if rom_in_blocks else resources.rom_luts)(*self.rom_shape)
        if self.folds > 1:
            memories += resources.memory_luts(*self._ring_shape)
        output = resources.skid_luts(self.pe * self.sum_bits) if self.beats == 1 else 0
        return math.ceil(self.pe * unit + besides + memories + output)
