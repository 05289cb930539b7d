"""Zynq-7000 without Vivado: Yosys, nextpnr, and Project X-Ray's tools from FASM to a bitstream.

Two nextpnr's know these parts, openXC7's own and the upstream one, with different options. None of the tools is on
PyPI: all are looked for on PATH.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from hwprune.accel.design import Design
from hwprune.accel.sources import rtl_dir
from hwprune.accel.stitch import SOURCES
from hwprune.board.board import Board
from hwprune.board.inferred_rtl import INFERRED, SHIFT_IN_LUTS, adapt_sources
from hwprune.board.netlist import Cost, measure
from hwprune.board.report import BuildReport, utilisation
from hwprune.board.shell import REGISTERS, write_shell
from hwprune.board.yosys import DELAY_PS, SLANG, yosys
from hwprune.board.zynq7_top import BRIDGE, MAX_BURST, TOP, zynq7_top
from hwprune.errors import UserError
from hwprune.files import scratch_folder, write_text

NAME = "hwprune"
NEXTPNR = ("nextpnr-xilinx", "nextpnr-himbaechel-xilinx", "nextpnr-himbaechel")
FRAMES, BITSTREAM = ("fasm2frames", "fasm2frames.py"), ("xc7frames2bit",)
DATABASE, CHIPS = "PRJXRAY_DB_DIR", "CHIPDB"
"""Environment variables of openXC7's installers: Project X-Ray's database, and nextpnr-xilinx's chips made from it."""
ORIGIN = (
    "openXC7's installers bring them (github.com/openXC7/toolchain-installer, or its Nix flake), with prjxray-db; then "
    "give the same command again. With Vivado, here or elsewhere: build: {backend: vivado}"
)
SEED = 1
SUPPORTED = re.compile(
    r"LUT[1-6]|INV|FD[RSCP]E|CARRY4|MUXF[78]|DSP48E1|RAMB(18|36)E1|RAM(32|64|128|256)(X1[SD]|M)|SRL16E|SRLC32E|BUFG|PS7"
    r"|GND|VCC"
)
"""Cells that both nextpnr's place on these parts."""
NO_DSP_TIMING = "nextpnr knows no delays within DSP48E1 cells: the highest clock leaves out the paths through them"
NO_HANDOFF = (
    "there is no .hwh: load the bitstream as it is (pynq.Bitstream), set the clock by hand (pynq.Clocks.fclk0_mhz), "
    "and find the registers in registers.json"
)
_FREQUENCY = re.compile(r"Max frequency for clock\s+'([^']+)': ([\d.]+) MHz")


@dataclass(frozen=True)
class Tools:
    """What was found on PATH.

    Attributes
    ----------
    nextpnr, frames, bitstream
        Programs.
    upstream
        Whether this nextpnr takes its files as upstream's does: ``-o xdc=FILE`` in the place of ``--xdc FILE``.
    database
        Folder of Project X-Ray's database with this part's family.
    chip
        nextpnr-xilinx's description of the chip; None for upstream's, which finds its own.
    """

    nextpnr: str
    frames: str
    bitstream: str
    upstream: bool
    database: Path
    chip: Path | None


def build(design: Design, board: Board, clock_mhz: float, folder: Path, tell: Callable[[str], None]) -> BuildReport:
    """Make a bitstream.

    Parameters
    ----------
    design
        The accelerator.
    board
        With a Zynq-7000.
    clock_mhz
        Of the accelerator, from the processor's clock generator.
    folder
        Gets the bitstream, `registers.json`, and what the tools said.
    tell
        Called with what is being done.

    Raises
    ------
    UserError
        A board that is none, a tool or database that is missing, too much for the part, a clock that is not reached, or
        a tool that breaks off. The folder is then as it was.
    """
    top = zynq7_top(board)
    tools = find_tools(board.part)
    folder.mkdir(parents=True, exist_ok=True)
    with scratch_folder(folder / NAME) as scratch:
        tell("synthesise (Yosys)")
        cost = synthesise(design, board, top, scratch)
        _report(board, clock_mhz, cost, tools).require_sound()
        tell(f"place and route ({Path(tools.nextpnr).name})")
        write_text(scratch / f"{NAME}.xdc", "# No pins: the processor's are its own.\n")
        log = _run(place_command(tools, board.part, clock_mhz), scratch)
        write_text(scratch / f"{NAME}.log", log)
        report = _report(board, clock_mhz, cost, tools, log)
        report.require_sound()
        tell("pack the bitstream")
        for command in pack_commands(tools, board.part):
            _run(command, scratch)
        for name in report.files:
            if not (scratch / name).is_file():
                raise UserError(
                    f"openxc7: no {name} was made, though no tool complained; what they said:\n{log[-1000:]}"
                )
        for name in report.files:
            (scratch / name).replace(folder / name)
    return report


