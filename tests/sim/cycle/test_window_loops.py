"""Loops through FINN's window and width converter hang where the RTL hangs: at what both take while they are stuck.

A fork's two copies meet in a concatenation, which takes all of the straight copy first.
"""

import numpy as np
from onnx import helper
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.util.basic import qonnx_make_model

from hwprune.accel import operators
from hwprune.sim.accelerator import build_simulator
from hwprune.sim.cycle.check import compare_cycles
from hwprune.sim.cycle.model import CycleModel, Stalls
from tests.accel.operators.cases import operator
from tests.sim.cycle_bench import generate


def window(kernel, size, windows, stride=1):
    attributes = {"ConvKernelDim": kernel, "IFMDim": size, "OFMDim": windows, "Stride": [1, stride], "Dilation": [1, 1],
                  "IFMChannels": 1, "SIMD": 1, "depthwise": 0, "inputDataType": "UINT4",
                  "outputDataType": "UINT4"}  # fmt: skip
    return [("ConvolutionInputGenerator_rtl", attributes)]


def converters(pixels):
    """To three pixels a beat and back."""
    shape = {"inShape": [1, pixels], "outShape": [1, pixels], "dataType": "UINT4"}
    return [
        ("StreamingDataWidthConverter_rtl", {**shape, "inWidth": bits_in, "outWidth": bits_out})
        for bits_in, bits_out in ((4, 12), (12, 4))
    ]


LOOPS = [
    # What the late copy goes through; beats of a frame, into it and out of it; whether the loop hangs. Two beats are
    # in the fork's skid buffer. Behind it there is room for a row and two pixels, and one in the output register;
    (window([2, 2], [2, 5], [1, 4]), 10, 16, False),
    (window([2, 2], [2, 6], [1, 5]), 12, 20, True),
    # for the four pixels that FINN gives to windows of two, five apart, and one in the output register;
    (window([1, 2], [1, 7], [1, 2], stride=5), 7, 4, False),
    (window([1, 2], [1, 8], [1, 2], stride=5), 8, 4, True),
    # for one pixel, which is the window;
    (window([1, 1], [1, 3], [1, 3]), 3, 3, False),
    (window([1, 1], [1, 4], [1, 4]), 4, 4, True),
    # for three pixels on their way back, and four in front of them.
    (converters(9), 9, 9, False),
    (converters(12), 12, 12, True),
]


def test_loops_hang_where_the_rtl_hangs(tmp_path):
    operators.register()
    nodes = []
    for k, (between, beats, late, _) in enumerate(LOOPS):
        fork = operator("DuplicateStreams_rtl", outputs=2, name=f"fork_{k}", NumChannels=1, PE=1, NumOutputStreams=2,
                        inputDataType="UINT4", numInputVectors=[1, beats]).onnx_node  # fmt: skip
        fork.input[:], fork.output[:] = [f"in_{k}"], [f"straight_{k}", f"late_{k}_0"]
        nodes.append(fork)
        for place, (op_type, attributes) in enumerate(between):
            nodes.append(operator(op_type, name=f"between_{k}_{place}", **attributes).onnx_node)
            nodes[-1].input[:], nodes[-1].output[:] = [f"late_{k}_{place}"], [f"late_{k}_{place + 1}"]
        join = operator("StreamingConcat_rtl", inputs=2, name=f"join_{k}", SIMD=1, ChannelsPerStream=[beats, late],
                        inputDataTypes=["UINT4", "UINT4"], numInputVectors=[1, 1]).onnx_node  # fmt: skip
        join.input[:], join.output[:] = [f"straight_{k}", f"late_{k}_{len(between)}"], [f"out_{k}"]
        nodes.append(join)
    ends = [
        [helper.make_tensor_value_info(f"{side}_{k}", 1, None) for k in range(len(LOOPS))] for side in ("in", "out")
    ]
    design = generate(ModelWrapper(qonnx_make_model(helper.make_graph(nodes, "loops", *ends))), tmp_path)
    simulator = build_simulator(design, tmp_path / "simulator")
    for stalls in (Stalls(), Stalls(50, 1)):
        run = simulator.run(
            {stream.name: np.zeros((stream.beats, 1), np.uint8) for stream in design.inputs},
            {stream.name: stream.beats for stream in design.outputs},
            stall_percent=stalls.percent,
            seed=stalls.seed,
            idle_limit=1000,
            record=[stream.name for stream in design.inner],
            progress=False,
        )
        hang = [len(run.outputs[stream.name].cycles) < stream.beats for stream in design.outputs]
        assert hang == [hangs for *_, hangs in LOOPS]
        _, differences = compare_cycles(design, run, CycleModel(design), 1, stalls)
        assert not differences, "\n".join(map(str, differences))
