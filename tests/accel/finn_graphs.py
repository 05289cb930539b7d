"""Small FINN graphs built by hand, and what they compute, by torch alone."""

from dataclasses import dataclass, field

import numpy as np
import torch
from onnx import TensorProto, helper
from qonnx.core.datatype import DataType
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.custom_op.registry import getCustomOp
from qonnx.transformation.general import GiveUniqueNodeNames, SortGraph

from hwprune.accel import operators
from hwprune.accel.finn_env import prepare_finn

PART = "xc7z020clg400-1"


@dataclass
class GraphBuilder:
    """Collects RTL nodes and initializers; tensors are NHWC with one frame a batch."""

    size: int
    channels: int
    nodes: list = field(default_factory=list)
    shapes: dict = field(default_factory=dict)
    types: dict = field(default_factory=dict)
    constants: dict = field(default_factory=dict)

    def __post_init__(self):
        self.tensor("image", self.size, self.channels, "UINT8")

    def tensor(self, name, size, channels, datatype):
        self.shapes[name], self.types[name] = (1, size, size, channels), datatype
        return name

    def node(self, op, name, inputs, outputs, **attributes):
        domain = "finn.custom_op.fpgadataflow.rtl"
        made = helper.make_node(op, inputs, outputs, name=name, domain=domain, backend="fpgadataflow", **attributes)
        self.nodes.append(made)

    def convolution(self, source, name, weights, *, stride=1, pe=1, simd=1, weight_bits=4, accumulator="INT20"):
        """Padding, sliding window and MVAU; weights (out, in, k, k), odd k."""
        _, size, _, channels = self.shapes[source]
        out, _, kernel, _ = weights.shape
        datatype = self.types[source]
        if kernel > 1:
            pad, padded = kernel // 2, size + kernel - 1
            common = {"SIMD": simd, "inputDataType": datatype}
            self.tensor(f"{name}_pad", padded, channels, datatype)
            geometry = {"ImgDim": [size] * 2, "Padding": [pad] * 4, "NumChannels": channels}
            self.node("FMPadding_rtl", f"{name}_pad", [source], [f"{name}_pad"], **geometry, **common)
            size = (padded - kernel) // stride + 1
            self.tensor(f"{name}_window", size, kernel * kernel * channels, datatype)
            geometry = {
                "ConvKernelDim": [kernel] * 2,
                "IFMChannels": channels,
                "IFMDim": [padded] * 2,
                "OFMDim": [size] * 2,
                "Stride": [stride] * 2,
                "Dilation": [1, 1],
                "outputDataType": datatype,
            }
            source_of_window, source = f"{name}_pad", f"{name}_window"
            self.node("ConvolutionInputGenerator_rtl", source, [source_of_window], [source], **geometry, **common)
        self.tensor(name, size, out, accumulator)
        # FINN's sliding window sends (row, column, channel); its MVAU takes weights as (inputs, outputs).
        weights_type = f"INT{weight_bits}"
        self.constants[f"{name}_weights"] = (weights.transpose(2, 3, 1, 0).reshape(-1, out), weights_type)
        types = {"inputDataType": datatype, "weightDataType": weights_type, "outputDataType": accumulator}
        self.node(
            "MVAU_rtl",
            name,
            [source, f"{name}_weights"],
            [name],
            **{"MW": weights[0].size, "MH": out, "SIMD": simd, "PE": pe, "numInputVectors": [1, size, size]},
            **{"noActivation": 1, "mem_mode": "internal_decoupled", "resType": "dsp", "accDataType": accumulator},
            **types,
        )
        return name

    def threshold(self, source, name, thresholds, *, pe=1):
        """Counts the thresholds (channels, steps) that are reached."""
        _, size, _, channels = self.shapes[source]
        datatype = f"UINT{int(np.ceil(np.log2(thresholds.shape[1] + 1)))}"
        self.constants[f"{name}_thresholds"] = (thresholds, self.types[source])
        self.tensor(name, size, channels, datatype)
        types = {"inputDataType": self.types[source], "weightDataType": self.types[source], "outputDataType": datatype}
        geometry = {"NumChannels": channels, "numSteps": thresholds.shape[1], "numInputVectors": [1, size, size]}
        self.node("Thresholding_rtl", name, [source, f"{name}_thresholds"], [name], PE=pe, **geometry, **types)
        return name

    def fork(self, source, name, outputs=2, *, pe=1):
        _, size, _, channels = self.shapes[source]
        made = [self.tensor(f"{name}_{k}", size, channels, self.types[source]) for k in range(outputs)]
        geometry = {"NumChannels": channels, "NumOutputStreams": outputs, "numInputVectors": [1, size, size]}
        self.node("DuplicateStreams_rtl", name, [source], made, PE=pe, inputDataType=self.types[source], **geometry)
        return made

    def concat(self, sources, name, *, simd=1):
        size = self.shapes[sources[0]][1]
        channels, types = ([getattr(self, of)[source] for source in sources] for of in ("shapes", "types"))
        channels = [shape[3] for shape in channels]
        self.tensor(name, size, sum(channels), max(types, key=lambda datatype: DataType[datatype].bitwidth()))
        geometry = {"ChannelsPerStream": channels, "numInputVectors": [1, size, size]}
        self.node("StreamingConcat_rtl", name, sources, [name], SIMD=simd, inputDataTypes=types, **geometry)
        return name

    def model(self, outputs):
        info = {
            name: helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in self.shapes.items()
        }
        inner = [value for name, value in info.items() if name != "image" and name not in outputs]
        graph = helper.make_graph(
            self.nodes, "net", [info["image"]], [info[name] for name in outputs], value_info=inner
        )
        model = ModelWrapper(helper.make_model(graph))
        for name, datatype in self.types.items():
            model.set_tensor_datatype(name, DataType[datatype])
        for name, (value, datatype) in self.constants.items():
            model.set_initializer(name, value.astype(np.float32))
            model.set_tensor_datatype(name, DataType[datatype])
        return model


