"""The open flow for Zynq-7000: synthesis for real, the tools behind it as stand-ins that record how they are called."""

import json
import stat
from collections import Counter

import pytest

from hwprune.board.backends import openxc7
from hwprune.board.board import load_board
from hwprune.board.zynq7_top import TOP, zynq7_top
from hwprune.errors import UserError
from tests.board.serial_nets import compiled, one_head

PART = "xc7z020clg400-1"
HELP = {
    "nextpnr-xilinx": "--chipdb arg  --xdc arg  --fasm arg",
    "nextpnr-himbaechel": "--device arg  -o [ --vopt ] arg",
}
TOOL = """#!/bin/sh
# A stand-in: records how it is called, and writes what the real one would.
if [ "$1" = --help ]; then echo "{help}"; exit 0; fi
if [ "$1" = --version ]; then echo "tool -- (Version nextpnr-0.9-test)"; exit 0; fi
echo "$(basename $0) $*" >> "{calls}"
{body}
"""
PLACE = """[ -s hwprune.json ] && [ -f hwprune.xdc ] || exit 9
echo "Info: Max frequency for clock 'aclk': {before} MHz (PASS at 100 MHz)"
echo "Warning: something odd"
echo "Info: Max frequency for clock 'aclk': {after} MHz (PASS at 100 MHz)"
echo routed > hwprune.fasm
"""


@pytest.fixture
def board():
    return load_board("pynq-z2")


@pytest.fixture(scope="module")
def design(tmp_path_factory):
    return compiled(tmp_path_factory.mktemp("openxc7"), one_head(), fifo_depth=258)[1].design


@pytest.fixture(scope="module")
def netlist(design, tmp_path_factory):
    """Synthesised once, for all that follows."""
    folder = tmp_path_factory.mktemp("netlist")
    board = load_board("pynq-z2")
    cost = openxc7.synthesise(design, board, zynq7_top(board), folder)
    return folder, cost


class Bench:
    """A PATH with stand-ins, and the databases."""

    def __init__(self, folder, monkeypatch):
        self.folder, self.calls = folder, folder / "calls"
        monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
        part = folder / "db" / "zynq7" / PART
        part.mkdir(parents=True)
        (part / "part.yaml").write_text("part\n")
        (folder / "xc7z020.bin").write_text("chip\n")
        monkeypatch.setenv(openxc7.DATABASE, str(folder / "db"))
        monkeypatch.setenv(openxc7.CHIPS, str(folder))
        self.tool("fasm2frames", "grep -q routed hwprune.fasm && echo frames > hwprune.frames")
        self.tool("xc7frames2bit", "grep -q frames hwprune.frames && echo bits > hwprune.bit")

    def tool(self, name, body):
        path = self.folder / name
        path.write_text(TOOL.format(help=HELP.get(name, ""), calls=self.calls, body=body))
        path.chmod(path.stat().st_mode | stat.S_IXUSR)

    def nextpnr(self, name, before=80.0, after=123.45):
        self.tool(name, PLACE.format(before=before, after=after))


@pytest.fixture
def bench(tmp_path, monkeypatch, netlist):
    """With the synthesis of `netlist` in the place of a new one for each test."""
    folder, cost = netlist

    def ready(design, board, top, scratch):
        for name in ("hwprune.json", "registers.json"):
            (scratch / name).write_bytes((folder / name).read_bytes())
        return cost

    monkeypatch.setattr(openxc7, "synthesise", ready)
    (tmp_path / "bench").mkdir()
    return Bench(tmp_path / "bench", monkeypatch)


def test_the_whole_top_synthesises(netlist):
    folder, cost = netlist
    cells = json.loads((folder / "hwprune.json").read_text())["modules"][TOP]["cells"]
    kinds = Counter(cell["type"] for cell in cells.values())
    assert kinds["PS7"] == 1 and kinds["BUFG"] == 1
    assert not [kind for kind in kinds if not openxc7.SUPPORTED.fullmatch(kind)]
    assert cost.dsp == kinds["DSP48E1"] == 2 and cost.bram18 >= 1 and 1000 < cost.lut < 6000
    (processor,) = (cell for cell in cells.values() if cell["type"] == "PS7")
    wires = processor["connections"]
    clock = next(cell for cell in cells.values() if cell["type"] == "BUFG")["connections"]
    assert clock["I"] == [wires["FCLKCLK"][0]]
    assert wires["MAXIGP0ACLK"] == wires["SAXIHP0ACLK"] == clock["O"]
    # What the processor is told must come from logic, not from nowhere.
    driven = {bit for cell in cells.values() for port, bits in cell["connections"].items()
              if cell["port_directions"][port] == "output" for bit in bits}  # fmt: skip
    for port in ("MAXIGP0BID", "MAXIGP0RID", "MAXIGP0RDATA", "SAXIHP0WDATA", "SAXIHP0ARADDR", "SAXIHP0AWVALID"):
        assert any(bit in driven for bit in wires[port]), port
    assert isinstance(wires["IRQF2P"][0], int) and set(wires["IRQF2P"][1:]) == {"0"}
    for cell in cells.values():
        if cell["type"].startswith("LUT"):
            assert len(cell["parameters"]["INIT"]) == 1 << int(cell["type"][3])


