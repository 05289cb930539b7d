"""QONNX graph in integer form -> FINN hardware operators.

The graph comes with all scales folded (`hwprune.quant.integer`), so nothing needs to be moved past forks, joins or
resizes: each node is rewritten on its own, channels last, one function an operator. What FINN's streamlining and
convert-to-hardware passes would search for by patterns is known here from the start; the nodes are the same.

Tensors keep the layers' names, with these suffixes: ``_pad`` (padded image), ``_window`` (sliding window), ``_acc``
(sums), ``_copy<i>`` (branches of a fork). Nodes are called ``<layer>_<operator>``.
"""

import numpy as np
from onnx import NodeProto, helper
from qonnx.core.datatype import BaseDataType, DataType
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.custom_op.registry import getCustomOp

from hwprune.accel.accelerator import HostAffine
from hwprune.accel.draft import Draft
from hwprune.accel.operators.pooling import check_pool
from hwprune.accel.thresholds import activation_thresholds, elementwise_chain, sum_range, sum_type
from hwprune.accel.windows import WindowShape
from hwprune.errors import UserError


def lower(qonnx: ModelWrapper) -> tuple[ModelWrapper, list[HostAffine]]:
    """Rewrite the integer QONNX graph in FINN's hardware operators, not yet folded, channels last.

    Parameters
    ----------
    qonnx
        What `hwprune.quant.export.export_qonnx` makes.

    Returns
    -------
    model
        uint8 pixels (1, H, W, C) in, the heads' integer sums (1, h, w, c) out, one for each output of ``qonnx`` in its
        order.
    affine
        The float operators behind the heads, which stay on the host.

    Raises
    ------
    UserError
        At an operator that has no hardware.
    """
    low = Draft(qonnx)
    (image,) = qonnx.graph.input
    n, c, h, w = qonnx.get_tensor_shape(image.name)
    low.made(image.name, (n, h, w, c), qonnx.get_tensor_datatype(image.name))
    for node in qonnx.graph.node:
        if node.name in low.done or _is_weight(qonnx, node):
            continue  # taken along by another node's rule
        if node.op_type not in _RULES:
            raise UserError(f"node {node.name!r}: operator {node.op_type} has no hardware in hwprune")
        _RULES[node.op_type](low, node)
    return low.assemble(image.name)


def _is_weight(qonnx: ModelWrapper, node: NodeProto) -> bool:
    return node.op_type == "Quant" and qonnx.get_initializer(node.input[0]) is not None


def _conv(low: Draft, node: NodeProto) -> None:
    """Padding, sliding window, matrix-vector unit; then thresholds, or the host's affine map behind a head."""
    attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute}
    codes, weight_type = _weights(low.source, node.input[1])
    if attributes.get("group", 1) != 1 or len(node.input) > 2:
        raise UserError(f"node {node.name!r}: only convolutions over all channels, without a bias, have hardware")
    steps = attributes["strides"], attributes["dilations"]
    layer, source, vectors = _windowed(low, node, list(codes.shape[2:]), *steps, attributes["pads"])
    values = low.types[source]
    # The window comes row by row, pixel by pixel, channels last; so do the weights.
    matrix = codes.transpose(0, 2, 3, 1).reshape(len(codes), -1)
    sums, ends = node.output[0], sum_range(matrix, values)
    dtype = sum_type(*ends)
    outputs, inputs = matrix.shape
    low.tensor(sums, (*vectors, outputs), dtype)
    low.emit("MVAU", f"{layer}_mvau", [source, low.constant(f"{layer}_weights", matrix.T, weight_type)], [sums],
             MW=inputs, MH=outputs, SIMD=1, PE=1, inputDataType=values.name, weightDataType=weight_type.name,
             outputDataType=dtype.name, accDataType=dtype.name, noActivation=1, ActVal=0, binaryXnorMode=0,
             numInputVectors=vectors, mem_mode="internal_decoupled")  # fmt: skip
    _activated(low, node, *ends)


