"""What is in a part: that of a board, or another by name (Xilinx DS190, DS180, DS891)."""

import math
import re

from hwprune.accel.budget import Budget
from hwprune.board.board import Board, boards, load_board
from hwprune.errors import UserError

PARTS = {
    "xc7z007s": Budget(14_400, 66, 100),
    "xc7z010": Budget(17_600, 80, 120),
    "xc7z030": Budget(78_600, 400, 530),
    "xc7z045": Budget(218_600, 900, 1090),
    "xc7a35t": Budget(20_800, 90, 100),
    "xc7a100t": Budget(63_400, 240, 270),
    "xc7a200t": Budget(134_600, 740, 730),
    "xczu9eg": Budget(274_080, 2520, 1824),
}
"""By the beginning of the part's name; those that no board here has."""

_DEVICE = re.compile(r"xc7[a-z]\d+|xczu\d+[a-z]{2}|xck\d+|LFE5U-\d+F")
"""Of a part's name, what tells what is in it; package and speed follow."""


FULLER = 0.1
"""By how much more of a board block RAMs and DSP slices may be filled than LUTs: they do not crowd the router."""


def budget(board: Board, share: float) -> Budget:
    """What a design may take that is to have this share, 0 to 1, of its LUTs; of the rest a tenth more."""
    has, fuller = board.resources, min(1.0, share + FULLER)
    return Budget(*(math.floor(part * amount + 1e-9) for part, amount in
                    ((share, has.luts), (fuller, has.dsps), (fuller, has.brams))))  # fmt: skip


def contents(part: str) -> Budget:
    """All that a part has.

    Raises
    ------
    UserError
        If it is not known here.
    """
    known = dict(PARTS)
    for board in map(load_board, boards()):
        has = board.resources
        known[_DEVICE.match(board.part)[0]] = Budget(has.luts, has.dsps, has.brams)
    for name, budget in known.items():
        if part.startswith(name):
            return budget
    raise UserError(
        f"part {part!r}: its resources are not known here; say luts, dsps and brams, or take one of {', '.join(known)}"
    )
