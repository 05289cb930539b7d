"""Resource estimates for 7-series parts, for the operators' building blocks in hls/rtl.

Memories follow from the shapes of the primitives (Xilinx UG474 for LUT-RAM, UG473 for block RAM) and from the rule in
``row_buffer.sv``. Constants for logic are fitted to syntheses by Yosys (synth_xilinx -abc9, xc7), of which the median
is met within a tenth (`benchmarks/resources.py`); two LUTs of the same five inputs are one. The tests hold each to a
quarter or so.
"""

import math

_BRAM18_SHAPES = ((512, 36), (1024, 18), (2048, 9), (4096, 4), (8192, 2), (16384, 1))


def is_block_ram(depth: int, width: int) -> bool:
    """Whether ``row_buffer.sv`` asks for block RAM with this many words and bits a word."""
    return depth >= 256 and depth * width >= 8192


def memory_bram18(depth: int, width: int) -> int:
    """18-Kbit block RAMs of a row buffer, in the best of the primitive's shapes."""
    return bram18(depth, width) if is_block_ram(depth, width) else 0


def bram18(depth: int, width: int) -> int:
    """18-Kbit block RAMs for this many words and bits a word, in the best of the primitive's shapes."""
    return min(math.ceil(depth / d) * math.ceil(width / w) for d, w in _BRAM18_SHAPES)


def bram_multiplexer_luts(depth: int, width: int) -> int:
    """LUTs that choose between block RAMs above each other; two of 18 Kbit can be one that is twice as deep."""
    shapes = [*((d, w, 1) for d, w in _BRAM18_SHAPES), *((2 * d, w, 2) for d, w in _BRAM18_SHAPES)]
    _, banks = min((math.ceil(depth / d) * math.ceil(width / w) * cost, math.ceil(depth / d)) for d, w, cost in shapes)
    return _choice_luts(banks, width)


def rom_bram18(depth: int, width: int) -> int:
    """18-Kbit block RAMs of a ROM: words that lie so many apart as a block is deep share its lines."""
    return min(_rom_blocks(depth, width))[0]


def rom_multiplexer_luts(depth: int, width: int) -> int:
    """LUTs that choose between the words of a line of `rom_bram18`."""
    return _choice_luts(min(_rom_blocks(depth, width))[1], width)


def _rom_blocks(depth: int, width: int) -> list[tuple[int, int]]:
    """Block RAMs, and words of a line, for each shape."""
    return [(math.ceil(math.ceil(depth / d) * width / w), math.ceil(depth / d)) for d, w in _BRAM18_SHAPES]


def _choice_luts(parts: int, width: int) -> int:
    """LUTs of a choice among so many parts."""
    return width * math.ceil((parts - 1) / 3)


def memory_luts(depth: int, width: int) -> int:
    """LUTs of a row buffer, 0 in block RAM."""
    return 0 if is_block_ram(depth, width) else lut_ram_luts(depth, width)


def lut_ram_luts(depth: int, width: int) -> int:
    """LUTs of a LUT-RAM with one port to write and one to read: RAM32M (32 x 6) or RAM64M (64 x 3) at four LUTs each,
    and the multiplexer behind them."""
    if depth <= 32:
        return 4 * math.ceil(width / 6)
    banks = math.ceil(depth / 64)
    multiplexer = width * math.ceil((banks - 1) / 3) + banks if banks > 1 else 0
    return 4 * math.ceil(width / 3) * banks + multiplexer


def rom_luts(depth: int, width: int) -> int:
    """LUTs of ``rom.sv`` outside block RAM: 64 words of a bit a LUT, and the multiplexer behind them.

    Up to four LUTs share the multiplexers of their slice. Of few words there are few different bits.
    """
    banks = math.ceil(depth / 64)
    luts = {1: 1, 2: 2, 3: 3.75, 4: 4}.get(banks, 1.25 * banks)
    return math.ceil(min(luts * width, 2.0 ** min(depth, 32)))


def is_block_rom(depth: int, width: int) -> bool:
    """Whether a ROM is better in block RAM; one of 18 Kbit is worth about 190 LUTs on a Zynq-7020."""
    return rom_luts(depth, width) > 190 * rom_bram18(depth, width)


def sam_extreme_luts(operands: int, bits: int, words: int, shift: int = 0) -> float:
    """LUTs of ``sam_extreme.sv`` with this many operands, bits of the difference, and bits below its codes.

    Its codes change between the ``words`` words of a ROM; few of them are worked into the logic. A single coarse
    difference goes into the LUTs of the sum behind it.
    """
    simpler = {1: 0.57, 2: 0.7, 3: 0.8, 4: 0.9}.get(words, 1)
    if operands < 3:
        return simpler * (1.75 if operands == 1 else 3) * max(0, bits - 2 * shift * (operands == 1))
    return simpler * (1.35 if bits <= 3 else 1.65) * operands * bits


def counter_bits(*lengths: int) -> int:
    """Flip-flops of counters that run through ``lengths`` values each."""
    return sum(max(1, math.ceil(math.log2(length))) for length in lengths)


def skid_luts(width: int) -> int:
    """LUTs of a skid buffer: one for two bits, two for the handshake."""
    return math.ceil(width / 2) + 2
