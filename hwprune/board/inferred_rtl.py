"""FINN's RTL without cells of a vendor: Yosys infers multipliers, memories and shift registers itself.

`read_slang` drops the parameters of cells that it does not know, so a DSP48 or a LUT6_2 that the sources place would
lose its configuration; and Lattice's ECP5 has other cells. What is substituted keeps values and cycles.
"""

import shutil
from collections.abc import Sequence
from pathlib import Path

from hwprune.accel.rtllib import Adaptation, adapt_text
from hwprune.accel.sources import rtl_dir
from hwprune.accel.stitch import SOURCES
from hwprune.board import for_yosys

INFERRED = (
    Adaptation(
        "mvu/mvu.sv",
        r"localparam bit  BEHAVIORAL =\n",
        "localparam bit  BEHAVIORAL = 1 ||\n",
        "the choice between Xilinx's DSP cells and their description, which Yosys maps to multipliers of the part",
    ),
)
ECP5 = (
    *INFERRED,
    Adaptation(
        "mvu/mvu.sv",
        r"A_WIDTH = 25 \+ 2\*\(VERSION > 1\);",
        "A_WIDTH = 18;",
        "the width of a DSP48's multiplier; with MULT18X18D three products of 4 bits share one instead of four",
    ),
)
"""By part."""
SHIFT_IN_RAM, SHIFT_IN_LUTS = "SHIFT_IN_RAM", "YOSYS_SRL"
"""Macros of `dynamic_srl.sv`: LUTs of ECP5 are no shift registers, those of 7-series parts are."""


def adapt_sources(folder: Path, adaptations: Sequence[Adaptation]) -> list[str]:
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
    for adaptation in (*for_yosys.ADAPTATIONS, *adaptations):
        path = folder / for_yosys.LIBRARY / adaptation.file
        if path.is_file():
            path.write_text(adapt_text(path.read_text(), adaptation))
    extra = f"{SOURCES}/{for_yosys.SHIFT_REGISTER}"
    shutil.copyfile(rtl_dir() / for_yosys.SHIFT_REGISTER, folder / extra)
    return [extra]
