"""What is in a part: look-up tables, DSP slices and block RAMs of 18 Kb (Xilinx DS190, DS180, DS891, DS987)."""

from hwprune.accel.budget import Budget
from hwprune.errors import UserError

PARTS = {
    "xc7z007s": Budget(14_400, 66, 100),
    "xc7z010": Budget(17_600, 80, 120),
    "xc7z020": Budget(53_200, 220, 280),
    "xc7z030": Budget(78_600, 400, 530),
    "xc7z045": Budget(218_600, 900, 1090),
    "xc7a35t": Budget(20_800, 90, 100),
    "xc7a100t": Budget(63_400, 240, 270),
    "xc7a200t": Budget(134_600, 740, 730),
    "xczu3eg": Budget(70_560, 360, 432),
    "xczu7ev": Budget(230_400, 1728, 624),
    "xczu9eg": Budget(274_080, 2520, 1824),
    "xck26": Budget(117_120, 1248, 288),
}
"""By the beginning of the part's name."""


def contents(part: str) -> Budget:
    """All that a part has.

    Raises
    ------
    UserError
        If it is not known here.
    """
    for name, budget in PARTS.items():
        if part.startswith(name):
            return budget
    raise UserError(
        f"part {part!r}: its resources are not known here; say luts, dsps and brams, or take one of {', '.join(PARTS)}"
    )