def find_tools(part: str) -> Tools:
    """Programs and databases for a part.

    Raises
    ------
    UserError
        If any is missing; names all that are.
    """
    programs = {names: next(filter(None, map(shutil.which, names)), None) for names in (NEXTPNR, FRAMES, BITSTREAM)}
    nextpnr, frames, bitstream = programs.values()
    wanting = [] if find_spec("pyosys") else ["pyosys is not installed (pip install 'hwprune[build]')"]
    if missing := [" or ".join(names) for names, found in programs.items() if found is None]:
        wanting.append(f"{', '.join(missing)} not on PATH")
    database = Path(os.environ.get(DATABASE, "")) / "zynq7"
    described = database / part / "part.yaml"
    if DATABASE not in os.environ or not described.is_file():
        wanting.append(f"{described} is not there (set {DATABASE} to the folder of prjxray-db)")
    upstream, chip = nextpnr is not None and _is_upstream(nextpnr), None
    if nextpnr is not None and not upstream:
        device = part[: re.match(r"xc7z\d+s?", part).end()]
        chips = [Path(os.environ.get(CHIPS, "")) / f"{name}.bin" for name in (device, part)]
        chip = next(filter(Path.is_file, chips), None)
        if chip is None or CHIPS not in os.environ:
            wanting.append(
                f"{chips[0]} is not there (set {CHIPS} to the folder with nextpnr-xilinx's chips, made by its "
                "bbaexport.py and bbasm)"
            )
    if wanting:
        raise UserError(f"openxc7: {'; '.join(wanting)}. {ORIGIN}")
    return Tools(nextpnr, frames, bitstream, upstream, database, chip)


def _is_upstream(nextpnr: str) -> bool:
    told = subprocess.run([nextpnr, "--help"], capture_output=True, text=True, check=False)
    text = told.stdout + told.stderr
    if "--xdc" in text and "--fasm" in text:
        return False
    if "--vopt" in text:
        return True
    raise UserError(f"openxc7: {nextpnr} takes neither --xdc and --fasm nor --vopt; is it for Xilinx's parts? {ORIGIN}")


def place_command(tools: Tools, part: str, clock_mhz: float) -> list[str]:
    """How nextpnr is called; it works in the folder of the netlist."""
    common = ["--json", f"{NAME}.json", "--freq", f"{clock_mhz:g}", "--seed", str(SEED), "--timing-allow-fail"]
    files = {"xdc": f"{NAME}.xdc", "fasm": f"{NAME}.fasm"}
    if tools.upstream:
        options = [word for name, file in files.items() for word in ("-o", f"{name}={file}")]
        return [tools.nextpnr, "--device", part, *options, *common]
    options = [word for name, file in files.items() for word in (f"--{name}", file)]
    return [tools.nextpnr, "--chipdb", str(tools.chip), *options, *common]


def pack_commands(tools: Tools, part: str) -> list[list[str]]:
    """From FASM to frames to a bitstream."""
    return [
        [tools.frames, "--db-root", str(tools.database), "--part", part, f"{NAME}.fasm", f"{NAME}.frames"],
        [
            tools.bitstream,
            *("--part_file", str(tools.database / part / "part.yaml"), "--part_name", part),
            *("--frm_file", f"{NAME}.frames", "--output_file", f"{NAME}.bit"),
        ],
    ]


