"""FINN's RTL library as Verilator reads it, and as it is right: a copy in the run folder with some files adapted.

The installed package is never changed. Each adaptation is a substitution that must match exactly once, so another
version of FINN is refused by name instead of simulated in a shape nobody has looked at.
"""

from __future__ import annotations

import hashlib
import re
import shutil
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from hwprune.errors import UserError
from hwprune.files import atomic_folder


@dataclass(frozen=True)
class Adaptation:
    """One substitution in one file of the library.

    Attributes
    ----------
    file
        Path within the library.
    pattern, replacement
        As for `re.sub`; the pattern must match exactly once.
    reason
        What Verilator refuses, or what the hardware does wrong.
    """

    file: str
    pattern: str
    replacement: str
    reason: str


ADAPTATIONS = (
    Adaptation(
        "mvu/add_multi.sv",
        r"(?s)(\tuwire \[SUM_WIDTH-1:0\] +sum0;\n.*?)(\t\ttypedef [^\n]*leaf_load_t.*?= init_leaf_loads\(\);\n)",
        r"\2\1",
        "a typedef, a constant function and the localparam made by them stand inside a generate block",
    ),
    Adaptation(
        "fifo/hdl/fifo.sv",
        r"typedef struct \{(?=[^}]*\} abits_t;)",
        "typedef struct packed {",
        "a localparam of an unpacked struct type",
    ),
    Adaptation(
        "fifo/hdl/fifo.sv",
        r'(localparam  RAM_STYLE_HI = \(MIN_ABITS <= ABITS\.hi\)\? RAM_STYLE_EFF :) "auto";',
        r'\1 IS_URAM? "auto" : ABITS.hi <= 6? "distributed" : "block";',
        "the style of a small second address space is left to the tool, and with it what the FIFO takes",
    ),
    Adaptation(
        "mvu/mvu_vvu_axi.sv",
        r"MAX_IN_FLIGHT = CORE_PIPELINE_DEPTH;",
        "MAX_IN_FLIGHT = CORE_PIPELINE_DEPTH + 4;",
        "with a sum in every cycle (SIMD = MW) the output queue overflows under back-pressure: more is in flight when "
        "the lock takes effect than the queue holds",
    ),
)

STAMP = ".adapted"
"""File in the copy that names what it was made from."""


def finn_version() -> str:
    """Version of the installed finn-plus; UserError if it is absent."""
    try:
        return version("finn-plus")
    except PackageNotFoundError as error:
        raise UserError("finn-plus is not installed; install it with: pip install 'hwprune[accel]'") from error


def installed_rtllib() -> Path:
    """Folder of the RTL library in the installed finn-plus."""
    finn_version()
    from finn.interface.settings import FINNSettings

    folder = Path(FINNSettings.model_fields["finn_rtllib"].default)
    if not (folder / "mvu").is_dir():
        raise UserError(f"{folder}: FINN's RTL library is not there; install finn-plus anew")
    return folder


def adapt_text(text: str, adaptation: Adaptation) -> str:
    """Apply one adaptation to the text of its file; UserError if the text is not the one expected."""
    text, count = re.subn(adaptation.pattern, adaptation.replacement, text)
    if count != 1:
        raise UserError(
            f"{adaptation.file} of FINN's RTL library (finn-plus {finn_version()}): expected one place with "
            f"{adaptation.reason}, found {count}; use the finn-plus version that hwprune names in its `accel` extra"
        )
    return text


def adapt_rtllib(folder: Path | str) -> Path:
    """Copy FINN's RTL library to `folder` and adapt what Verilator refuses.

    Parameters
    ----------
    folder
        Where the library shall lie. A copy made from the same version with the same adaptations is left as it is,
        any other is replaced whole.

    Returns
    -------
    Path
        `folder`, absolute: the value for `FINN_RTLLIB`.

    Raises
    ------
    UserError
        A file of the installed library does not have the expected text (another FINN version).
    """
    folder = Path(folder).expanduser().resolve()
    stamp = f"finn-plus {finn_version()}, adaptations {hashlib.sha256(repr(ADAPTATIONS).encode()).hexdigest()}\n"
    if (folder / STAMP).is_file() and (folder / STAMP).read_text() == stamp:
        return folder
    with atomic_folder(folder) as copy:
        shutil.copytree(installed_rtllib(), copy, ignore=shutil.ignore_patterns("__pycache__"), dirs_exist_ok=True)
        for adaptation in ADAPTATIONS:
            path = copy / adaptation.file
            text = path.read_text() if path.is_file() else ""
            path.write_text(adapt_text(text, adaptation))
        (copy / STAMP).write_text(stamp)
    return folder