@pytest.mark.parametrize("nextpnr", HELP)
def test_both_kinds_of_nextpnr(bench, board, design, tmp_path, nextpnr):
    bench.nextpnr(nextpnr)
    steps = []
    report = openxc7.build(design, board, 100, tmp_path / "build", steps.append)
    assert report.complete and report.fmax_mhz == 123.45 and report.bitstream == "hwprune.bit"
    assert report.tools[nextpnr] == "nextpnr-0.9-test"
    assert sorted(path.name for path in (tmp_path / "build").iterdir()) == list(report.files)
    assert (tmp_path / "build" / "hwprune.bit").read_text() == "bits\n"
    assert "Warning: something odd" in report.warnings and openxc7.NO_DSP_TIMING in report.warnings
    place, frames, bits = bench.calls.read_text().splitlines()
    common = "--json hwprune.json --freq 100 --seed 1 --timing-allow-fail"
    if nextpnr == "nextpnr-xilinx":
        assert place == f"{nextpnr} --chipdb {bench.folder}/xc7z020.bin --xdc hwprune.xdc --fasm hwprune.fasm {common}"
    else:
        assert place == f"{nextpnr} --device {PART} -o xdc=hwprune.xdc -o fasm=hwprune.fasm {common}"
    database = f"{bench.folder}/db/zynq7"
    assert frames == f"fasm2frames --db-root {database} --part {PART} hwprune.fasm hwprune.frames"
    assert bits == (
        f"xc7frames2bit --part_file {database}/{PART}/part.yaml --part_name {PART} --frm_file hwprune.frames "
        "--output_file hwprune.bit"
    )


def stopped(board, design, folder, match, clock_mhz=100):
    """The build stops with a message and leaves nothing behind."""
    with pytest.raises(UserError, match=match):
        openxc7.build(design, board, clock_mhz, folder, lambda step: None)
    assert not folder.exists() or not list(folder.iterdir())


def test_a_clock_that_is_not_reached(bench, board, design, tmp_path):
    bench.nextpnr("nextpnr-xilinx", before=150, after=87.31)
    stopped(board, design, tmp_path / "build", r"100 MHz asked for, 87.3 MHz reached; set compile.clock_mhz: 87.3")
    assert len(bench.calls.read_text().splitlines()) == 1  # nothing was packed


def test_too_much_for_the_part(bench, board, design, tmp_path):
    bench.nextpnr("nextpnr-xilinx")
    few = board.model_copy(update={"resources": board.resources.model_copy(update={"dsps": 1})})
    stopped(few, design, tmp_path / "build", r"DSP slices: 2 of the 1 of xc7z020clg400-1, 200%")
    assert not bench.calls.exists()


@pytest.mark.parametrize(
    ("gone", "match"),
    [
        (("fasm2frames",), r"openxc7: fasm2frames or fasm2frames.py not on PATH. openXC7's installers"),
        (
            ("fasm2frames", "xc7frames2bit", "nextpnr-xilinx", "db/zynq7/xc7z020clg400-1/part.yaml"),
            r"nextpnr-xilinx or .*, fasm2frames or .*, xc7frames2bit not on PATH; .*part.yaml is not there",
        ),
        (("xc7z020.bin",), r"xc7z020.bin is not there \(set CHIPDB"),
        (("xc7frames2bit", "xc7z020.bin"), r"xc7frames2bit not on PATH; .*xc7z020.bin is not there"),
        (("db/zynq7/xc7z020clg400-1/part.yaml",), r"part.yaml is not there \(set PRJXRAY_DB_DIR"),
    ],
)
def test_what_is_missing_is_named(bench, board, design, tmp_path, gone, match):
    bench.nextpnr("nextpnr-xilinx")
    for name in gone:
        (bench.folder / name).unlink()
    stopped(board, design, tmp_path / "build", match)


def test_a_tool_that_breaks_off(bench, board, design, tmp_path):
    bench.tool("nextpnr-xilinx", "echo 'ERROR: no room left'; exit 3")
    stopped(board, design, tmp_path / "build", r"nextpnr-xilinx breaks off \(status 3\):\nERROR: no room left")


def test_a_tool_that_says_nothing_and_does_nothing(bench, board, design, tmp_path):
    bench.nextpnr("nextpnr-xilinx")
    bench.tool("xc7frames2bit", "exit 0")
    stopped(board, design, tmp_path / "build", r"no hwprune.bit was made")


def test_another_nextpnr(bench, board, design, tmp_path):
    bench.tool("nextpnr-himbaechel", "exit 0")
    path = bench.folder / "nextpnr-himbaechel"
    path.write_text(path.read_text().replace("--vopt", "--other"))
    stopped(board, design, tmp_path / "build", r"takes neither --xdc and --fasm nor --vopt")


@pytest.mark.parametrize("name", ["zcu104", "ulx3s-85f"])
def test_boards_that_are_no_zynq_7000(design, tmp_path, name):
    stopped(load_board(name), design, tmp_path / "build", rf"board {name}: the open flow for Zynq-7000")
