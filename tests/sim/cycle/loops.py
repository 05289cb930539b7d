"""Loops: a fork's two copies meet in a concatenation, which takes all of the straight one first.

The late copy finds room in what it goes through, or the loop hangs.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from onnx import helper
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.util.basic import qonnx_make_model

from hwprune.sim.accelerator import build_simulator
from hwprune.sim.cycle.check import compare_cycles
from hwprune.sim.cycle.model import CycleModel, Stalls
from tests.accel.operators.cases import operator
from tests.sim.cycle_bench import generate

Loop = tuple[list[tuple[str, dict]], int, int, bool]
"""What the late copy goes through, by operator and attributes; beats of a frame, into it and out of it; whether the
loop hangs. Beats are UINT4; a search has the thresholds 3, 6 and 9."""


def check_loops(loops: Sequence[Loop], folder: Path) -> None:
    """RTL and model take the same cycles, at full speed and with stalls, and hang where it is said."""
    nodes, constants = [], {}
    for k, (between, beats, late, _) in enumerate(loops):
        fork = operator("DuplicateStreams_rtl", outputs=2, name=f"fork_{k}", NumChannels=1, PE=1, NumOutputStreams=2,
                        inputDataType="UINT4", numInputVectors=[1, beats]).onnx_node  # fmt: skip
        fork.input[:], fork.output[:] = [f"in_{k}"], [f"straight_{k}", f"late_{k}_0"]
        nodes.append(fork)
        made = "UINT4"
        for place, (op_type, attributes) in enumerate(between):
            node = operator(op_type, name=f"between_{k}_{place}", **attributes).onnx_node
            node.input[:], node.output[:] = [f"late_{k}_{place}"], [f"late_{k}_{place + 1}"]
            if op_type == "Thresholding_rtl":
                node.input.append(f"steps_{k}_{place}")
                constants[f"steps_{k}_{place}"] = np.array([[3, 6, 9]], np.float32)
                made = attributes["outputDataType"]
            nodes.append(node)
        join = operator("StreamingConcat_rtl", inputs=2, name=f"join_{k}", SIMD=1, ChannelsPerStream=[beats, late],
                        inputDataTypes=["UINT4", made], numInputVectors=[1, 1]).onnx_node  # fmt: skip
        join.input[:], join.output[:] = [f"straight_{k}", f"late_{k}_{len(between)}"], [f"out_{k}"]
        nodes.append(join)
    ends = [
        [helper.make_tensor_value_info(f"{side}_{k}", 1, None) for k in range(len(loops))] for side in ("in", "out")
    ]
    model = ModelWrapper(qonnx_make_model(helper.make_graph(nodes, "loops", *ends)))
    for name, value in constants.items():
        model.set_initializer(name, value)
    design = generate(model, folder)
    simulator = build_simulator(design, folder / "simulator")
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
        assert hang == [hangs for *_, hangs in loops]
        _, differences = compare_cycles(design, run, CycleModel(design), 1, stalls)
        assert not differences, "\n".join(map(str, differences))
