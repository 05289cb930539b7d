"""How FINN's FIFO stores its beats (``fifo.sv``): by depth, width and memory style.

Contract. A beat pushed at cycle p is offered at ``v = max(p + 2, h' + 1)``, where h' is the handshake at which the beat
before left. In shift registers and LUT-RAM the FIFO has room for beat n from the cycle on at which beat n - C is
offered; C is the store's capacity, the output register not counted. In block RAM see `hwprune.sim.cycle.machine`.
"""

import math
from dataclasses import dataclass

from hwprune.accel.design import Operator, Stream
from hwprune.accel.fifo_storage import DEEPEST_BLOCK, FifoSize, store_style, store_words
from hwprune.errors import UserError
from hwprune.sim.cycle.machine import BLOCK, SHIFT, WIRE


@dataclass(frozen=True)
class Storage:
    """Of a queue: its style and the capacity of its store, in beats."""

    style: int
    capacity: float


def fifo_storage(fifo: Operator, stream: Stream, size: FifoSize | None = None) -> Storage:
    """What ``fifo.sv`` makes of a FIFO node.

    Parameters
    ----------
    fifo
        The node.
    stream
        Into it.
    size
        In the place of the node's.

    Raises
    ------
    UserError
        A depth of 1 or below 0, or UltraRAM.
    """
    size = FifoSize(fifo.attributes["depth"], fifo.attributes["ram_style"]) if size is None else size
    if size.depth == 0:
        return Storage(WIRE, 0)
    if math.isinf(size.depth):
        return Storage(SHIFT, math.inf)
    if size.depth < 2:
        raise UserError(f"FIFO {fifo.name}: a depth of {size.depth} is below 2")
    depth = int(size.depth)
    style = store_style(depth, stream.bits, size.ram_style)
    if style == "ultra":
        raise UserError(
            f"FIFO {fifo.name}: the level cycle has no timing of UltraRAM, which FINN takes beyond {DEEPEST_BLOCK} "
            "beats; leave out compile.fifo_depth, or set it to no more"
        )
    return Storage(BLOCK if style == "block" else SHIFT, store_words(depth, style))
