"""A FINN graph as streams and operators, before any code is generated: what stitching and FIFO sizing start from."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from hwprune.accel.design import Design, Fifo, Operator, Stream
from hwprune.errors import UserError

if TYPE_CHECKING:
    from onnx import NodeProto
    from qonnx.core.modelwrapper import ModelWrapper

TIMING_TEXTS = ("ram_style", "form", "backend", "core")
"""Node attributes in words that an operator's timing may depend on."""
CORES = {"DSP48E1": 1, "DSP48E2": 2, "DSP58": 3}
"""VERSION of FINN's matrix-vector core for a part's DSP slices (``MVAU_rtl``)."""


def outline(model: ModelWrapper, top: str = "accelerator", part: str | None = None) -> Design:
    """The design of a graph of `*_rtl` nodes, without its sources.

    Parameters
    ----------
    model
        FINN graph, width converters and FIFOs inserted.
    top
        Name of the top module.
    part
        Where it is known: says which core FINN will generate (``dsp_version``).

    Raises
    ------
    UserError
        A node without RTL, or a stream with several readers or with two widths. The message names the node.
    """
    nodes = [read_node(model, node) for node in model.graph.node]
    streams = _read_streams(model, nodes)
    by_tensor = {stream.tensor: stream for stream in streams}
    return Design(
        folder=Path(),
        top=top,
        files=(),
        streams=streams,
        fifos=tuple(_read_fifo(node, by_tensor) for node in nodes if node.is_fifo),
        operators=tuple(_describe(node, by_tensor, part) for node in nodes),
    )


@dataclass
class Node:
    """A node of the graph and the tensors on its stream ports."""

    name: str
    """As an identifier of SystemVerilog."""
    op_type: str
    op: object
    inputs: dict[str, str]
    """Stream port to tensor."""
    outputs: dict[str, str]

    @property
    def is_fifo(self) -> bool:
        return self.op_type == "StreamingFIFO_rtl"

    @property
    def has_weight_memory(self) -> bool:
        return self.op_type in ("MVAU_rtl", "VVAU_rtl") and self.attribute("core", "finn") == "finn"

    def attribute(self, name: str, default: object) -> object:
        """Value of a node attribute; the default where the operator has no such attribute."""
        return self.op.get_nodeattr(name) if name in self.op.get_nodeattr_types() else default


def read_node(model: ModelWrapper, node: NodeProto) -> Node:
    """Raises UserError if it has no RTL."""
    from qonnx.custom_op.registry import getCustomOp

    if not node.op_type.endswith("_rtl"):
        raise UserError(f"{node.name}: a node of type {node.op_type} has no RTL; specialise it to an *_rtl operator")
    dynamic = [(index, tensor) for index, tensor in enumerate(node.input) if model.get_initializer(tensor) is None]
    return Node(
        name=_identifier(node.name),
        op_type=node.op_type,
        op=getCustomOp(node),
        inputs={f"in{index}_V": tensor for index, tensor in dynamic},
        outputs={f"out{index}_V": tensor for index, tensor in enumerate(node.output)},
    )


def _identifier(name: str) -> str:
    """A SystemVerilog identifier; without double underscores, which Verilator encodes."""
    name = re.sub(r"_+", "_", re.sub(r"\W", "_", name)).strip("_")
    return name if name[:1].isalpha() else f"n_{name}"


