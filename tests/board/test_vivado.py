"""The Vivado backend: its script runs to the end in a Tcl interpreter that knows Vivado's names, and only those."""

import re
import sys
from pathlib import Path

import pytest

from hwprune.board.backends import vivado
from hwprune.board.backends.vivado_reports import parse_timing, parse_utilisation, parse_warnings
from hwprune.board.board import load_board
from hwprune.errors import UserError
from tests.board.shell_standin import StandIn
from tests.board.vivado import samples
from tests.board.vivado.interpreter import interpreters
from tests.board.vivado.twin import Twin, TwinError

needs_tcl = pytest.mark.skipif(
    not interpreters(),
    reason="no Tcl interpreter: neither tkinter nor tclsh is installed (apt-get install tcl)",
)
BOARDS = ["pynq-z1", "pynq-z2", "ultra96-v2", "kv260", "zcu104"]
MEMORY = 'module memory #(parameter INIT_FILE = "rtl/conv1/memblock.dat", PATH = "rtl/conv1/threshs_") ();\nendmodule\n'
REPORTS = {"utilization": samples.utilization(), "utilization_synth": samples.utilization(star="*"),
           "timing": samples.timing(), "power": "Power"}  # fmt: skip


@pytest.fixture(autouse=True)
def no_vivado(monkeypatch, tmp_path):
    """Whatever is installed here: tests that want Vivado put their own in this folder."""
    tools = tmp_path / "tools"
    tools.mkdir()
    monkeypatch.setenv("PATH", f"{tools}")
    return tools


def design(folder: Path):
    """An accelerator with a memory file and files of thresholds, as the compiler leaves them."""
    made = StandIn(3, 8, ((2, 1), (4, 2))).design(folder)
    (folder / "rtl" / "conv1").mkdir(exist_ok=True)
    for name in ("memblock.dat", "threshs_0_0.dat"):
        (folder / "rtl" / "conv1" / name).write_text("00\n")
    (folder / "rtl" / "conv1" / "memory.sv").write_text(MEMORY)
    made = made.model_copy(update={"files": ("rtl/conv1/memory.sv", *made.files)})
    made.save()
    return made


def build(tmp_path, board="pynq-z2", clock=100.0, name="build"):
    return vivado.build(design(tmp_path / "compile"), load_board(board), clock, tmp_path / name, lambda step: None)


@pytest.mark.parametrize("board", BOARDS)
@pytest.mark.parametrize("presets", [False, True])
@needs_tcl
def test_the_script_runs_to_its_end_and_its_results_are_picked_up(tmp_path, board, presets):
    report = build(tmp_path, board)
    folder = tmp_path / "build"
    assert not report.complete and report.missing == ("vivado",) and report.bitstream is None
    assert "vivado -mode batch -source build.tcl" in report.next_step
    assert all((folder / file).is_file() for file in report.files)

    # Copied to another machine whole: nothing of the first place is needed.
    there = tmp_path / "elsewhere with spaces"
    folder.rename(there)
    twin = Twin(REPORTS, (load_board(board).vivado_board,) if presets else ())
    twin.source(there / "build.tcl")
    assert twin.said[0] == "hwprune: 1/8 project" and twin.said[-1].startswith("hwprune: done")
    assert any(said.startswith("hwprune: 8/8") for said in twin.said)
    settings = twin.cells["ps"]["settings"]
    assert [
        value for name, value in settings.items() if re.search(r"(FPGA0_PERIPHERAL_|PL0_REF_CTRL__)FREQMHZ", name)
    ] == ["100"]

    there.rename(folder)
    report = build(tmp_path, board)
    assert report.complete and report.fmax_mhz == pytest.approx(1e3 / (10 - 0.725), abs=1e-3)
    assert (report.bitstream, report.hardware_handoff) == ("out/hwprune.bit", "out/hwprune.hwh")
    assert report.utilisation["lut"].used == 25358 and report.utilisation["bram18"].used == 211
    assert report.tools == {"vivado": "2022.2"}
    assert all((folder / file).is_file() for file in report.files)
    report.require_sound()


