"""What FINN's own operators take on 7-series parts, from plain numbers; see `hwprune.accel.operators.units`.

FINN counts no logic for thresholds and paddings, one figure for every window, and block RAMs by rules of its own. Here
memories follow from the RTL; the factors of the logic are fitted to syntheses by Yosys (`benchmarks/resources.py` draws
others).
"""

import math
from dataclasses import dataclass

from hwprune.accel.operators import resources


@dataclass(frozen=True)
class ThresholdUnit:
    """``thresholding.sv``: a binary search, a level a stage, each with a memory of its own.

    Attributes
    ----------
    folds
        Beats of a pixel.
    pe
        Channels of a beat.
    stages
        Bits of the result.
    bits
        Of a threshold.
    trigger
        Words from which on a memory is block RAM; 0 leaves it to `default_trigger`.
    """

    folds: int
    pe: int
    stages: int
    bits: int
    trigger: int = 0

    @property
    def depths(self) -> list[int]:
        """Words of each stage's memory."""
        return [self.folds << stage for stage in range(self.stages)]

    @property
    def triggers(self) -> list[int]:
        """Values worth having: no block RAM, the last stage's, the last two."""
        deepest = self.depths[-1]
        return sorted({2 * deepest, deepest, max(1, deepest // 2)}, reverse=True)

    @property
    def in_blocks_from(self) -> int:
        """The trigger that counts: block RAM where it is better for a ROM."""
        if self.trigger:
            return self.trigger
        blocks = [depth for depth in self.depths if resources.is_block_rom(depth, self.bits)]
        return min(blocks, default=2 * self.depths[-1])

    @property
    def bram18(self) -> int:
        """18-Kbit block RAMs."""
        return self.pe * sum(resources.rom_bram18(d, self.bits) for d in self.depths if d >= self.in_blocks_from)

    @property
    def luts(self) -> int:
        """LUTs: memories, comparisons, pipeline and queue.

        The thresholds of a channel rise, so their highest bits hardly differ: about four of them are no memory.
        """
        bits = max(2, self.bits - 4.4)
        small = [depth for depth in self.depths if depth < self.in_blocks_from]
        blocks = [depth for depth in self.depths if depth >= self.in_blocks_from]
        memory = sum(
            bits * (1.69 * math.sqrt(d / 64) if d <= 64 else 1.9 * math.ceil(d / 64) + 7 * (d > 256)) for d in small
        )
        memory += sum(resources.rom_multiplexer_luts(depth, self.bits) for depth in blocks)
        return math.ceil(self.pe * (memory + self.stages * (7.3 + 0.08 * self.bits)) + 12)


@dataclass(frozen=True)
class WindowUnit:
    """FINN's sliding window (``swg``).

    Attributes
    ----------
    words
        Of its buffer, or of each line buffer.
    buffers
        How many there are: more than one, or none, where a whole window leaves in a beat.
    bits
        Of a beat.
    beats
        Of a frame.
    block
        Whether buffers are block RAM.
    whole
        Whether a whole window leaves in a beat.
    """

    words: int
    buffers: int
    bits: int
    beats: int
    block: bool
    whole: bool

    @property
    def bram18(self) -> int:
        """18-Kbit block RAMs."""
        return self.buffers * resources.bram18(self.words, self.bits) if self.block else 0

    @property
    def luts(self) -> int:
        """LUTs: counters of beats, addresses, buffers."""
        memory = (resources.bram_multiplexer_luts if self.block else resources.lut_ram_luts)(self.words, self.bits)
        counter = resources.counter_bits(self.beats)
        logic = 30 + 4.5 * counter if self.whole else 16 + 11 * counter
        return math.ceil(logic + self.buffers * memory)


def padding_luts(height: int, width: int, folds: int, bits: int) -> int:
    """LUTs of ``fmpadding.sv`` for a map with its border: counters, and a beat of whole bytes."""
    counters = 2.3 * resources.counter_bits(height, width) + 0.3 * resources.counter_bits(folds)
    return math.ceil(9 + counters + 0.5 * 8 * math.ceil(bits / 8))