def _sam(low: Draft, node: NodeProto) -> None:
    """As `_conv`, with the unit of SAM neurons."""
    operator = getCustomOp(node)
    p, n, sign = operator.values(low.source)
    stride, padding = operator.get_nodeattr("stride"), operator.get_nodeattr("padding")
    kernel = list(low.source.get_tensor_shape(node.input[1])[2:])
    layer, source, vectors = _windowed(low, node, kernel, [stride] * 2, [1, 1], [padding] * 4)
    values = low.types[source]
    sums, ends = node.output[0], operator.range(low.source, int(values.min()), int(values.max()))
    dtype = sum_type(*ends)
    outputs, inputs = p.shape
    low.tensor(sums, (*vectors, outputs), dtype)
    bits = max(low.source.get_tensor_datatype(name).bitwidth() for name in operator.operands()[:2] if name)
    operands = {"p": (p, f"UINT{bits}"), "n": (n, f"UINT{bits}"), "sign": (sign, "BIPOLAR")}
    if operator.get_nodeattr("form") == "maxmin" and np.all(sign == 1):
        del operands["sign"]
    constants = [
        low.constant(f"{layer}_{name}", value.T, DataType[kind])
        for name, (value, kind) in operands.items()
        if value is not None
    ]
    low.emit("SAMVAU", f"{layer}_samvau", [source, *constants], [sums], MW=inputs, MH=outputs, SIMD=1, PE=1,
             **{name: operator.get_nodeattr(name) for name in ("form", "group", "shift", "floor")},
             inputDataType=values.name, weightDataType=f"UINT{bits}", outputDataType=dtype.name,
             numInputVectors=vectors)  # fmt: skip
    _activated(low, node, *ends)


def _windowed(
    low: Draft, node: NodeProto, kernel: list[int], stride: list[int], dilation: list[int], pads: list[int]
) -> tuple[str, str, list[int]]:
    """Padding and sliding window in front of a unit: the layer's name, the tensor that the unit reads, and the shape of
    its outputs but for the channels; ``pads`` is (top, left, bottom, right)."""
    layer = elementwise_chain(low.source, node.output[0])[1][-1].output[0]
    source = low.read(node.input[0])
    values = low.types[source]
    n, h, w, c = low.shapes[source]
    if any(pads):
        top, left, bottom, right = pads
        padded = low.tensor(f"{layer}_pad", (n, h + top + bottom, w + left + right, c), values)
        low.emit("FMPadding", f"{layer}_pad", [source], [padded], ImgDim=[h, w], Padding=[top, left, bottom, right],
                 NumChannels=c, SIMD=1, inputDataType=values.name)  # fmt: skip
        source, (n, h, w, c) = padded, low.shapes[padded]
    shape = WindowShape(tuple(kernel), tuple(stride), tuple(dilation), (h, w))
    out_h, out_w = shape.windows
    if kernel != [1, 1] or stride != [1, 1]:
        if shape.trouble:
            raise UserError(
                f"layer {layer!r}: kernel {kernel}, stride {stride}, dilation {dilation} on {h}x{w} pixels, padding "
                f"included: FINN has no right sliding window for {shape.trouble}; give the layer another stride, or "
                "another data.image_size"
            )
        window = low.tensor(f"{layer}_window", (n, out_h, out_w, kernel[0] * kernel[1] * c), values)
        low.emit("ConvolutionInputGenerator", f"{layer}_window", [source], [window], ConvKernelDim=kernel,
                 IFMChannels=c, IFMDim=[h, w], OFMDim=[out_h, out_w], SIMD=1, Stride=stride, Dilation=dilation,
                 depthwise=0, inputDataType=values.name, outputDataType=values.name,
                 is1D=int(h == 1 or w == 1))  # fmt: skip
        source = window
    return layer, source, [n, out_h, out_w]


def _activated(low: Draft, node: NodeProto, least: int, most: int) -> None:
    """Thresholds behind a unit's sums, which lie between ``least`` and ``most``; or the host's affine map at a head."""
    sums = node.output[0]
    function, chain = elementwise_chain(low.source, sums)
    low.done |= {step.name for step in chain}
    layer = chain[-1].output[0]
    if chain[-1].op_type != "Quant":
        low.affine.append(_host_affine(low.source, layer, chain))
        low.outputs.append(sums)
        return
    *vectors, outputs = low.shapes[sums]
    dtype, codes_type = low.types[sums], getCustomOp(chain[-1]).get_integer_datatype(low.source)
    thresholds = activation_thresholds(function, outputs, codes_type, least, most)
    steps = low.constant(f"{layer}_steps", thresholds, dtype)
    low.emit("Thresholding", f"{layer}_thresholds", [sums, steps], [layer],
             NumChannels=outputs, PE=1, numSteps=thresholds.shape[1], inputDataType=dtype.name,
             weightDataType=dtype.name, outputDataType=codes_type.name, numInputVectors=vectors,
             ActVal=int(codes_type.min()))  # fmt: skip
    low.made(layer, (*vectors, outputs), codes_type)


