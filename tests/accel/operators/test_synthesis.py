"""Yosys synthesises every operator for 7-series parts, and FINN's estimates come near what it makes."""

import json
import shutil
from collections import Counter

import numpy as np
import pytest
from qonnx.custom_op.registry import getCustomOp

pytest.importorskip("pyosys", reason="pyosys is not installed: no synthesis")

from hwprune.accel import operators
from hwprune.board.instances import ROM
from hwprune.board.netlist import measure
from hwprune.board.yosys import DELAY_PS, SLANG, yosys
from tests.accel.operators.cases import operator
from tests.accel.operators.sam_cases import make
from tests.sim.instances import instance

PART = "xc7z020clg400-1"

# Each operator, in LUT-RAM and in block RAM.
DESIGNS = {
    "pool_bram": ("MaxPool2d_rtl", {}, dict(ifm_dim=[416, 416], Channels=16, PE=2, stride=2, inputDataType="INT4")),
    "pool_same": (
        "MaxPool2d_rtl",
        {},
        dict(ifm_dim=[13, 13], Channels=64, PE=4, stride=1, Padding=[0, 0, 1, 1], inputDataType="UINT4"),
    ),
    "pool_3x3": (
        "MaxPool2d_rtl",
        {},
        dict(ifm_dim=[19, 19], Channels=64, PE=4, kernel=3, stride=1, Padding=[1, 1, 1, 1], inputDataType="UINT4"),
    ),
    "pool_ceil": (
        "MaxPool2d_rtl",
        {},
        dict(ifm_dim=[75, 75], Channels=64, PE=2, stride=2, Padding=[0, 0, 1, 1], inputDataType="UINT4"),
    ),
    "upsample": (
        "UpsampleNearestNeighbour_rtl",
        {},
        dict(HI=13, WI=13, HO=26, WO=26, NumChannels=256, SIMD=2, inputDataType="UINT4"),
    ),
    "concat": (
        "StreamingConcat_rtl",
        dict(inputs=3),
        dict(SIMD=4, ChannelsPerStream=[8, 32, 12], inputDataTypes=["INT4"] * 3, numInputVectors=[1, 26, 26]),
    ),
    "duplicate": (
        "DuplicateStreams_rtl",
        dict(outputs=2),
        dict(NumChannels=32, PE=4, NumOutputStreams=2, inputDataType="UINT4", numInputVectors=[1, 26, 26]),
    ),
}

DESIGNS |= {
    f"width_{bits_in}_{bits_out}": (
        "StreamingDataWidthConverter_rtl",
        {},
        dict(inShape=[1, 720], outShape=[1, 720], inWidth=bits_in, outWidth=bits_out, dataType="UINT4"),
    )
    for bits_in, bits_out in ((16, 64), (64, 16), (144, 16), (16, 36), (36, 16), (48, 32))
}

SAM_UNITS = {
    "sam_lut_rom": dict(mw=72, mh=16, simd=8, pe=2, group=4, form="maxmin", signs=True, x="INT4"),
    "sam_signed": dict(mw=288, mh=64, simd=8, pe=4, group=8, form="signed", ram_style="block"),
    "sam_parts": dict(mw=144, mh=16, simd=2, pe=4, group=16),
    "sam_parallel": dict(mw=16, mh=4, simd=16, pe=2, group=4, x="UINT3", bits=3),
}


MAC_UNITS = {
    "mac_4x4": dict(MW=72, MH=24, SIMD=6, PE=6, core="dsp"),
    "mac_block": dict(MW=288, MH=48, SIMD=8, PE=3, core="dsp", ram_style="block"),
    "mac_parallel": dict(MW=9, MH=4, SIMD=9, PE=2, core="dsp"),
    "mac_alone": dict(MW=36, MH=7, SIMD=4, PE=7, core="dsp"),
    "mac_8x8": dict(MW=27, MH=8, SIMD=9, PE=2, core="dsp", inputDataType="UINT8", weightDataType="INT8"),
    "mac_in_luts": dict(MW=72, MH=24, SIMD=6, PE=2, core="lut"),
}


def plain(name, folder):
    """One of `DESIGNS`, its wrapper in the folder."""
    op_type, streams, attributes = DESIGNS[name]
    op = operator(op_type, name=name, **streams, **attributes)
    op.check()
    (folder / f"{name}.v").write_text(op.wrapper(name))
    return op


