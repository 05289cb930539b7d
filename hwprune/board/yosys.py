"""Yosys, and modules synthesised by it for 7-series parts."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

from hwprune.board.netlist import Cost, measure
from hwprune.errors import UserError

DELAY_PS = 8000
"""What the mapping of logic to LUTs may take up of a period of 100 MHz; without a bound it doubles logic for speed."""
SLANG = (
    "read_slang --threads 1 --ignore-assertions --ignore-timing --allow-use-before-declare "
    "-Wno-undefined-param-override -D YOSYS"
)
"""The reader of SystemVerilog, with what FINN's library needs."""
_YOSYS = "import sys; from pyosys import libyosys; libyosys.run_pass('script ' + sys.argv[1], libyosys.Design())"


def yosys(script: Sequence[str], folder: Path) -> str:
    """Run commands of Yosys in a process of its own.

    Parameters
    ----------
    script
        A command a line; file names are relative to the folder.
    folder
        Where it runs.

    Returns
    -------
    str
        What Yosys printed.

    Raises
    ------
    UserError
        If Yosys is not installed.
    RuntimeError
        If it refuses a command; with the end of its output.
    """
    if find_spec("pyosys") is None:
        raise UserError("Yosys is not installed; get it with: pip install pyosys")
    with tempfile.NamedTemporaryFile("w", suffix=".ys") as file:
        file.write("\n".join(script) + "\n")
        file.flush()
        command = [sys.executable, "-c", _YOSYS, file.name]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"Yosys: {(done.stdout + done.stderr)[-2000:].strip()}")
    return done.stdout


@dataclass(frozen=True)
class Unit:
    """A module, with values of its parameters, to be synthesised by itself."""

    name: str
    top: str
    sources: Sequence[Path]
    parameters: dict[str, int | str] = field(default_factory=dict)
    dsp: bool = False
    """Whether multiplications may take DSPs."""
    library: bool = False
    """Whether the sources place cells of the part, which are then only counted: their parameters are lost."""
    data: dict[str, str] = field(default_factory=dict)
    """Texts that are no files yet: more sources (.sv, .v), or what sources read, by a name that says what
    is in them."""


def synthesise(units: Sequence[Unit], workers: int = 2, batch: int = 4, done=None) -> dict[str, Cost]:
    """Synthesise modules, `workers` at a time.

    Parameters
    ----------
    units
        With different names.
    workers
        Yosys processes at a time; each takes one core.
    batch
        Units for a process, whose start takes seconds.
    done
        Called with each design's name and cost as its batch is ready.

    Raises
    ------
    RuntimeError
        If Yosys refuses a design; with the end of its output.
    """

    def several(some: Sequence[Unit]) -> dict[str, Cost]:
        costs = {name: measure(module) for name, module in netlists(some).items()}
        for name, cost in costs.items():
            if done:
                done(name, cost)
        return costs

    with ThreadPoolExecutor(workers) as pool:
        parts = pool.map(several, [units[at : at + batch] for at in range(0, len(units), batch)])
        return {name: cost for part in parts for name, cost in part.items()}


def netlists(units: Sequence[Unit]) -> dict[str, dict]:
    """The flat netlists, by design, as Yosys's JSON has them: ports and cells of the top module."""
    with tempfile.TemporaryDirectory(prefix="synthesis-") as temporary:
        folder, script = Path(temporary), []
        for number, unit in enumerate(units):
            names = []
            for name, content in {**{source.name: source for source in unit.sources}, **unit.data}.items():
                text = content.read_text() if isinstance(content, Path) else content
                source = name.endswith((".sv", ".v"))
                file = f"{number}_{name}" if source else name
                (folder / file).write_text(text)
                names += [file] if source else []
            values = " ".join(f"-G {name}={value}" for name, value in unit.parameters.items())
            script += ["design -reset"]
            if unit.library:
                script += [f"read_verilog -lib +/xilinx/{cells}.v" for cells in ("cells_sim", "cells_xtra")]
            script += [
                f"{SLANG} -D XC7 -D SYNTHESIS --top {unit.top} {values} {' '.join(names)}",
                f"scratchpad -set abc9.D {DELAY_PS}",
                "synth_xilinx -flatten -abc9 -noiopad -noclkbuf -arch xc7 "
                f"{'' if unit.dsp else '-nodsp'} -top {unit.top}",
                "check -assert",
                f"write_json {number}.json",
            ]
        try:
            yosys(script, folder)
        except RuntimeError as error:
            raise RuntimeError(f"one of {', '.join(unit.name for unit in units)}: {error}") from None
        return {
            unit.name: json.loads((folder / f"{number}.json").read_text())["modules"][unit.top]
            for number, unit in enumerate(units)
        }
