"""How FINN's FIFO stores its beats (``fifo.sv``): by depth, width and memory style.

Contract. A beat pushed at cycle p is offered at ``v = max(p + 2, h' + 1)``, where h' is the handshake at which the beat
before left. In shift registers and LUT-RAM the FIFO has room for beat n from the cycle on at which beat n - C is
offered; C is the store's capacity, the output register not counted. In block RAM see `hwprune.sim.cycle.machine`.
"""

import math
from dataclasses import dataclass

from hwprune.accel.design import Operator, Stream
from hwprune.errors import UserError
from hwprune.sim.cycle.machine import BLOCK, SHIFT

SHALLOW = 33
"""Depth up to which every FIFO is a shift register."""
SMALLEST_BLOCK = 9
"""Address bits of the smallest block RAM."""


@dataclass(frozen=True)
class Storage:
    """Of a queue: its style and the capacity of its store, in beats."""

    style: int
    capacity: float


def fifo_storage(fifo: Operator, stream: Stream, depth: float | None = None) -> Storage:
    """What `fifo.sv` makes of a FIFO node.

    Parameters
    ----------
    fifo
        The node.
    stream
        Into it.
    depth
        In the place of the node's; ``math.inf`` for a FIFO that is never full.

    Raises
    ------
    UserError
        A depth below 2, or UltraRAM.
    """
    depth = fifo.attributes["depth"] if depth is None else depth
    if math.isinf(depth):
        return Storage(SHIFT, math.inf)
    if depth < 2:
        raise UserError(f"FIFO {fifo.name}: a depth of {depth} is below 2")
    style = memory_style(depth, stream.bits, fifo.attributes["ram_style"])
    if style == "ultra":
        raise UserError(f"FIFO {fifo.name}: the level cycle has no timing of UltraRAM; set its ram_style to block")
    if style == "block":
        return Storage(BLOCK, block_words(depth))
    return Storage(SHIFT, max(depth - 1, 4) if style == "shift" else depth - 1)


def memory_style(depth: int, bits: int, style: str) -> str:
    """``shift``, ``distributed``, ``block`` or ``ultra``: RAM_STYLE_EFF of `fifo.sv`."""
    if depth <= SHALLOW:
        return "shift"
    if style != "auto":
        return style
    if depth <= 64 and bits < 12:
        return "shift"
    if depth <= 257 or bits < 5:
        return "distributed"
    return "block" if depth <= 2028 else "ultra"


def block_words(depth: int) -> int:
    """Words of the block RAM, which `fifo.sv` makes of one or two powers of two."""
    needed = depth - 1
    low = (needed - 1).bit_length()
    if low > SMALLEST_BLOCK:
        high = (needed - 2 ** (low - 1) - 1).bit_length()
        if high < low - 1:
            return 2 ** (low - 1) + 2 ** max(high, 1)
    return 2**low