def _weights(qonnx: ModelWrapper, tensor: str) -> tuple[np.ndarray, BaseDataType]:
    node = qonnx.find_producer(tensor)
    if node is None or not _is_weight(qonnx, node) or np.any(qonnx.get_initializer(node.input[1]) != 1):
        raise UserError(f"tensor {tensor!r}: a convolution's weights must be integers behind a Quant node of scale 1")
    codes, datatype = qonnx.get_initializer(node.input[0]), getCustomOp(node).get_integer_datatype(qonnx)
    # FINN's DSP packing needs the lowest code free.
    if np.any(codes != np.round(codes)) or codes.min() <= datatype.min() or codes.max() > datatype.max():
        raise UserError(f"tensor {tensor!r}: weights must be integers of the narrow range of {datatype.name}")
    return codes, datatype


def _host_affine(qonnx: ModelWrapper, head: str, chain: list[NodeProto]) -> HostAffine:
    if [node.op_type for node in chain] != ["Mul", "Add"]:
        operators = ", ".join(node.op_type for node in chain) or "nothing"
        raise UserError(
            f"head {head!r}: expected a scale (Mul) and a bias (Add) behind its convolution, found {operators}"
        )
    scale, bias = (
        next(v for v in (qonnx.get_initializer(i) for i in node.input) if v is not None).reshape(-1) for node in chain
    )
    return HostAffine(head, scale, bias)


def _max_pool(low: Draft, node: NodeProto) -> None:
    attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute}
    pads = list(attributes.get("pads", [0, 0, 0, 0]))
    (kernel, _), (stride, _) = attributes["kernel_shape"], attributes["strides"]
    layer, source = node.output[0], low.read(node.input[0])
    n, h, w, c = low.shapes[source]
    check_pool(layer, (h, w), kernel, stride, pads)
    datatype = low.types[source]
    low.emit("MaxPool2d", f"{layer}_pool", [source], [layer], ifm_dim=[h, w], Channels=c, PE=1, kernel=kernel,
             stride=stride, Padding=pads, inputDataType=datatype.name)  # fmt: skip
    top, left, bottom, right = pads
    rows, columns = ((d - kernel) // stride + 1 for d in (top + h + bottom, left + w + right))
    low.made(layer, (n, rows, columns, c), datatype)


def _upsample(low: Draft, node: NodeProto) -> None:
    source, layer = low.read(node.input[0]), node.output[0]
    _, _, out_h, out_w = low.source.get_tensor_shape(layer)
    n, h, w, c = low.shapes[source]
    datatype = low.types[source]
    low.emit("UpsampleNearestNeighbour", f"{layer}_repeat", [source], [layer], SIMD=1, HO=out_h, WO=out_w, HI=h, WI=w,
             NumChannels=c, inputDataType=datatype.name, batchSize=n)  # fmt: skip
    low.made(layer, (n, out_h, out_w, c), datatype)


def _concat(low: Draft, node: NodeProto) -> None:
    layer, sources = node.output[0], [low.read(name) for name in node.input]
    types = {low.types[source] for source in sources}
    if len(types) > 1:
        raise UserError(f"concatenation {layer!r} joins different data types: {sorted(t.name for t in types)}")
    channels = [low.shapes[source][-1] for source in sources]
    shape = low.shapes[sources[0]][:-1]
    low.emit("StreamingConcat", f"{layer}_concat", sources, [layer], SIMD=1, ChannelsPerStream=channels,
             inputDataTypes=[low.types[source].name for source in sources], numInputVectors=list(shape),
             inFIFODepths=[2] * len(sources))  # fmt: skip
    low.made(layer, (*shape, sum(channels)), types.pop())


_RULES = {"Conv": _conv, "SamConv": _sam, "MaxPool": _max_pool, "Resize": _upsample, "Concat": _concat}
