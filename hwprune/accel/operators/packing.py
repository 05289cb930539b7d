"""Several products in one DSP slice, for ``dsp_chain.sv``.

A slice multiplies an activation with the weights of several outputs that lie side by side in its wide factor (Xilinx
WP486 does so with two). Lanes are so far apart that the sums of a chain of slices do not run into the next lane: all
numbers are made unsigned, so no lane ever borrows, and nothing has to be put right behind the slices.
"""

import math
from dataclasses import dataclass

FACTOR_BITS = {1: 25, 2: 27}
"""Of the wide factor, signed; of DSP48E1 and DSP48E2."""
LONGEST = 4
"""Slices of a chain: each delays its inputs by a cycle more than the one before, from three on in shift registers."""
NOT_WORTH_IT = 8
"""Bits of a product that is in LUTs rather than alone in a slice; Yosys never gives it one."""
MOST_BITS = 17
"""Of an unsigned activation, in the signed factor of 18 bits."""


@dataclass(frozen=True)
class Packing:
    """How PE times SIMD products go into DSP slices.

    Attributes
    ----------
    lanes
        Outputs that share a slice.
    step
        Bits from lane to lane.
    chain
        Inputs that are summed up inside of slices, at most.
    groups, chains
        Parts of the outputs, of at most ``lanes`` each, and of the inputs, of at most ``chain`` each.
    lane_bits
        Of the sum of a chain.
    slices
        DSP slices.
    in_luts
        Products that no other shares a slice with and that are not worth one (``dsp_chain.sv``).
    """

    lanes: int
    step: int
    chain: int
    groups: int
    chains: int
    lane_bits: int
    slices: int
    in_luts: int


def packing(pe: int, simd: int, x_bits: int, w_bits: int, version: int = 1) -> Packing:
    """As many lanes as leave room for a chain of two at least, and then the longest chains.

    Parameters
    ----------
    pe, simd
        Outputs, and inputs of each, of a cycle.
    x_bits, w_bits
        Of an activation, at most 17, and of a weight.
    version
        1 for DSP48E1, 2 for DSP48E2.
    """
    largest = (2**x_bits - 1) * (2**w_bits - 1)

    def room(lanes: int) -> tuple[int, int]:
        step = (FACTOR_BITS[version] - w_bits) // (lanes - 1) if lanes > 1 else 40
        return step, (2**step - 1) // largest

    lanes = next(lanes for lanes in range(pe, 0, -1) if lanes == 1 or room(lanes)[1] > 1)
    groups = math.ceil(pe / lanes)
    lanes = math.ceil(pe / groups)
    step, chain = room(lanes)
    chains = math.ceil(simd / min(chain, LONGEST))
    chain = math.ceil(simd / chains)
    alone = pe - lanes * (groups - 1) == 1 and x_bits + w_bits <= NOT_WORTH_IT
    lane_bits = (chain * largest).bit_length()
    return Packing(lanes, step, chain, groups, chains, lane_bits, (groups - alone) * simd, alone * simd)