def synthesise(design: Design, board: Board, top: str, folder: Path) -> Cost:
    """Synthesise the accelerator, its shell and the top; the netlist goes to ``hwprune.json``.

    Raises
    ------
    UserError
        If Yosys is missing or refuses the sources, or a cell is left that nextpnr does not place.
    """
    shell = write_shell(design, board, folder, max_burst=MAX_BURST)
    extra = adapt_sources(folder, INFERRED)
    shutil.copyfile(rtl_dir() / f"{BRIDGE}.sv", folder / SOURCES / f"{BRIDGE}.sv")
    write_text(folder / SOURCES / f"{TOP}.v", top)
    sources = [*extra, f"{SOURCES}/{BRIDGE}.sv", *shell.files]
    script = [
        *(f"read_verilog -lib +/xilinx/{cells}.v" for cells in ("cells_sim", "cells_xtra")),
        f"{SLANG} -D SYNTHESIS -D {SHIFT_IN_LUTS} --top {shell.top} --top {BRIDGE} {' '.join(sources)}",
        f"read_verilog {SOURCES}/{TOP}.v",
        f"scratchpad -set abc9.D {DELAY_PS}",
        f"synth_xilinx -flatten -abc9 -noiopad -arch xc7 -top {TOP}",
        "setparam -set INIT 32'h00000000 t:SRLC32E",  # which the reader of SystemVerilog drops
        "delete t:$scopeinfo",  # names only
        "check -assert",
        f"write_json {NAME}.json",
    ]
    try:
        yosys(script, folder)
    except RuntimeError as error:
        raise UserError(f"openxc7: the sources of {design.folder} do not synthesise: {error}") from error
    module = json.loads((folder / f"{NAME}.json").read_text())["modules"][TOP]
    kinds = Counter(cell["type"] for cell in module["cells"].values())
    if foreign := sorted(kind for kind in kinds if not SUPPORTED.fullmatch(kind)):
        raise UserError(f"openxc7: nextpnr does not place the cells {', '.join(foreign)}; take backend vivado")
    cells = {name: cell for name, cell in module["cells"].items() if cell["type"] != "PS7"}
    return measure({**module, "cells": cells})


def _report(board: Board, clock_mhz: float, cost: Cost, tools: Tools, log: str = "") -> BuildReport:
    clocks = {found[1]: float(found[2]) for found in _FREQUENCY.finditer(log)}  # the last of each is after routing
    said = dict.fromkeys(line.strip() for line in log.splitlines() if line.lower().startswith("warning:"))
    used = {"lut": cost.lut, "ff": cost.ff, "dsp": cost.dsp, "bram18": cost.bram18}
    return BuildReport(
        backend="openxc7",
        board=board.name,
        part=board.part,
        clock_mhz=clock_mhz,
        files=tuple(sorted((f"{NAME}.bit", f"{NAME}.fasm", f"{NAME}.log", REGISTERS))),
        bitstream=f"{NAME}.bit",
        utilisation=utilisation(board, used),
        fmax_mhz=min(clocks.values(), default=None),
        warnings=(*said, *([NO_DSP_TIMING] if cost.dsp else []), NO_HANDOFF),
        tools={"pyosys": version("pyosys"), Path(tools.nextpnr).name: _version(tools.nextpnr)},
        complete=True,
    )


def _version(program: str) -> str:
    told = subprocess.run([program, "--version"], capture_output=True, text=True, check=False)
    found = re.search(r"Version ([\w.+-]+)", told.stdout + told.stderr)
    return found[1] if found else "unknown"


def _run(command: Sequence[str], folder: Path) -> str:
    """Run a tool; returns what it said."""
    done = subprocess.run(
        command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", check=False
    )
    if done.returncode:
        errors = [line for line in done.stdout.splitlines() if "rror" in line] or [done.stdout[-1000:].strip()]
        raise UserError(
            f"openxc7: {Path(command[0]).name} breaks off (status {done.returncode}):\n" + "\n".join(errors)
        )
    return done.stdout
