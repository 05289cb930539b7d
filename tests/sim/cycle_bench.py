"""Many operators beside each other in one Verilated top, and the cycle model of the same top."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from onnx import helper
from qonnx.core.datatype import DataType
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.custom_op.registry import getCustomOp
from qonnx.util.basic import qonnx_make_model

from hwprune.accel import operators
from hwprune.accel.design import Design
from hwprune.accel.finn_env import prepare_finn
from hwprune.accel.stitch import stitch
from hwprune.sim.accelerator import build_simulator
from hwprune.sim.cycle.check import CycleDifference, compare_cycles
from hwprune.sim.cycle.model import CycleModel, Stalls
from hwprune.sim.simulator import Simulator
from tests.sim.instances import FRAMES, Instance, packed

PART = "xc7z020clg400-1"


@dataclasses.dataclass(frozen=True)
class Bench:
    """A built top of independent instances, with the beats that go in and those that must come out."""

    design: Design
    simulator: Simulator
    inputs: dict[str, np.ndarray]
    outputs: dict[str, np.ndarray]

    def check(self, stalls: Stalls) -> tuple[int, list[CycleDifference]]:
        """Beats compared, and the first difference of each stream; the RTL's values are compared as well."""
        run = self.simulator.run(
            self.inputs,
            {name: len(beats) for name, beats in self.outputs.items()},
            stall_percent=stalls.percent,
            seed=stalls.seed,
            idle_limit=20_000,
            record=[stream.name for stream in self.design.inner],
            progress=False,
        )
        for stream in self.design.outputs:
            expected = self.outputs[stream.name]
            found = run.outputs[stream.name].beats[: len(expected)]
            assert np.array_equal(_elements(found, stream), _elements(expected, stream)), stream.producer
        return compare_cycles(self.design, run, CycleModel(self.design), FRAMES, stalls)


def build_bench(instances: Sequence[Instance], folder: Path, fifos: dict[str, int] | None = None) -> Bench:
    """One top with all instances; ``fifos`` puts a FIFO of that depth before and behind the node of that name."""
    model = _combined(instances)
    if fifos:
        _insert_fifos(model, fifos)
    design = generate(model, folder)
    by_tensor = {stream.tensor: stream for stream in design.streams}
    beats = {}
    for made in instances:
        for tensor, values in {**made.inputs, **made.outputs}.items():
            stream = by_tensor[tensor]
            (node,) = made.model.graph.node
            beats[stream.name] = packed(values, _datatype(getCustomOp(node), node, tensor), stream.folded_shape)
    return Bench(
        design,
        build_simulator(design, folder / "simulator"),
        {stream.name: beats[stream.name] for stream in design.inputs},
        {stream.name: beats[stream.name] for stream in design.outputs},
    )


def generate(model: ModelWrapper, folder: Path) -> Design:
    """Code of all nodes, stitched."""
    prepare_finn(folder)
    operators.register()
    for node in model.graph.node:
        op, target = getCustomOp(node), folder / "build" / node.name
        target.mkdir(parents=True)
        op.set_nodeattr("code_gen_dir_ipgen", str(target))
        op.code_generation_ipgen(model, PART, 10.0)
    return stitch(model, folder / "design")


def _elements(beats, stream):
    """The bits of the elements; what FINN fills a beat up with does not matter."""
    bits = stream.folded_shape[-1] * DataType[stream.datatype].bitwidth()
    return np.unpackbits(beats, axis=1, bitorder="little")[:, :bits]


def _datatype(op, node, tensor):
    if tensor in node.input:
        return op.get_input_datatype(list(node.input).index(tensor))
    return op.get_output_datatype(list(node.output).index(tensor))


def _combined(instances: Sequence[Instance]) -> ModelWrapper:
    """The graphs of all instances beside each other in one."""
    graphs = [made.model.graph for made in instances]
    graph = helper.make_graph(
        [node for g in graphs for node in g.node],
        "instances",
        [value for g in graphs for value in g.input],
        [value for g in graphs for value in g.output],
        initializer=[value for g in graphs for value in g.initializer],
    )
    return ModelWrapper(qonnx_make_model(graph))


def _insert_fifos(model: ModelWrapper, fifos: dict[str, int]) -> None:
    """In place; the graph's inputs and outputs keep their names."""
    for node in list(model.graph.node):
        if node.name not in fifos:
            continue
        op = getCustomOp(node)
        for i, tensor in enumerate(node.input):
            if model.get_initializer(tensor) is None:
                made = _fifo(f"{node.name}_in{i}_fifo", fifos[node.name], op, i, "input")
                made.input[:], made.output[:] = [tensor], [f"{tensor}_behind"]
                node.input[i] = f"{tensor}_behind"
                model.graph.node.append(made)
        for i, tensor in enumerate(node.output):
            made = _fifo(f"{node.name}_out{i}_fifo", fifos[node.name], op, i, "output")
            made.input[:], made.output[:] = [f"{tensor}_before"], [tensor]
            node.output[i] = f"{tensor}_before"
            model.graph.node.append(made)


def _fifo(name, depth, op, i, side):
    return helper.make_node(
        "StreamingFIFO_rtl",
        ["x"],
        ["y"],
        name=name,
        domain="finn.custom_op.fpgadataflow.rtl",
        backend="fpgadataflow",
        depth=depth,
        ram_style="block" if depth > 300 else "auto",
        dataType=getattr(op, f"get_{side}_datatype")(i).name,
        folded_shape=[int(n) for n in getattr(op, f"get_folded_{side}_shape")(i)],
        normal_shape=[int(n) for n in getattr(op, f"get_normal_{side}_shape")(i)],
    )