def sam_unit(name, folder):
    case = make(name, np.random.default_rng(0), **SAM_UNITS[name])
    case.op.set_nodeattr("code_gen_dir_ipgen", str(folder))
    case.op.generate_hdl(case.model, PART, 10)
    return case.op


def mac_unit(name, folder):
    types = dict(inputDataType="UINT4", weightDataType="INT4", outputDataType="INT16", accDataType="INT16")
    settings = {**types, **MAC_UNITS[name]}
    made = operator("MVAU_rtl", inputs=2, name=name, noActivation=1, **settings)
    high = 1 << made.get_input_datatype(1).bitwidth() - 1
    weights = {"i1": np.random.default_rng(0).integers(-high, high, (settings["MW"], settings["MH"]))}
    model = instance(made.onnx_node, [None], [None], weights).model
    op = getCustomOp(model.graph.node[0])
    op.set_nodeattr("code_gen_dir_ipgen", str(folder))
    op.generate_hdl(model, PART, 10)
    return op


MAKERS = {name: maker for names, maker in ((DESIGNS, plain), (SAM_UNITS, sam_unit), (MAC_UNITS, mac_unit))
          for name in names}  # fmt: skip


@pytest.fixture(scope="module")
def synthesised(tmp_path_factory):
    """For a design its operator and Yosys's cells by type; one process for all of a kind, for its start takes long."""
    known = {}

    def get(name):
        if name not in known:
            known.update(synthesise([other for other in MAKERS if MAKERS[other] is MAKERS[name]],
                                    tmp_path_factory.mktemp("yosys")))  # fmt: skip
        return known[name]

    return get


def synthesise(names, folder):
    from hwprune.accel.sources import rtl_dir

    operators.register()
    for path in rtl_dir().glob("*.sv"):
        shutil.copy(path, folder)
    made, script = {name: MAKERS[name](name, folder) for name in names}, []
    for name, op in made.items():
        script += [
            "design -reset",
            f"{SLANG} --keep-hierarchy --top {name} {' '.join(op.rtl_sources)} {name}.v",
            # Mapped together with other logic, a ROM of random words in LUTs becomes twice as large.
            *(["setattr -mod -set keep_hierarchy 1 rom*"] if rom_words(op) > 16 else []),
            f"scratchpad -set abc9.D {DELAY_PS}",
            f"synth_xilinx -flatten -abc9 -noiopad -noclkbuf -arch xc7 -top {name}",
            "check -assert",
            "delete t:$scopeinfo",
            f"write_json {name}.json",
        ]
    yosys(script, folder)
    return {name: (op, modules(folder / f"{name}.json")) for name, op in made.items()}


def modules(path):
    """Of a netlist: the unit, and its ROM where that was kept by itself."""
    found = json.loads(path.read_text())["modules"].values()
    return [m for m in found if not {"blackbox", "whitebox"} & set(m["attributes"]) and m["cells"]]


def rom_words(op):
    """0 without a ROM."""
    unit = getattr(op, "unit", None)
    return unit.rom_shape[0] if unit else 0


def cells_of(netlist):
    """Cells of primitives by type."""
    return Counter(c["type"] for m in netlist for c in m["cells"].values() if not c["type"].startswith(ROM))


@pytest.mark.parametrize("name", MAKERS)
def test_estimates_come_near_synthesis(synthesised, name):
    op, netlist = synthesised(name)
    estimate = op.node_res_estimation(PART)
    cells = [{n: c for n, c in module["cells"].items() if not c["type"].startswith(ROM)} for module in netlist]
    cost = sum((measure({"cells": some}) for some in cells[1:]), measure({"cells": cells[0]}))
    assert (estimate["BRAM_18K"], estimate["DSP"]) == (cost.bram18, cost.dsp)
    assert abs(estimate["LUT"] - cost.lut) <= 0.3 * cost.lut + 5, cost
    assert (estimate["DSP"] > 0) == (name in MAC_UNITS and op.unit.dsps > 0)


@pytest.mark.parametrize("name", MAKERS)
def test_no_latches(synthesised, name):
    _, netlist = synthesised(name)
    cells = cells_of(netlist)
    assert any(kind.startswith("FD") for kind in cells)
    assert not [kind for kind in cells if kind.startswith(("LD", "$"))], cells
