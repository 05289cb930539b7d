"""FINN's own way to a bitstream: its shell, of Vitis HLS and Vivado's IP, around the same operators.

It needs both tools on PATH; `hwprune.board.backends.vivado` needs Vivado alone.
"""

from __future__ import annotations

import os
import shutil
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from pathlib import Path

from hwprune.accel.accelerator import GRAPH
from hwprune.accel.design import Design
from hwprune.board.backends.vivado_reports import parse_timing
from hwprune.board.board import Board
from hwprune.board.report import BuildReport, Resource, utilisation
from hwprune.errors import UserError

PLATFORMS = {
    "pynq-z1": "Pynq-Z1",
    "pynq-z2": "Pynq-Z2",
    "ultra96-v2": "Ultra96-V2",
    "kv260": "KV260_SOM",
    "zcu104": "ZCU104",
}
"""FINN's names of boards."""
HLS = ("vitis_hls", "vitis-run")
"""Vitis HLS, as one release or another calls it."""
NAME = "hwprune"


def build(
    design: Design, board: Board, clock_mhz: float, folder: Path, tell: Callable[[str], None] = lambda step: None
) -> BuildReport:
    """Run FINN's ``ZynqBuild`` on the folded graph that lies beside the design.

    Its DMAs and drivers are FINN's, so there are no registers of our shell.

    Raises
    ------
    UserError
        A tool that is missing, a board that FINN does not know, a folder that holds no graph, or what FINN stopped at.
    """
    _require(board)
    graph = design.folder / GRAPH
    if not graph.is_file():
        raise UserError(f"{graph}: the folded graph is not there; compile the accelerator anew")

    from hwprune.accel import operators
    from hwprune.accel.finn_env import prepare_finn

    prepare_finn(folder)
    from finn.transformation.fpgadataflow.make_zynq_proj import ZynqBuild
    from finn.util.exception import FINNError
    from qonnx.core.modelwrapper import ModelWrapper

    operators.register()
    tell("FINN's ZynqBuild: HLS, stitching, Vivado; its logs are in build/")
    try:
        model = ModelWrapper(str(graph)).transform(
            ZynqBuild(PLATFORMS[board.name], 1e3 / clock_mhz, partition_model_dir=str(folder / "partitions"))
        )
    except FINNError as error:
        raise UserError(f"{folder}: FINN's ZynqBuild stopped: {error}") from error
    return _report(model, board, clock_mhz, folder)


def _require(board: Board) -> None:
    lacking = [] if shutil.which("vivado") else ["vivado"]
    if not any(map(shutil.which, HLS)):
        lacking.append(HLS[0])
    if lacking:
        raise UserError(
            f"backend finn: {', '.join(lacking)} not on PATH. FINN's shell is made by Vitis HLS and Vivado: source "
            "their settings64.sh; or let our own shell be built, which Vivado alone can do, here or elsewhere: "
            "build: {backend: vivado}"
        )
    if not os.environ.get("XILINX_VIVADO"):
        raise UserError(
            "backend finn: XILINX_VIVADO is not set, which tells FINN Vivado's version; source its settings64.sh"
        )
    if board.name not in PLATFORMS:
        raise UserError(
            f"board {board.name}: FINN's shell is not made for it, only for {', '.join(PLATFORMS)}; take "
            "build: {backend: vivado}"
        )


def _report(model, board: Board, clock_mhz: float, folder: Path) -> BuildReport:
    """Copy bitstream and handoff under one name, and read FINN's reports (its counts are after implementation)."""
    made = {}
    for suffix, key in (("bit", "bitfile"), ("hwh", "hw_handoff")):
        source = model.get_metadata_prop(key)
        if not source or not Path(source).is_file():
            raise UserError(f"{folder}: FINN's ZynqBuild has left no {suffix}; its logs are in {folder / 'build'}")
        made[suffix] = f"{NAME}.{suffix}"
        shutil.copyfile(source, folder / made[suffix])
    project = Path(model.get_metadata_prop("vivado_pynq_proj"))
    fmax = None
    for report in sorted(project.rglob("*_timing_summary_routed.rpt")):
        fmax = parse_timing(report.read_text(errors="replace")).fmax_mhz
    used = _counts(Path(model.get_metadata_prop("vivado_synth_rpt")))
    return BuildReport(
        backend="finn",
        board=board.name,
        part=board.part,
        clock_mhz=clock_mhz,
        files=tuple(sorted(made.values())),
        bitstream=made["bit"],
        hardware_handoff=made["hwh"],
        utilisation=utilisation(board, used),
        fmax_mhz=fmax,
        tools={"finn": _version()},
        complete=True,
    )


def _counts(path: Path) -> dict[Resource, int]:
    """The top's row of FINN's hierarchical report, which is XML: a row of headers, then a row an instance."""
    try:
        headers, top, *_ = ElementTree.parse(path).iter("tablerow")
        cells = {
            name.get("contents").strip(): cell.get("contents").strip() for name, cell in zip(headers, top, strict=True)
        }
        used = {"lut": int(cells["Total LUTs"]), "ff": int(cells["FFs"]), "uram": int(cells.get("URAM", 0))}
        used["bram18"] = 2 * int(cells["RAMB36"]) + int(cells["RAMB18"])
        used["dsp"] = next(int(cells[name]) for name in cells if name.startswith("DSP"))
    except (OSError, ElementTree.ParseError, KeyError, ValueError, AttributeError, StopIteration) as error:
        raise UserError(
            f"{path}: is no report of Vivado's that can be read ({error!r}); run the build again"
        ) from error
    return used


def _version() -> str:
    from importlib.metadata import version

    return version("finn-plus")
