"""What our operators take on 7-series parts, from plain numbers: for nodes of a graph (`node_res_estimation`) and for
layer tables that have no graph yet (`hwprune.accel.predict`) alike.

A beat's ``bits`` are those of all its lanes; ``folds`` are the beats of a pixel.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from hwprune.accel.operators import resources
from hwprune.accel.operators.pooling import PoolStage

_PRODUCT_LUTS = {True: 17.4, False: 24.0}
"""Of the adder trees behind the DSP slices, a product; whether both factors have at most 4 bits."""
_SUM_LUTS = 4.1
"""A bit of each accumulator: accumulation, the output queue and its multiplexer."""


def mvau_luts(pe: int, simd: int, factor_bits: int, sum_bits: int) -> float:
    """LUTs of FINN's matrix-vector unit (``mvu_vvu_axi.sv``), its weight memory not included; FINN counts none.

    ``factor_bits`` are those of the wider factor. Fitted to syntheses by Yosys (synth_xilinx -abc9, xc7) of PE 1 to 16,
    SIMD 4 to 36, 4 and 8 bits, which it meets within 13 %.
    """
    return pe * simd * _PRODUCT_LUTS[factor_bits <= 4] + _SUM_LUTS * pe * sum_bits


@dataclass(frozen=True)
class SamUnit:
    """A unit of SAM neurons (`hwprune.accel.operators.samvau_rtl`).

    Attributes
    ----------
    pe, simd
        Outputs, and connections of each, of a cycle.
    beats, folds
        Beats of a vector, and of its sums.
    group
        Connections that share an extreme.
    sets
        Distances of a connection.
    signs
        Whether groups have signs.
    shift
        Of the layer's neuron.
    input_bits, weight_bits, sum_bits
        Of an activation, a distance and a sum.
    """

    pe: int
    simd: int
    beats: int
    folds: int
    group: int
    sets: int
    signs: bool
    shift: int
    input_bits: int
    weight_bits: int
    sum_bits: int

    @property
    def rom_shape(self) -> tuple[int, int]:
        """Words, and bits of a word."""
        bits = self.sets * self.simd * self.weight_bits + (max(1, self.simd // self.group) if self.signs else 0)
        return self.beats * self.folds, self.pe * bits

    @property
    def _ring_shape(self) -> tuple[int, int]:
        """Words, a power of two, and bits a word of the ring in ``vector_replay.sv``."""
        return max(2, 1 << (self.beats - 1).bit_length()), self.simd * self.input_bits

    def bram18(self, rom_in_blocks: bool) -> int:
        """18-Kbit block RAMs of the ROM and of the replayed vector."""
        rom = resources.rom_bram18(*self.rom_shape) if rom_in_blocks else 0
        return rom + (resources.memory_bram18(*self._ring_shape) if self.folds > 1 else 0)

    def luts(self, rom_in_blocks: bool) -> int:
        """LUTs: extremes, their sum, memories, counters; fitted to syntheses by Yosys."""
        bits = self.input_bits + max(0, -self.shift)
        terms = max(1, self.simd // self.group)
        operands = self.sets * terms
        extreme = resources.sam_extreme_luts(
            min(self.simd, self.group), bits, self.beats * self.folds, max(0, self.shift)
        )
        unit = operands * extreme
        if self.simd < self.group:
            unit += operands * 1.5 * bits
        left, level = operands, 0
        while left > 1:
            unit += 1.13 * (left // 2) * min(bits + level, self.sum_bits)
            left, level = left - left // 2, level + 1
        unit += 1.42 * self.sum_bits
        memories = (resources.rom_multiplexer_luts if rom_in_blocks else resources.rom_luts)(*self.rom_shape)
        control = resources.counter_bits(self.beats * self.folds, self.beats, self.folds) + 10
        if self.folds > 1:
            memories += resources.memory_luts(*self._ring_shape)
            control += 6 * resources.counter_bits(self.beats) + 2 * resources.counter_bits(self.folds)
        return math.ceil(self.pe * unit + memories + 0.89 * control)


def upsample_memory(width: int, folds: int, bits: int) -> tuple[int, int]:
    """LUTs and 18-Kbit block RAMs of ``upsample_nearest.sv`` for rows of ``width`` pixels: the ring of two rows, its
    addresses, levels and visit counters, and the skid buffer."""
    depth = 2 * width * folds
    control = 4 * resources.counter_bits(depth) + 12
    luts = math.ceil(resources.memory_luts(depth, bits) + control + resources.skid_luts(bits))
    return luts, resources.memory_bram18(depth, bits)


def concat_luts(inputs: int, folds: int, bits: int) -> int:
    """LUTs of ``stream_concat.sv``, whose widest input has ``folds``: a multiplexer that for two inputs goes into the
    skid buffer's, and a counter."""
    return math.ceil(bits * (1 if inputs == 2 else 1.5)) + resources.counter_bits(folds) + 1


def duplicate_luts(outputs: int, bits: int) -> int:
    """LUTs of ``stream_duplicate.sv``: a skid buffer an output."""
    return outputs * resources.skid_luts(bits) + 1


def pool_memory(stages: Sequence[PoolStage], bits: int) -> tuple[int, int]:
    """LUTs and 18-Kbit block RAMs of ``maxpool2d.sv``: for each stage the item before, a comparison and a selection a
    lane, and counters; and the skid buffer."""
    counters = [count for stage in stages for count in (stage.items, stage.beats, *[stage.beats] * stage.drains)]
    memories = sum(resources.memory_luts(stage.beats, bits) for stage in stages)
    logic = 0.86 * (bits * len(stages) + resources.counter_bits(*counters)) + 8
    luts = math.ceil(memories + logic + resources.skid_luts(bits))
    return luts, sum(resources.memory_bram18(stage.beats, bits) for stage in stages)


def width_converter_luts(width_in: int, width_out: int) -> int:
    """LUTs of ``width_converter.sv``: each output bit is chosen from as many as there are input parts, and counters."""
    unit = math.gcd(width_in, width_out)
    parts_in, parts_out = width_in // unit, width_out // unit
    choice = {1: 0, 2: 0.5, 3: 1, 4: 1}.get(parts_in, 0.4 * parts_in)
    control = 4 if parts_in == 1 or parts_out == 1 else parts_out
    return math.ceil(width_out * choice + control + resources.counter_bits(parts_in * parts_out) // 2)
