"""FINN's RTL as Lattice's ECP5 wants it: its cells are Xilinx's, and its memories and multipliers have other shapes.

What is substituted keeps values and cycles; the adapted sources are what the tests simulate.
"""

import shutil
from pathlib import Path

from hwprune.accel.rtllib import Adaptation, adapt_text
from hwprune.accel.sources import rtl_dir
from hwprune.accel.stitch import SOURCES
from hwprune.board import for_yosys

DEFINES = "-D SHIFT_IN_RAM"
"""For `read_slang`: LUTs of this part are no shift registers."""
MULTIPLIER_BITS = 18

ADAPTATIONS = (
    Adaptation(
        "mvu/mvu.sv",
        r"A_WIDTH = 25 \+ 2\*\(VERSION > 1\);",
        f"A_WIDTH = {MULTIPLIER_BITS};",
        "the width of a DSP48's multiplier; with MULT18X18D three products of 4 bits share one instead of four",
    ),
    Adaptation(
        "mvu/mvu.sv",
        r"localparam bit  BEHAVIORAL =\n",
        "localparam bit  BEHAVIORAL = 1 ||\n",
        "the choice between Xilinx's DSP cells and their description, which Yosys maps to multipliers of the part",
    ),
)


def adapt_for_ecp5(folder: Path) -> list[str]:
    """Adapt the sources of a design that were copied to a folder.

    Returns
    -------
    list of str
        Further sources, relative to the folder.

    Raises
    ------
    UserError
        If a file is not the one expected: another version of FINN.
    """
    for adaptation in (*for_yosys.ADAPTATIONS, *ADAPTATIONS):
        path = folder / for_yosys.LIBRARY / adaptation.file
        if path.is_file():
            path.write_text(adapt_text(path.read_text(), adaptation))
    extra = f"{SOURCES}/{for_yosys.SHIFT_REGISTER}"
    shutil.copyfile(rtl_dir() / for_yosys.SHIFT_REGISTER, folder / extra)
    return [extra]
