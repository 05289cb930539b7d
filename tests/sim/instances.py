"""FINN's and our operators of random shapes, one node a graph, with data and golden values that owe nothing to hwprune.

Each maker takes a random generator and the node's name.
"""

import dataclasses

import numpy as np
from onnx import TensorProto, helper
from qonnx.core.datatype import DataType
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.util.basic import qonnx_make_model

from hwprune.sam.neuron import distances
from hwprune.sim.streams import pack
from tests.accel.operators.cases import operator
from tests.sim.numpy_operators import convolution_windows, count_reached, zero_padded

FRAMES = 2


@dataclasses.dataclass(frozen=True)
class Instance:
    """A graph of one node, what goes in, and what must come out; integers (frames, *shape)."""

    model: ModelWrapper
    inputs: dict[str, np.ndarray]
    outputs: dict[str, np.ndarray]


def instance(node, inputs, outputs, constants=None):
    """An instance whose tensors are named after the node, so that many stand beside each other in one program."""
    renamed = type(node)()
    renamed.CopyFrom(node)
    names = [f"{node.name}_{tensor}" for tensor in (*node.input, *node.output)]
    renamed.input[:], renamed.output[:] = names[: len(node.input)], names[len(node.input) :]
    info = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in names]
    streams = len(node.input) - len(constants or {})
    graph = helper.make_graph([renamed], node.name, info[:streams], info[len(node.input) :])
    model = ModelWrapper(qonnx_make_model(graph))
    for tensor, value in (constants or {}).items():
        model.set_initializer(f"{node.name}_{tensor}", value.astype(np.float32))
    named = zip(node.input, inputs, strict=False), zip(node.output, outputs, strict=True)
    return Instance(model, *({f"{node.name}_{tensor}": value for tensor, value in pairs} for pairs in named))


def packed(values, datatype, folded_shape):
    """A bipolar element is its bit."""
    if datatype == DataType["BIPOLAR"]:
        values, datatype = (values + 1) // 2, DataType["BINARY"]
    return pack(values, datatype.name, [int(extent) for extent in folded_shape])


def sam_instance(case, rng):
    x = case.inputs(rng, FRAMES)
    constants = {"p": case.p, "n": case.n, "sign": case.sign}
    # The types may have been made smaller, and dead distances with them.
    constants = {key: case.model.get_initializer(key) for key, value in constants.items() if value is not None}
    sums = case.golden(x)
    codes = case.op.codes(case.model)
    assert np.array_equal(sums, distances(x, case.op.sam, case.op.get_nodeattr("group"), codes.p, codes.n, codes.sign))
    return instance(case.op.onnx_node, [x], [sums], constants)


def divisor(rng, number):
    return int(rng.choice([d for d in range(1, number + 1) if number % d == 0]))


def integers(rng, datatype, shape):
    """Over the whole range of a type, its ends more often."""
    low, high = int(DataType[datatype].min()), int(DataType[datatype].max())
    values = rng.integers(low, high, shape, endpoint=True)
    return np.where(rng.random(shape) < 0.2, rng.choice([low, high], shape), values)


def some_type(rng, most=9):
    return f"{rng.choice(['INT', 'UINT'])}{rng.integers(2, most)}"


def mvau(rng, name, most_vectors=5, shape=None, core=None):
    """``shape``: MW, MH, SIMD and PE, in the place of random ones; ``core``: one of those of MVAU_rtl, else any."""
    mw, mh, vectors = (int(v) for v in rng.integers(1, [25, 9, most_vectors + 1]))
    mw, mh, simd, pe = shape or (mw, mh, divisor(rng, mw), divisor(rng, mh))
    x, w = some_type(rng), f"INT{rng.integers(2, 9)}"
    seen, weights = integers(rng, x, (FRAMES * vectors, mw)), integers(rng, w, (mw, mh))
    node = operator("MVAU_rtl", inputs=2, name=name, MW=mw, MH=mh, SIMD=simd, PE=pe,
                    inputDataType=x, weightDataType=w, outputDataType="INT22", accDataType="INT22", noActivation=1,
                    core=core or str(rng.choice(["dsp", "lut", "finn"])),
                    ram_style=str(rng.choice(["auto", "distributed", "block"])),
                    numInputVectors=[1, vectors, 1]).onnx_node  # fmt: skip
    return instance(node, [seen], [seen @ weights], {"i1": weights})