@pytest.mark.parametrize(
    ("right", "wrong", "complaint"),
    [
        ("connect_bd_net [", "connect_bd_nets [", "invalid command name"),
        ("-norecurse -fileset sources_1", "-norecursive -fileset sources_1", "unknown option -norecursive"),
        ("-to_step route_design", "-to_step route", "no step route"),
        ("PCW_USE_M_AXI_GP0 1", "PCW_USE_M_AXI_GP_0 1", "no property CONFIG.PCW_USE_M_AXI_GP_0"),
        ("CONFIG.PCW_EN_RST0_PORT 1", "CONFIG.PCW_EN_RST0_PORT 0", "no pin ps/FCLK_RESET0_N"),
        ("CONFIG.NUM_SI 1", "CONFIG.NUM_SLAVES 1", "no property CONFIG.NUM_SLAVES"),
        ("HP0_DDR_LOWOCM", "HP0_DDR_LOW", "no address segment ps/S_AXI_HP0/HP0_DDR_LOW"),
        ("set clock_pin {FCLK_CLK0}", "set clock_pin {FCLK0_CLK}", "no pin ps/FCLK0_CLK"),
        ("reset/slowest_sync_clk", "reset/sync_clk", "no pin reset/sync_clk"),
        ("shell/s_axi_control\\", "shell/s_axi_ctrl\\", None),
        ("xilinx.com:ip:smartconnect", "xilinx.com:ip:smart_connect", "no xilinx.com:ip:smart_connect"),
        ("set top {hwprune_shell}", "set top {hwprune}", "no module hwprune"),
        ("rtl/shell/shell_body.sv", "rtl/shell/shell_bodies.sv", "no such file"),
        ("set register_bytes {0x1000}", "set register_bytes {0x10000}", "more than its port's"),
        ("set part {xc7z020clg400-1}", "set part {xc7z020clg401-1}", "does not know part xc7z020clg401-1"),
        ("[get_bd_pins shell/aclk]", "", "/shell/aclk is not driven"),
        ('"\\"$here/rtl/"', '"\\"rtl/"', "is relative to who knows what"),
        ("synth_checkpoint_mode None", "synth_checkpoints None", "no property synth_checkpoints"),
        ("set oldest {2020.2}", "set oldest {2023.1}", "Vivado 2022.2 is too old"),
    ],
)
@needs_tcl
def test_a_wrong_name_does_not_pass(tmp_path, right, wrong, complaint):
    build(tmp_path)
    script = tmp_path / "build" / "build.tcl"
    text = script.read_text()
    if complaint is None:
        right, wrong, complaint = "shell/s_axi_control ", "shell/s_axi_ctrl ", "no interface shell/s_axi_ctrl"
    assert right in text
    script.write_text(text.replace(right, wrong))
    with pytest.raises(TwinError, match=complaint):
        Twin(REPORTS).source(script)
    assert not (tmp_path / "build" / "out").exists()
    assert not build(tmp_path).complete


@needs_tcl
def test_interpreters_agree(tmp_path):
    """Python's and `tclsh` take the same road, as far as they are installed; words come through with all they hold."""
    build(tmp_path, name="with [brackets], $dollars and ümlauts")
    script = tmp_path / "with [brackets], $dollars and ümlauts" / "build.tcl"
    script.write_text(script.read_text() + "puts {a {b c} \\{ ü}\nset_property {a {b c}} d e\n")
    told = []
    for interpreter in interpreters():
        twin = Twin(REPORTS, interpreter=interpreter)
        with pytest.raises(TwinError, match=r"e has no property a \{b c\}"):
            twin.source(script)
        told.append(twin.said)
    assert told[0][-1] == "a {b c} \\{ ü" and all(said == told[0] for said in told)


