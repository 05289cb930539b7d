"""Vivado: a folder that holds all that it needs, and Vivado itself where it is installed.

The folder can be copied to another machine, built there, and its results copied back. ``build.tcl`` begins with
settings, which are made here; the rest of it is ``vivado.tcl`` beside this file, the same for every board.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

from hwprune.accel.design import Design
from hwprune.board.backends.vivado_processors import processor
from hwprune.board.backends.vivado_reports import parse_errors, parse_timing, parse_utilisation, parse_warnings
from hwprune.board.board import Board
from hwprune.board.registers import ADDRESS_BITS
from hwprune.board.report import BuildReport, Use, utilisation
from hwprune.board.shell import REGISTERS, Shell, write_shell
from hwprune.errors import UserError
from hwprune.files import write_text

NAME = "hwprune"
"""Of the project, the block design, and the results."""
OLDEST = "2020.2"
"""Vivado from which on the commands in ``vivado.tcl`` are as they are used there."""
SCRIPT, CONSTRAINTS, LOG = "build.tcl", "constraints.xdc", "vivado.log"
OUT, REPORTS = "out", "reports"
COMMAND = f"vivado -mode batch -source {SCRIPT}"
NEXT_STEP = (
    f"Vivado is not on this machine's PATH. Copy the build folder to a machine with Vivado {OLDEST} or newer; there, "
    f"in that folder, run: {COMMAND}. Copy its {OUT}/, {REPORTS}/ and {LOG} back into the build folder, and give the "
    "same command again. (Where Vivado is on this machine: source its settings64.sh, and give the same command again.)"
)


def build(
    design: Design, board: Board, clock_mhz: float, folder: Path, tell: Callable[[str], None] = lambda step: None
) -> BuildReport:
    """Write the folder; run Vivado if it is on PATH and has not been run; read what it left, wherever it ran.

    Parameters
    ----------
    design
        A compiled accelerator.
    board
        One with a processor.
    clock_mhz
        Of the accelerator, from the processor's clock generator, which may not meet it exactly.
    folder
        Of the build.
    tell
        Called with each step as it begins.

    Raises
    ------
    UserError
        The board has no processor or unknown ports; Vivado stopped, with what it says; a report that cannot be read;
        hold times that no clock mends.
    """
    tell("write the sources and the script")
    shell = write_shell(design, board, folder)
    write_text(folder / CONSTRAINTS, _constraints(shell))
    settings = _settings(shell, board, clock_mhz)
    body = Path(__file__).with_suffix(".tcl").read_text(encoding="utf-8")
    inputs = _fingerprint(shell, settings, body)
    write_text(folder / SCRIPT, script(settings | {"inputs": inputs}, body))
    vivado = shutil.which("vivado")
    if not _built(folder, inputs) and vivado:
        _run(Path(vivado), board, clock_mhz, folder, inputs, tell)
    tell("read the reports")
    return _report(shell, board, clock_mhz, folder, inputs)


def script(settings: dict[str, str], body: str) -> str:
    """``build.tcl``: the settings as Tcl variables, and what is the same for every board."""
    lines = [f"set {name} {_word(value)}" for name, value in settings.items()]
    return "\n".join([f"# Made by hwprune. Run it with: {COMMAND}", *lines, "", body])


def _word(value: str) -> str:
    """A text as one word of Tcl."""
    return (
        "{" + value + "}" if re.fullmatch(r"[^{}\\]*", value) else '"' + re.sub(r'([\\"$\[\]{}])', r"\\\1", value) + '"'
    )


def _settings(shell: Shell, board: Board, clock_mhz: float) -> dict[str, str]:
    own = processor(board, clock_mhz)
    settings = " ".join(f"CONFIG.{name} {value}" for name, value in own.settings.items())
    return {
        "name": NAME,
        "top": shell.top,
        "part": board.part,
        "oldest": OLDEST,
        "jobs": "4",
        "board_parts": re.sub(r":[\d.]+$", ":*", board.vivado_board or ""),
        "processor": own.block,
        "clock_pin": own.clock,
        "reset_pin": own.reset,
        "interrupt_pin": board.ports.interrupt,
        "control_port": board.ports.control,
        "control_clock_pin": own.control_clock,
        "data_port": board.ports.data,
        "data_clock_pin": own.data_clock,
        "registers": f"{board.memory.registers:#010x}",
        # Vivado takes no range that is larger than what the port can address.
        "register_bytes": f"{min(board.memory.register_bytes, 1 << ADDRESS_BITS):#x}",
        "memory_base": f"{board.memory.base:#010x}",
        "memory_bytes": f"{board.memory.bytes:#x}",
        "memory_segment": own.memory_segment,
        "processor_settings": settings,
        "sources": "\n" + "\n".join(shell.files) + "\n",
    }


def _constraints(shell: Shell) -> str:
    return (
        "# Made by hwprune. The clock's period comes with the processor's block.\n"
        "set_property BITSTREAM.GENERAL.COMPRESS TRUE [current_design]\n"
        "# Readable in the configured part: which accelerator this is, as in register `design`.\n"
        f"set_property BITSTREAM.CONFIG.USR_ACCESS {shell.design_id:#010x} [current_design]\n"
    )


def _fingerprint(shell: Shell, settings: dict[str, str], body: str) -> str:
    """Tells whether results that lie in the folder are of this script and these sources."""
    total = hashlib.sha256(script(settings, body).encode())
    for path in sorted(path for path in (shell.folder / "rtl").rglob("*") if path.is_file()):
        content = path.read_bytes()
        total.update(f"{path.relative_to(shell.folder).as_posix()} {len(content)}\n".encode() + content)
    return total.hexdigest()


def _built(folder: Path, inputs: str) -> dict[str, str]:
    """What ``out/built.txt`` says, if the results there are whole and of these inputs; else nothing."""
    try:
        said = dict(line.split(maxsplit=1) for line in (folder / OUT / "built.txt").read_text().splitlines() if line)
    except (OSError, ValueError):
        return {}
    whole = all((folder / OUT / f"{NAME}{suffix}").is_file() for suffix in (".bit", ".hwh"))
    return said if whole and said.get("inputs") == inputs else {}


def _run(vivado: Path, board: Board, clock_mhz: float, folder: Path, inputs: str, tell: Callable[[str], None]) -> None:
    """Run Vivado to its end; UserError says why it stopped."""
    process = subprocess.Popen(
        [str(vivado), "-mode", "batch", "-nojournal", "-log", LOG, "-source", SCRIPT],
        cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True, errors="replace", start_new_session=True,
    )  # fmt: skip
    said = []
    try:
        for line in process.stdout:
            said.append(line)
            if match := re.match(r"hwprune: (\d+/\d+ .*)", line):
                tell(f"Vivado {match[1]}")
        status = process.wait()
    finally:
        if process.poll() is None:  # Ctrl-C: its runs are processes of their own
            os.killpg(process.pid, signal.SIGTERM)
            process.wait()
    if status == 0 and _built(folder, inputs):
        return
    if not (folder / LOG).is_file():
        write_text(folder / LOG, "".join(said))
    _fits(board, clock_mhz, folder, inputs)
    told = parse_errors("".join(said))[:5] or tuple(line.rstrip() for line in said[-5:])
    raise UserError(f"{folder / LOG}: Vivado ended with status {status} and no bitstream:\n" + "\n".join(told))


def _fits(board: Board, clock_mhz: float, folder: Path, inputs: str) -> None:
    """UserError if a run that left no bitstream had too little room."""
    if used := _utilisation(board, folder, inputs):
        BuildReport(
            backend="vivado", board=board.name, part=board.part, clock_mhz=clock_mhz, files=(), utilisation=used,
            complete=False,
        ).require_sound()  # fmt: skip


def _utilisation(board: Board, folder: Path, inputs: str) -> dict[str, Use]:
    """After placement, or else after synthesis; nothing where neither was reached with these inputs."""
    reports = folder / REPORTS
    if not (reports / "inputs.txt").is_file() or (reports / "inputs.txt").read_text().strip() != inputs:
        return {}
    for name in ("utilization.rpt", "utilization_synth.rpt"):
        if (reports / name).is_file():
            return utilisation(board, _read(reports / name, parse_utilisation))
    return {}


def _read(path: Path, parse: Callable) -> object:
    """A parsed report; UserError names the file."""
    try:
        return parse(path.read_text(encoding="utf-8", errors="replace"))
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); copy {REPORTS}/ from where Vivado ran") from error
    except UserError as error:
        raise UserError(f"{path}: {error}; copy {REPORTS}/ anew from where Vivado ran") from error


def _report(shell: Shell, board: Board, clock_mhz: float, folder: Path, inputs: str) -> BuildReport:
    files = [SCRIPT, CONSTRAINTS, REGISTERS]
    common = {"backend": "vivado", "board": board.name, "part": board.part, "clock_mhz": clock_mhz}
    said = _built(folder, inputs)
    if not said:
        _fits(board, clock_mhz, folder, inputs)
        next_step = NEXT_STEP
        if (folder / OUT).exists():
            next_step = f"{OUT}/ there is cut off, or of another design. {NEXT_STEP}"
        files += shell.files
        return BuildReport(**common, files=sorted(files), missing=("vivado",), next_step=next_step, complete=False)
    timing = _read(folder / REPORTS / "timing.rpt", parse_timing)
    if timing.hold_slack is not None and timing.hold_slack < 0:
        raise UserError(
            f"{folder / REPORTS / 'timing.rpt'}: hold times are missed by {-timing.hold_slack:g} ns, which no clock "
            "mends; lower compile.target_fps so that the part is less full, or open work/project and route again"
        )
    log = folder / LOG
    warnings = parse_warnings(log.read_text(encoding="utf-8", errors="replace")) if log.is_file() else ()
    given = int(float(said["clock_hz"])) / 1e6
    if abs(given - clock_mhz) > 1e-3 * clock_mhz:
        warnings = (f"the processor's clock generator gives {given:g} MHz, not {clock_mhz:g} MHz", *warnings)
    made = [f"{OUT}/{NAME}.bit", f"{OUT}/{NAME}.hwh"]
    reports = [path.relative_to(folder).as_posix() for path in (folder / REPORTS).glob("*.rpt")]
    return BuildReport(
        **common,
        files=sorted([*files, *made, *reports, *shell.files]),
        bitstream=made[0],
        hardware_handoff=made[1],
        utilisation=_utilisation(board, folder, inputs),
        fmax_mhz=timing.fmax_mhz,
        warnings=warnings,
        tools={"vivado": said.get("vivado", "unknown")},
        complete=True,
    )
