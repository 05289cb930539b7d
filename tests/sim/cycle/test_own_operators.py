"""The level cycle has the RTL's cycles for our max-pool, upsampling, concatenation and fork, up to where they hang."""

import numpy as np
import pytest
from onnx import helper
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.util.basic import qonnx_make_model

from hwprune.accel import operators
from hwprune.accel.design import Operator
from hwprune.errors import UserError
from hwprune.sim.accelerator import build_simulator
from hwprune.sim.cycle.check import compare_cycles
from hwprune.sim.cycle.model import CycleModel, Stalls
from hwprune.sim.cycle.operators import concat, duplicate
from tests.accel.operators.cases import operator
from tests.sim.cycle_bench import build_bench, generate
from tests.sim.cycle_cases import depths, own_cases


@pytest.fixture(scope="module", autouse=True)
def registered():
    operators.register()


@pytest.mark.parametrize(("kind", "count"), [("maxpool2d", 22), ("upsample", 12), ("concat", 12), ("duplicate", 12)])
def test_every_beat_of_many_shapes(kind, count, tmp_path):
    rng = np.random.default_rng(1)
    instances = own_cases(kind, rng, count)
    bench = build_bench(instances, tmp_path, depths(rng, instances))
    for stalls in (Stalls(), Stalls(10, 1), Stalls(50, 2), Stalls(90, 3)):
        beats, differences = bench.check(stalls)
        assert beats > 1500
        assert not differences, "\n".join(map(str, differences))


FIFO = {"ram_style": "auto", "dataType": "UINT4"}
POOL = {"Channels": 1, "PE": 1, "stride": 1, "Padding": [0, 0, 1, 1], "inputDataType": "UINT4"}
WIDER = POOL | {"kernel": 3, "Padding": [1, 1, 1, 1]}
UP = {"NumChannels": 1, "SIMD": 1, "inputDataType": "UINT4"}
SEARCH = {"NumChannels": 1, "PE": 1, "numSteps": 3, "inputDataType": "UINT4", "weightDataType": "UINT4",
          "outputDataType": "UINT2", "deep_pipeline": 0}  # fmt: skip

LOOPS = [
    # What the late copy goes through; beats of a frame, into it and out of it; whether the loop hangs. The
    # concatenation takes all beats of the straight copy first. Till then the late one finds room in the fork's skid
    # buffer (two beats) and in what comes behind it:
    (None, {}, 2, 2, False),
    (None, {}, 3, 3, True),
    # five words and an output register;
    ("StreamingFIFO_rtl", {"depth": 6, **FIFO, "folded_shape": [1, 8, 1], "normal_shape": [1, 8]}, 8, 8, False),
    ("StreamingFIFO_rtl", {"depth": 6, **FIFO, "folded_shape": [1, 9, 1], "normal_shape": [1, 9]}, 9, 9, True),
    # two steps of a search, and three beats more;
    ("Thresholding_rtl", {**SEARCH, "numInputVectors": [1, 7]}, 7, 7, False),
    ("Thresholding_rtl", {**SEARCH, "numInputVectors": [1, 8]}, 8, 8, True),
    # two rows, for no word is read for the last time;
    ("UpsampleNearestNeighbour_rtl", {**UP, "HI": 2, "WI": 4, "HO": 4, "WO": 8}, 8, 32, False),
    ("UpsampleNearestNeighbour_rtl", {**UP, "HI": 3, "WI": 4, "HO": 6, "WO": 8}, 12, 48, True),
    # a row, and five beats of the next, which make four maxima: two in the skid buffer, one behind each stage.
    ("MaxPool2d_rtl", {**POOL, "ifm_dim": [2, 7]}, 14, 14, False),
    ("MaxPool2d_rtl", {**POOL, "ifm_dim": [2, 8]}, 16, 16, True),
    # the same, and a beat behind each of two more stages.
    ("MaxPool2d_rtl", {**WIDER, "ifm_dim": [2, 9]}, 18, 18, False),
    ("MaxPool2d_rtl", {**WIDER, "ifm_dim": [2, 10]}, 20, 20, True),
]


def test_loops_hang_where_the_rtl_hangs(tmp_path):
    nodes, constants = [], {}
    for k, (op_type, attributes, beats, late, _) in enumerate(LOOPS):
        fork = operator("DuplicateStreams_rtl", outputs=2, name=f"fork_{k}", NumChannels=1, PE=1, NumOutputStreams=2,
                        inputDataType="UINT4", numInputVectors=[1, beats]).onnx_node  # fmt: skip
        types = ["UINT4", "UINT2" if op_type == "Thresholding_rtl" else "UINT4"]
        join = operator("StreamingConcat_rtl", inputs=2, name=f"join_{k}", SIMD=1, ChannelsPerStream=[beats, late],
                        inputDataTypes=types, numInputVectors=[1, 1]).onnx_node  # fmt: skip
        fork.input[:], fork.output[:] = [f"in_{k}"], [f"straight_{k}", f"late_{k}"]
        join.input[:], join.output[:] = [f"straight_{k}", f"late_{k}"], [f"out_{k}"]
        nodes += [fork, join]
        if op_type:
            between = operator(op_type, inputs=1, name=f"between_{k}", **attributes).onnx_node
            between.input[:], between.output[:] = [f"late_{k}"], [f"changed_{k}"]
            join.input[1] = f"changed_{k}"
            if op_type == "Thresholding_rtl":
                between.input.append(f"steps_{k}")
                constants[f"steps_{k}"] = np.array([[3, 6, 9]], np.float32)
            nodes.insert(-1, between)
    ends = [
        [helper.make_tensor_value_info(f"{side}_{k}", 1, None) for k in range(len(LOOPS))] for side in ("in", "out")
    ]
    model = ModelWrapper(qonnx_make_model(helper.make_graph(nodes, "loops", *ends)))
    for name, value in constants.items():
        model.set_initializer(name, value)
    design = generate(model, tmp_path)
    simulator = build_simulator(design, tmp_path / "simulator")
    inputs = {stream.name: np.zeros((stream.beats, 1), np.uint8) for stream in design.inputs}
    taps = [stream.name for stream in design.inner]
    for stalls in (Stalls(), Stalls(50, 1)):
        run = simulator.run(
            inputs,
            {stream.name: stream.beats for stream in design.outputs},
            stall_percent=stalls.percent,
            seed=stalls.seed,
            idle_limit=1000,
            record=taps,
            progress=False,
        )
        hang = [len(run.outputs[stream.name].cycles) < stream.beats for stream in design.outputs]
        assert hang == [hangs for *_, hangs in LOOPS]
        _, differences = compare_cycles(design, run, CycleModel(design), 1, stalls)
        assert not differences, "\n".join(map(str, differences))


@pytest.mark.parametrize(
    ("kind", "ports", "attributes"),
    [(concat, "inputs", {"ChannelsPerStream": (1,) * 9, "SIMD": 1}), (duplicate, "outputs", {})],
)
def test_more_than_eight_streams_are_refused(kind, ports, attributes):
    streams = {"inputs": ("a",), "outputs": ("b",), ports: tuple("abcdefghi")}
    made = Operator(name="many", op_type="Any_rtl", attributes=attributes, **streams)
    with pytest.raises(UserError, match=f"operator many .* 9 {ports}, but for 8"):
        kind.timing(made, {})
