"""Paddings in a row on wires, clocked cycle by cycle: the registers of ``fmpadding.sv``, nothing of the model."""

from collections.abc import Sequence


class Pad:
    """One channel; a register for an input taken ahead, and one for the output."""

    def __init__(self, size: int, border: int):
        self.size, self.border, self.wide = size, border, size + 2 * border
        self.ahead = self.full = False
        self.place = 0

    def inside(self) -> bool:
        y, x = divmod(self.place, self.wide)
        return all(self.border <= at < self.border + self.size for at in (y, x))

    def tick(self, offered: bool, taken: bool) -> None:
        """One clock edge: whether an input is offered, and whether the output is read if there is one."""
        there = self.ahead or offered
        load = (not self.full or taken) and (there or not self.inside())
        uses = load and self.inside()
        self.ahead = there and not uses
        self.full = load or (self.full and not taken)
        if load:
            self.place = (self.place + 1) % self.wide**2


def run_pads(sizes: Sequence[tuple[int, int]], frames: int) -> tuple[list[list[int]], list[list[int]]]:
    """Pass frames through; an input is always offered and an output always taken.

    Returns
    -------
    passed, blocked
        For each pad the cycles of its output's handshakes, and those in which its output is offered but not taken.
    """
    pads = [Pad(*size) for size in sizes]
    passed, blocked = [[] for _ in pads], [[] for _ in pads]
    left, cycle = frames * sizes[0][0] ** 2, 0
    while len(passed[-1]) < frames * pads[-1].wide ** 2:
        valid = [left > 0, *(pad.full for pad in pads)]
        ready = [*(not pad.ahead for pad in pads), True]
        for k in range(len(pads)):
            if valid[k + 1]:
                (passed if ready[k + 1] else blocked)[k].append(cycle)
        left -= valid[0] and ready[0]
        for k, pad in enumerate(pads):
            pad.tick(valid[k] and ready[k], ready[k + 1])
        cycle += 1
    return passed, blocked