@needs_tcl
def test_a_wrong_constraint_does_not_pass(tmp_path):
    build(tmp_path)
    path = tmp_path / "build" / "constraints.xdc"
    path.write_text(path.read_text().replace("COMPRESS", "COMPRESSED"))
    with pytest.raises(TwinError, match="COMPRESSED"):
        Twin(REPORTS).source(tmp_path / "build" / "build.tcl")


@needs_tcl
def test_a_step_that_fails_is_told_with_its_log(tmp_path):
    build(tmp_path)
    with pytest.raises(TwinError, match=r'impl_1 ended with "place_design ERROR"; its log is .*impl_1/runme.log'):
        Twin(REPORTS, fail_at="place_design").source(tmp_path / "build" / "build.tcl")
    assert not build(tmp_path).complete


@needs_tcl
def test_what_ran_elsewhere_without_room_is_told(tmp_path):
    build(tmp_path)
    reports = REPORTS | {"utilization_synth": samples.utilization(luts=70000, dsps=300, star="*")}
    with pytest.raises(TwinError):
        Twin(reports, fail_at="place_design").source(tmp_path / "build" / "build.tcl")
    with pytest.raises(UserError, match=r"LUTs: 70000 of the 53200 of xc7z020clg400-1, 132%; .*\n.*DSP slices: 300"):
        build(tmp_path)


@needs_tcl
def test_results_of_another_design_are_not_taken(tmp_path):
    build(tmp_path)
    Twin(REPORTS).source(tmp_path / "build" / "build.tcl")
    assert build(tmp_path).complete
    other = build(tmp_path, clock=90.0)
    assert not other.complete and other.next_step.startswith("out/ there is cut off, or of another design.")
    assert build(tmp_path).complete
    (tmp_path / "build" / "out" / "hwprune.hwh").unlink()
    assert not build(tmp_path).complete


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (
            {"timing": samples.timing(setup="-1.340")},
            r"clock: 100 MHz asked for, 88.1 MHz reached; set compile.clock_mhz: 88.1",
        ),
        ({"timing": samples.timing(hold="-0.050")}, r"timing.rpt: hold times are missed by 0.05 ns"),
        (
            {"timing": samples.timing()[:900]},
            r"timing.rpt: .*no whole text of report_timing_summary; copy reports/ anew",
        ),
        ({"utilization": samples.utilization()[:1200]}, r"utilization.rpt: has no row for .*; copy reports/ anew"),
    ],
)
@needs_tcl
def test_reports_that_stop_the_build(tmp_path, change, complaint):
    build(tmp_path)
    Twin(REPORTS | change).source(tmp_path / "build" / "build.tcl")
    with pytest.raises(UserError, match=complaint):
        build(tmp_path).require_sound()


def stand_in_for_vivado(tools: Path, **how) -> None:
    """A program `vivado` that runs the script it is given in the twin, or ends as it is told to."""
    root = Path(__file__).parents[2]
    (tools / "vivado").write_text(
        f"#!{sys.executable}\nimport sys\nsys.path.insert(0, {str(root)!r})\nfrom pathlib import Path\n"
        "from tests.board.vivado.twin import Twin, TwinError\nfrom tests.board.test_vivado import REPORTS, samples\n"
        f"how = {how!r}\n"
        "assert sys.argv[1:4] == ['-mode', 'batch', '-nojournal']\n"
        "log, script = sys.argv[sys.argv.index('-log') + 1], Path(sys.argv[sys.argv.index('-source') + 1])\n"
        "Path(log).write_text(samples.LOG)\n"
        "twin = Twin(REPORTS | how.get('reports', {}), fail_at=how.get('fail_at', ''))\n"
        "try:\n    twin.source(script.resolve())\n"
        "except TwinError as error:\n    twin.said.append(f'ERROR: [Common 17-39] {error}')\n    status = 1\n"
        "else:\n    status = 0\n"
        "print('\\n'.join(twin.said))\nsys.exit(status)\n"
    )
    (tools / "vivado").chmod(0o755)


