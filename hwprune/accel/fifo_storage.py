"""What FINN's FIFO (``fifo.sv``) makes of a depth: the style of its store, its words, and the memory they take.

Memory is counted as the device hands it out (7 series: UG474, UG473): a LUT a bit for up to 32 beats in a shift
register, four LUTs for 64 words of three bits in LUT-RAM, whole block RAMs of 18 Kbit beyond.
"""

import itertools
import math
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

from hwprune.accel.operators.resources import bram18, bram_multiplexer_luts, lut_ram_luts

SHALLOW = 33
"""Depth up to which every FIFO is a shift register; one of its words is the output register."""
DEEPEST_BLOCK = 2028
"""Depth up to which a FIFO without a style lies in block RAM, on every part; beyond, it is UltraRAM."""
SMALLEST_BLOCK = 9
"""Address bits of the smallest block RAM."""
LARGEST_LUT_SPACE = 64
"""Words up to which the second space of a block RAM store is LUT-RAM."""
LUT_BITS, BRAM18_BITS = 64, 18 * 1024
"""Memory of a LUT and of a block RAM, whatever part of it is used: the purse in which both are counted."""
DEEPEST = 1 << 17


class FifoSize(NamedTuple):
    """Of a FIFO node: its depth in beats, and FINN's ``ram_style``. Depth ``inf`` is never full, 0 is no FIFO."""

    depth: float
    ram_style: str = "auto"


@dataclass(frozen=True)
class Memory:
    """LUTs and block RAMs of 18 Kbit of a FIFO's store; its counters are not counted."""

    luts: int = 0
    bram18: int = 0

    def __add__(self, other: "Memory") -> "Memory":
        return Memory(self.luts + other.luts, self.bram18 + other.bram18)

    @property
    def bits(self) -> int:
        """Both in one figure: the bits that are handed out."""
        return LUT_BITS * self.luts + BRAM18_BITS * self.bram18


def store_style(depth: int, bits: int, ram_style: str) -> str:
    """``shift``, ``distributed``, ``block`` or ``ultra``: RAM_STYLE_EFF of ``fifo.sv``."""
    if depth <= SHALLOW or ram_style == "srl":
        return "shift"
    if ram_style != "auto":
        return ram_style
    if depth <= 64 and bits < 12:
        return "shift"
    if depth <= 257 or bits < 5:
        return "distributed"
    return "block" if depth <= DEEPEST_BLOCK else "ultra"


def store_words(depth: int, style: str) -> int:
    """Beats that the store holds, those in output registers not counted."""
    if style == "shift":
        return max(depth - 1, 4)
    return sum(_block_spaces(depth)) if style == "block" else depth - 1


def _block_spaces(depth: int) -> tuple[int, ...]:
    """Words of the one or two address spaces of a block RAM store, each a power of two (INIT_ABITS of ``fifo.sv``)."""
    needed = depth - 1
    low = max(needed - 1, 0).bit_length()
    if low > SMALLEST_BLOCK:
        high = (needed - 2 ** (low - 1) - 1).bit_length()
        if high < low - 1:
            return 2 ** (low - 1), 2 ** max(high, 1)
    return (2**low,)


def fifo_memory(size: FifoSize, bits: int) -> Memory:
    """Of a FIFO of beats of ``bits`` bits."""
    if size.depth == 0:
        return Memory()
    depth = int(size.depth)
    style = store_style(depth, bits, size.ram_style)
    if style == "shift":
        return Memory(luts=bits * math.ceil(store_words(depth, style) / 32))
    if style == "distributed":
        return Memory(luts=lut_ram_luts(2 ** max(depth - 2, 1).bit_length(), bits))  # `fifo.sv` rounds up
    low, *high = _block_spaces(depth)
    return sum((_high_memory(words, bits) for words in high), Memory(bram18=bram18(low, bits)))


def _high_memory(words: int, bits: int) -> Memory:
    """Of the second space, whose style FINN leaves to the tool where it is small; `hwprune.accel.rtllib` says it."""
    if words <= LARGEST_LUT_SPACE:
        return Memory(luts=lut_ram_luts(words, bits))
    return Memory(bram18=bram18(words, bits))


def fifo_control_luts(size: FifoSize, bits: int) -> int:
    """LUTs of a FIFO's counters, pointers and output register; fitted to syntheses by Yosys."""
    if size.depth == 0:
        return 0
    style = store_style(int(size.depth), bits, size.ram_style)
    if style == "shift":
        return 9
    if style == "distributed":
        return 16
    low, *high = (words.bit_length() - 1 for words in _block_spaces(int(size.depth)))
    banks = sum(bram_multiplexer_luts(words, bits) for words in _block_spaces(int(size.depth)))
    return math.ceil(2.2 * low if not high else 4 + low + 3.2 * (low - high[0]) + bits / 2) + banks


@cache
def fifo_choices(bits: int) -> tuple[FifoSize, ...]:
    """FIFOs worth having, from the cheapest on: each is deeper than all that take no more memory."""
    powers = [2**k for k in range(6, DEEPEST.bit_length())]
    blocks = [w for w in powers if w >= 2**SMALLEST_BLOCK]
    sums = [low + high for low, high in itertools.product(blocks, (32, *powers)) if high < low]
    sizes = [FifoSize(SHALLOW), *(FifoSize(words + 1, "distributed") for words in powers)]
    sizes += [FifoSize(words + 1, "block") for words in (*blocks, *sums)]
    best: list[FifoSize] = []
    for size in sorted(sizes, key=lambda size: (fifo_memory(size, bits).bits, -size.depth)):
        if not best or size.depth > best[-1].depth:
            best.append(size)
    return tuple(best)
