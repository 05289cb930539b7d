"""What turns an accelerator into a file that configures a board; each is a module with one function `build`.

``build(design, board, clock_mhz, folder, tell) -> BuildReport`` works in `folder`, which may hold what an earlier call
for the same design has left there, and calls `tell` with what it does.
"""

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from hwprune.errors import UserError

if TYPE_CHECKING:
    from hwprune.accel.design import Design
    from hwprune.board.board import Board
    from hwprune.board.report import BuildReport

    Build = Callable[[Design, Board, float, Path, Callable[[str], None]], BuildReport]

ZYNQ_7000, ZYNQ_ULTRASCALE, ECP5 = "zynq-7000", "zynq-ultrascale+", "ecp5"
FAMILIES: dict[str, tuple[str, ...]] = {
    "vivado": (ZYNQ_7000, ZYNQ_ULTRASCALE),
    "finn": (ZYNQ_7000, ZYNQ_ULTRASCALE),
    "openxc7": (ZYNQ_7000,),
    "ecp5": (ECP5,),
}
"""Families of parts by backend."""


def backend_for(board: "Board", wanted: str | None) -> str:
    """The backend that is wanted, or the first that serves the board.

    Raises
    ------
    UserError
        If it does not serve the board.
    """
    serving = [name for name, families in FAMILIES.items() if board.family in families]
    if wanted is None:
        return serving[0]
    if wanted not in serving:
        raise UserError(f"{wanted} makes nothing for board {board.name} ({board.family}); take {' or '.join(serving)}")
    return wanted


def builder(name: str) -> "Build":
    """The function `build` of a backend."""
    return import_module(f"{__name__}.{name}").build