@needs_tcl
def test_vivado_on_path_is_run_once(tmp_path, no_vivado):
    stand_in_for_vivado(no_vivado)
    steps = []
    made, board = design(tmp_path / "compile"), load_board("pynq-z2")
    report = vivado.build(made, board, 100.0, tmp_path / "build", steps.append)
    assert report.complete and "Vivado 4/8 synthesis" in steps and "Vivado 8/8 results" in steps
    assert report.warnings[0].startswith("CRITICAL WARNING: [Timing 38-282]") and len(report.warnings) == 3
    assert report.warnings[1].endswith("(and 1 more of this kind)")
    steps.clear()
    assert vivado.build(made, board, 100.0, tmp_path / "build", steps.append) == report
    assert not [step for step in steps if step.startswith("Vivado")]


@needs_tcl
def test_vivado_that_stops(tmp_path, no_vivado):
    stand_in_for_vivado(no_vivado, fail_at="route_design")
    with pytest.raises(
        UserError, match=r"vivado.log: Vivado ended with status 1 and no bitstream:\nERROR: .*route_design ERROR"
    ):
        build(tmp_path)
    stand_in_for_vivado(
        no_vivado, fail_at="place_design", reports={"utilization_synth": samples.utilization(tiles=150.5)}
    )
    with pytest.raises(UserError, match=r"block RAMs of 18 Kb: 301 of the 280 .*prune more"):
        build(tmp_path)


def test_boards_that_vivado_cannot_do(tmp_path):
    made = design(tmp_path / "compile")
    with pytest.raises(UserError, match="ulx3s-85f: has no processor"):
        vivado.build(made, load_board("ulx3s-85f"), 25.0, tmp_path / "a", lambda step: None)
    board = load_board("pynq-z2")
    board = board.model_copy(update={"ports": board.ports.model_copy(update={"data": "S_AXI_HP7"})})
    with pytest.raises(UserError, match=r"ports.data: 'S_AXI_HP7' is none of .* S_AXI_HP0, S_AXI_HP1"):
        vivado.build(made, board, 100.0, tmp_path / "b", lambda step: None)


def test_a_folder_with_braces_and_quotes_is_one_word_of_tcl():
    assert vivado.script({"a": "x y", "b": 'p"{$q['}, "").splitlines()[1:3] == ["set a {x y}", r'set b "p\"\{\$q\["']


def test_utilisation_in_all_its_forms():
    assert parse_utilisation(samples.utilization(newer=True)) == {"lut": 25358, "ff": 31500, "dsp": 120, "bram18": 211}
    found = parse_utilisation(samples.utilization(clb="CLB", star="*", newer=True, urams=12))
    assert found == {"lut": 25358, "ff": 31500, "dsp": 120, "bram18": 211, "uram": 12}
    with pytest.raises(UserError, match="no row for lut, ff, dsp, bram18"):
        parse_utilisation("nothing")


def test_timing_in_all_its_forms():
    assert parse_timing(samples.timing()).fmax_mhz == pytest.approx(107.817, abs=1e-3)
    failed = parse_timing(samples.timing(setup="-2.192", hold="0.047"))
    assert (failed.setup_slack, failed.hold_slack) == (-2.192, 0.047)
    assert failed.fmax_mhz == pytest.approx(82.021, abs=1e-3)
    two = parse_timing(samples.timing(clocks=(("clk_fpga_0", "1.000"), ("clk_other", "-0.100"))))
    assert two.fmax_mhz == pytest.approx(99.01, abs=1e-2)


def test_warnings_are_told_once_a_kind():
    told = parse_warnings(samples.LOG)
    assert [line.split("]")[0] for line in told] == [
        "CRITICAL WARNING: [Timing 38-282", "WARNING: [Synth 8-7129", "WARNING: [Synth 8-3332",
    ]  # fmt: skip
