"""Operators in the place of FINN's, beside FINN's own: what both take of a 7-series part.

Every operator is generated, stitched as in a design, and synthesised by Yosys by itself (no place and route). Weights
are random. LUTs are LUT6 sites, see `hwprune.board.netlist.Cost.lut`. FINN's weight memory has a queue that Vivado puts
into shift registers and Yosys into flip-flops and multiplexers; docs/operators.md has it in shift registers. Run from
the repository.
"""

import argparse
import json
import statistics
import sys
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from common import conclude, say
from qonnx.custom_op.registry import getCustomOp

sys.path.insert(0, str(Path(__file__).parents[1]))
from hwprune.accel import operators
from hwprune.accel.rtllib import adapt_text, installed_rtllib
from hwprune.accel.sources import rtl_dir
from hwprune.board.for_yosys import ADAPTATIONS, prepare
from hwprune.board.netlist import Cost, measure
from hwprune.board.yosys import DELAY_PS, SLANG, Unit, synthesise, yosys
from tests.accel.operators.cases import operator
from tests.sim.cycle_bench import generate
from tests.sim.instances import instance, window

WIDTHS = ((204, 17), (17, 204), (144, 16), (16, 36), (36, 16), (32, 48))
UNITS = {
    # MW, MH, SIMD, PE, bits of activations, of weights, of sums
    "12x9 products of 4 bits, 17280 weights": (144, 120, 9, 12, 4, 4, 17),
    "8x9 products of 8 bits, 216 weights": (27, 8, 9, 8, 8, 8, 21),
    "3x12 products of 4 bits, 13824 weights": (288, 48, 12, 3, 4, 4, 17),
}
WINDOWS = {
    # kernel, stride, dilation, (height, width), channels, SIMD, parallel_window
    "3x3 over 52x52x48, a channel a beat": ([3, 3], [1, 1], [1, 1], [52, 52], 48, 1, 0),
    "3x3 over 26x26x96, four channels a beat": ([3, 3], [1, 1], [1, 1], [26, 26], 96, 4, 0),
}


def converters() -> dict[str, tuple[Cost, Cost]]:
    """FINN's and ours, by widths."""
    finn = {
        f"dwc/hdl/{name}": (installed_rtllib() / "dwc" / "hdl" / name).read_text() for name in ("dwc_axi.sv", "vpc.sv")
    }
    for adaptation in ADAPTATIONS:
        if adaptation.file in finn:
            finn[adaptation.file] = adapt_text(finn[adaptation.file], adaptation)
    texts, units = {Path(name).name: text for name, text in finn.items()}, []
    for into, out in WIDTHS:
        units.append(Unit(f"{into} finn {out}", "dwc_axi", [], {"IBITS": into, "OBITS": out}, data=texts))
        ours = [rtl_dir() / "width_converter.sv"]
        units.append(Unit(f"{into} ours {out}", "width_converter", ours, {"IN_BITS": into, "OUT_BITS": out}))
    costs = synthesise(units, workers=1)
    return {
        f"width converter, {into} to {out} bits": (costs[f"{into} finn {out}"], costs[f"{into} ours {out}"])
        for into, out in WIDTHS
    }


def synthesised(made) -> Cost:
    """One operator, as it is generated."""
    with TemporaryDirectory(prefix="operators-") as folder:
        design = generate(made.model, Path(folder) / "made")
        place = Path(folder) / "yosys"
        place.mkdir()
        script = [
            "read_verilog -lib +/xilinx/cells_sim.v",
            "read_verilog -lib +/xilinx/cells_xtra.v",
            f"{SLANG} -D XC7 -D SYNTHESIS --top {design.top} {' '.join(prepare(design, place))}",
            f"scratchpad -set abc9.D {DELAY_PS}",
            f"synth_xilinx -flatten -abc9 -noiopad -noclkbuf -arch xc7 -top {design.top}",
            "write_json made.json",
        ]
        yosys(script, place)
        return measure(json.loads((place / "made.json").read_text())["modules"][design.top])


def unit(shape, core: str):
    """A matrix-vector unit of one core."""
    mw, mh, simd, pe, x_bits, w_bits, sum_bits = shape
    high = 1 << w_bits - 1
    weights = np.random.default_rng(1).integers(1 - high, high, (mw, mh))
    node = operator("MVAU_rtl", inputs=2, name="unit", MW=mw, MH=mh, SIMD=simd, PE=pe, inputDataType=f"UINT{x_bits}",
                    weightDataType=f"INT{w_bits}", outputDataType=f"INT{sum_bits}", accDataType=f"INT{sum_bits}",
                    noActivation=1, numInputVectors=[1, 4, 1], core=core).onnx_node  # fmt: skip
    return instance(node, [None], [None], {"i1": weights})


def sliding(shape, style: str):
    """A window with its rows in LUT-RAM or in block RAM."""
    made = window(np.random.default_rng(1), "window", shape)
    (node,) = made.model.graph.node
    getCustomOp(node).set_nodeattr("ram_style", style)
    return made


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.parse_args()
    operators.register()
    rows = []

    def add(name: str, finn: Cost, ours: Cost) -> None:
        rows.append({"name": name, "finn": asdict(finn), "ours": asdict(ours)})
        told = (f"{cost.lut} LUT, {cost.ff} FF, {cost.dsp} DSP, {cost.bram18} BRAM18" for cost in (finn, ours))
        say(f"{name}: FINN's {next(told)}; ours {next(told)}")

    say("width converters")
    for name, costs in converters().items():
        add(name, *costs)
    for name, shape in UNITS.items():
        finn = synthesised(unit(shape, "finn"))
        for core in ("dsp", "lut"):
            add(f"matrix-vector unit, {name}, in {core.upper()}s", finn, synthesised(unit(shape, core)))
    for name, shape in WINDOWS.items():
        add(f"window, {name}", *(synthesised(sliding(shape, style)) for style in ("distributed", "block")))
    ratios = [row["ours"]["lut"] / row["finn"]["lut"] for row in rows]
    conclude(
        "operators",
        round(statistics.median(ratios), 3),
        "LUTs of ours over FINN's, median",
        "FINN's operators",
        round(statistics.median(ratios), 3),
        {"rows": len(rows)},
        rows=rows,
    )


if __name__ == "__main__":
    main()