def _read_streams(model: ModelWrapper, nodes: Sequence[Node]) -> tuple[Stream, ...]:
    """One stream for each tensor between nodes; its name is its producer's."""
    inputs = {value.name: f"in{index}_V" for index, value in enumerate(model.graph.input)}
    outputs = {value.name: f"out{index}_V" for index, value in enumerate(model.graph.output)}
    readers: dict[str, list[tuple[Node, int]]] = {}
    for node in nodes:
        for port, tensor in node.inputs.items():
            readers.setdefault(tensor, []).append((node, int(port[2:-2])))
    writers = {tensor: (node, index) for node in nodes for index, tensor in enumerate(node.outputs.values())}
    streams = []
    for tensor in dict.fromkeys((*inputs, *readers, *writers)):
        ends = readers.get(tensor, [])
        sinks = [node.name for node, _ in ends] + (["an output of the graph"] if tensor in outputs else [])
        if len(sinks) != 1:
            who = f"{len(sinks)} readers ({', '.join(sinks)}); insert DuplicateStreams" if sinks else "no reader"
            raise UserError(f"tensor {tensor}: has {who}")
        if (tensor in inputs) == (tensor in writers):
            raise UserError(f"tensor {tensor}: must be written by one node or be an input of the graph")
        if tensor in writers and ends:
            _require_same_width(tensor, writers[tensor], ends[0])
        streams.append(_read_stream(tensor, writers.get(tensor), ends[0] if ends else None, inputs, outputs))
    names = [stream.name for stream in streams]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise UserError(f"nodes whose streams would share the names {', '.join(twice)}: rename them")
    return tuple(streams)


def _read_stream(
    tensor: str,
    writer: tuple[Node, int] | None,
    reader: tuple[Node, int] | None,
    inputs: dict[str, str],
    outputs: dict[str, str],
) -> Stream:
    node, index = writer or reader
    side = "output" if writer else "input"
    described = {
        "datatype": getattr(node.op, f"get_{side}_datatype")(index).name,
        "normal_shape": tuple(map(int, getattr(node.op, f"get_normal_{side}_shape")(index))),
        "folded_shape": tuple(map(int, getattr(node.op, f"get_folded_{side}_shape")(index))),
        "bits": int(getattr(node.op, f"get_{side[:-3]}stream_width_padded")(index)),
    }
    if tensor in outputs:
        name, role = outputs[tensor], "output"
    elif tensor in inputs:
        name, role = inputs[tensor], "input"
    else:
        name, role = node.name if len(node.outputs) == 1 else f"{node.name}_{index}", "inner"
    return Stream(
        name=name,
        role=role,
        tensor=tensor,
        producer=writer[0].name if writer else None,
        consumer=reader[0].name if reader else None,
        **described,
    )


def _require_same_width(tensor: str, writer: tuple[Node, int], reader: tuple[Node, int]) -> None:
    out = writer[0].op.get_outstream_width_padded(writer[1])
    into = reader[0].op.get_instream_width_padded(reader[1])
    if out != into:
        raise UserError(
            f"tensor {tensor}: {writer[0].name} writes {out} bits a beat, {reader[0].name} reads {into}; insert a "
            "width converter (InsertDWC)"
        )


def _read_fifo(node: Node, streams: dict[str, Stream]) -> Fifo:
    return Fifo(
        name=node.name,
        depth=int(node.op.get_nodeattr("depth")),
        source=streams[node.inputs["in0_V"]].name,
        sink=streams[node.outputs["out0_V"]].name,
    )


def _describe(node: Node, streams: dict[str, Stream], part: str | None) -> Operator:
    attributes = {}
    for name, (kind, *_) in node.op.get_nodeattr_types().items():
        if kind in ("i", "ints") or name in TIMING_TEXTS or (kind == "s" and name.endswith("DataType")):
            value = node.op.get_nodeattr(name)
            attributes[name] = value if isinstance(value, str) else np.asarray(value).tolist()
    if node.op_type == "SAMVAU_rtl" or attributes.get("core", "finn") != "finn":  # what `auto` comes to
        attributes["ram_style"] = "block" if node.op.in_block_ram else "distributed"
    if node.op_type == "MVAU_rtl" and part is not None:
        from finn.util.basic import get_dsp_block

        attributes["dsp_version"] = CORES[get_dsp_block(part)]
    return Operator(
        name=node.name,
        op_type=node.op_type,
        inputs=tuple(streams[tensor].name for tensor in node.inputs.values()),
        outputs=tuple(streams[tensor].name for tensor in node.outputs.values()),
        attributes=attributes,
    )