def with_fifos(model, folder, depths=None, default=16):
    """Insert width converters and FIFOs, as the compile stage does.

    FIFOs at a node's inputs are `default` deep, or as `depths` (by node name) says.
    """
    prepare_finn(folder)
    operators.register()
    from finn.transformation.fpgadataflow.insert_dwc import InsertDWC
    from finn.transformation.fpgadataflow.insert_fifo import InsertFIFO
    from finn.transformation.fpgadataflow.specialize_layers import SpecializeLayers

    for node in model.graph.node:
        op = getCustomOp(node)
        inputs = [name for name in node.input if model.get_initializer(name) is None]
        op.set_nodeattr("inFIFODepths", [(depths or {}).get(node.name, default)] * len(inputs))
        op.set_nodeattr("outFIFODepths", [2] * len(node.output))
    for step in (InsertDWC(), InsertFIFO(create_shallow_fifos=True), SpecializeLayers(PART), SortGraph()):
        model = model.transform(step)
    return model.transform(GiveUniqueNodeNames())


def generate(model, folder, depths=None, default=16):
    """The graph with FIFOs and with code."""
    model = with_fifos(model, folder, depths, default)
    from finn.transformation.fpgadataflow.prepare_ip import PrepareIP

    return model.transform(PrepareIP(PART, 10.0))


def fork_and_join(size, channels, rng, layers=1, kernel=3):
    """A convolution, a fork, a branch of so many convolutions beside a skip, their concatenation, and a convolution."""
    graph = GraphBuilder(size, 2)

    def layer(source, name, out, kernel=3, pe=1, simd=1):
        into = graph.shapes[source][3]
        weights = rng.integers(-7, 8, (out, into, kernel, kernel))
        graph.convolution(source, f"{name}_conv", weights, pe=pe, simd=simd)
        return graph.threshold(f"{name}_conv", name, np.sort(rng.integers(-200, 200, (out, 15))), pe=pe)

    stem = layer("image", "stem", channels, pe=channels, simd=2)
    branch, skip = graph.fork(stem, "fork")
    for i in range(layers):
        branch = layer(branch, f"branch{i}", channels, kernel=kernel, pe=channels)
    joined = graph.concat([branch, skip], "join")
    last = layer(joined, "last", 2, kernel=1)
    return graph.model([last])


def convolve(image, weights, stride=1):
    """(H, W, C) integers with weights (out, in, k, k), zero-padded by k // 2; exact in double."""
    moved = torch.from_numpy(np.moveaxis(image, -1, 0)[None].astype(np.float64))
    made = torch.nn.functional.conv2d(
        moved, torch.from_numpy(weights.astype(np.float64)), stride=stride, padding=weights.shape[-1] // 2
    )
    return np.moveaxis(made[0].numpy(), 0, -1).astype(np.int64)


def count_reached(values, thresholds):
    """Thresholding: for each channel, how many thresholds a value reaches."""
    return (values[..., None] >= thresholds).sum(-1)