def thresholding(rng, name, most_vectors=5):
    channels, vectors, bits = (int(v) for v in rng.integers(1, [9, most_vectors + 1, 5]))
    x, signed = some_type(rng, 12), bool(rng.integers(2))
    first = -(1 << bits - 1) if signed and bits > 1 else 0
    rows = 1 if rng.random() < 0.2 else channels
    count = int(rng.integers(1 << bits - 1, 1 << bits))  # fewer would fit into fewer bits
    steps = np.sort(integers(rng, x, (rows, count)), axis=1)
    values = integers(rng, x, (FRAMES * vectors, channels))
    node = operator("Thresholding_rtl", inputs=2, name=name, NumChannels=channels, PE=divisor(rng, channels),
                    numSteps=count, inputDataType=x, weightDataType=x, ActVal=first,
                    deep_pipeline=int(rng.integers(2)),
                    outputDataType=f"{'INT' if first else 'UINT'}{bits}",
                    numInputVectors=[1, vectors, 1]).onnx_node  # fmt: skip
    return instance(node, [values], [count_reached(values, steps) + first], {"i1": steps})


def padding(rng, name):
    h, w, c = (int(v) for v in rng.integers(1, 7, 3))
    sides, x = [int(v) for v in rng.integers(0, 3, 4)], some_type(rng)
    values = integers(rng, x, (FRAMES, h, w, c))
    node = operator("FMPadding_rtl", name=name, ImgDim=[h, w], Padding=sides, NumChannels=c, SIMD=divisor(rng, c),
                    inputDataType=x).onnx_node  # fmt: skip
    return instance(node, [values], [zero_padded(values, *sides)])


def window(rng, name, shape=None):
    """``shape`` is kernel, stride, dilation, (height, width), channels, SIMD, parallel_window."""
    if shape is None:
        kernel, stride, dilation = ([int(v) for v in rng.integers(1, 4, 2)] for _ in range(3))
        size = [int(rng.integers(d * (k - 1) + 1, d * (k - 1) + 7)) for k, d in zip(kernel, dilation, strict=True)]
        c, parallel = int(rng.integers(1, 7)), int(rng.integers(2))
        shape = kernel, stride, dilation, size, c, c if parallel else divisor(rng, c), parallel
    kernel, stride, dilation, (h, w), c, simd, parallel = shape
    x = some_type(rng)
    values = integers(rng, x, (FRAMES, h, w, c))
    windows = convolution_windows(values, kernel, stride, dilation)
    node = operator("ConvolutionInputGenerator_rtl", name=name, ConvKernelDim=kernel, IFMChannels=c, IFMDim=[h, w],
                    OFMDim=list(windows.shape[1:3]), SIMD=simd, Stride=stride,
                    Dilation=dilation, depthwise=0, inputDataType=x, outputDataType=x,
                    parallel_window=parallel).onnx_node  # fmt: skip
    return instance(node, [values], [windows])


def width(rng, name, shape=None):
    """``shape`` is bits of an element, elements a pixel, elements of an input beat and of an output beat, pixels."""
    if shape is None:
        channels = int(rng.choice([6, 12, 20]))
        shape = int(rng.integers(1, 7)), channels, divisor(rng, channels), divisor(rng, channels), 3
    bits, channels, lanes_in, lanes_out, pixels = shape
    folded = [1, pixels, 1, channels]
    values = integers(rng, f"UINT{bits}", (FRAMES, pixels, channels))
    node = operator("StreamingDataWidthConverter_rtl", name=name, inShape=folded, outShape=folded,
                    inWidth=bits * lanes_in, outWidth=bits * lanes_out, dataType=f"UINT{bits}").onnx_node  # fmt: skip
    return instance(node, [values], [values])


def queue(rng, name):
    shape, depth = [1, 2, 3, int(rng.integers(1, 4)), int(rng.integers(1, 6))], int(rng.integers(1, 40))
    values = integers(rng, "INT5", (FRAMES, *shape))
    node = operator("StreamingFIFO_rtl", name=name, depth=depth, folded_shape=shape, dataType="INT5",
                    normal_shape=[*shape[:3], shape[3] * shape[4]]).onnx_node  # fmt: skip
    return instance(node, [values], [values])
