"""Operators of many shapes as FINN nodes, with random data and golden values that owe nothing to hwprune."""

import math
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from onnx import helper
from qonnx.core.datatype import DataType
from qonnx.custom_op.registry import getCustomOp

from hwprune.accel.operators.pooling import pool_stages
from tests.accel.operators.bench import pack


def operator(op_type: str, inputs: int = 1, outputs: int = 1, name: str = "node", **attributes):
    """The wrapped FINN node ``op_type``, in the domain that its suffix calls for."""
    domain = "finn.custom_op.fpgadataflow" + (".rtl" if op_type.endswith("_rtl") else "")
    node = helper.make_node(
        op_type,
        [f"i{k}" for k in range(inputs)],
        [f"o{k}" for k in range(outputs)],
        name=name,
        domain=domain,
        backend="fpgadataflow",
        **attributes,
    )
    return getCustomOp(node)


@dataclass(frozen=True)
class Case:
    """One operator with a name of its own."""

    name: str
    op: object

    def wrapper(self) -> str:
        self.op.check()
        return self.op.wrapper(self.name)

    def ports(self, kind: str) -> list[str]:
        count = len(self.op.onnx_node.input if kind == "in" else self.op.onnx_node.output)
        return [f"{self.name}_{kind}{k}_V" for k in range(count)]

    def data(self, rng: np.random.Generator, frames: int) -> list[np.ndarray]:
        """For each input, integers (frames, *normal shape) over the whole range of its type, the ends more often."""
        arrays = []
        for i in range(len(self.op.onnx_node.input)):
            low, high = int(self.op.get_input_datatype(i).min()), int(self.op.get_input_datatype(i).max())
            shape = (frames, *self.op.get_normal_input_shape(i))
            values = rng.integers(low, high, shape, endpoint=True)
            at_end = rng.random(shape) < (1 if self.op.get_input_datatype(i) == DataType["BIPOLAR"] else 0.2)
            arrays.append(np.where(at_end, rng.choice([low, high], shape), values))
        return arrays

    def beats_in(self, arrays: list[np.ndarray]) -> dict[str, np.ndarray]:
        return {
            port: _beats(a, self.op.get_folded_input_shape(i)[-1], self.op.get_input_datatype(i))
            for i, (port, a) in enumerate(zip(self.ports("in"), arrays, strict=True))
        }

    def beats_out(self, arrays: list[np.ndarray]) -> dict[str, np.ndarray]:
        """Golden beats, from PyTorch's or NumPy's operator on whole tensors."""
        op = self.op
        results = golden(op, arrays)
        for k, result in enumerate(results):
            assert result.shape[1:] == tuple(op.get_normal_output_shape(k))
        return {
            port: _beats(r, op.get_folded_output_shape(k)[-1], op.get_output_datatype(k))
            for k, (port, r) in enumerate(zip(self.ports("out"), results, strict=True))
        }


def _beats(values: np.ndarray, elements: int, datatype) -> np.ndarray:
    codes = (values + 1) // 2 if datatype == DataType["BIPOLAR"] else values
    return pack(codes.reshape(-1, elements), datatype.bitwidth())


def golden(op, arrays: list[np.ndarray]) -> list[np.ndarray]:
    """Outputs (frames, *normal shape) for inputs (frames, *normal shape)."""
    kind = op.onnx_node.op_type.removesuffix("_rtl")
    if kind == "StreamingConcat":
        return [np.concatenate(arrays, axis=-1)]
    (values,) = arrays
    if kind in ("DuplicateStreams", "StreamingDataWidthConverter"):
        return [values] * len(op.onnx_node.output)
    images = torch.tensor(values.reshape(-1, *values.shape[2:])).permute(0, 3, 1, 2).double()
    if kind == "MaxPool2d":
        top, left, bottom, right = op.get_nodeattr("Padding")
        padded = F.pad(images, (left, right, top, bottom), value=-math.inf)
        result = F.max_pool2d(padded, op.get_nodeattr("kernel"), op.get_nodeattr("stride"))
    else:
        result = F.interpolate(images, scale_factor=op.get_nodeattr("HO") // op.get_nodeattr("HI"), mode="nearest")
    result = result.permute(0, 2, 3, 1).numpy().astype(np.int64)
    return [result.reshape(*values.shape[:2], *result.shape[1:])]


def _fold(rng: np.random.Generator, channels: int) -> int:
    return int(rng.choice([d for d in range(1, channels + 1) if channels % d == 0]))


def _type(rng: np.random.Generator) -> str:
    return f"{rng.choice(['INT', 'UINT'])}{rng.integers(2, 10)}"


def max_pools(rng: np.random.Generator, count: int = 30) -> list:
    """(height, width, channels, PE, kernel, stride, padding, type); odd and minimal sizes, one beat a pixel, wide
    beats, and the pools of SSD first."""
    right_and_below, right, around = (0, 0, 1, 1), (0, 0, 0, 1), (1, 1, 1, 1)
    settings = [
        (1, 1, 1, 1, 2, 1, right_and_below, "UINT4"),
        (1, 5, 2, 1, 2, 1, right_and_below, "INT4"),
        (5, 1, 6, 2, 2, 1, right_and_below, "UINT3"),
        (2, 2, 1, 1, 2, 2, (0,) * 4, "UINT1"),
        (3, 5, 4, 4, 2, 2, (0,) * 4, "INT4"),
        (2, 7, 30, 30, 2, 1, right_and_below, "INT5"),
        (3, 3, 24, 24, 2, 2, (0,) * 4, "UINT8"),
        (4, 4, 2, 2, 2, 1, right_and_below, "BIPOLAR"),
        (5, 3, 4, 2, 2, 2, right_and_below, "UINT4"),
        (4, 5, 3, 1, 2, 2, right, "INT4"),
        (5, 4, 4, 2, 3, 1, around, "UINT4"),
        (1, 1, 2, 1, 3, 1, around, "INT3"),
        (5, 6, 2, 2, 3, 2, around, "INT4"),
        (2, 1, 3, 3, 2, 2, around, "UINT2"),
    ]
    while len(settings) < count:
        kernel, stride, channels = int(rng.integers(2, 5)), int(rng.integers(1, 3)), int(rng.integers(1, 9))
        height, width, *pads = (int(n) for n in (*rng.integers(1, 9, 2), *rng.integers(0, kernel, 4)))
        try:
            pool_stages((height, width), 1, kernel, stride, pads)
        except ValueError:
            continue
        settings.append((height, width, channels, _fold(rng, channels), kernel, stride, pads, _type(rng)))
    return [
        operator("MaxPool2d_rtl", ifm_dim=[h, w], Channels=c, PE=pe, kernel=k, stride=s, Padding=pads, inputDataType=t)
        for h, w, c, pe, k, s, pads, t in settings[:count]
    ]


def upsamplings(rng: np.random.Generator, count: int = 20) -> list:
    """(height, width, channels, SIMD, factor, type)."""
    settings = [(1, 1, 1, 1, 2, "UINT4"), (2, 1, 3, 3, 3, "INT4"), (1, 3, 2, 1, 2, "UINT1"), (2, 3, 20, 20, 2, "INT5")]
    while len(settings) < count:
        channels, factor = int(rng.integers(1, 9)), int(rng.integers(2, 5))
        height, width = (int(d) for d in rng.integers(1, 6, 2))
        settings.append((height, width, channels, _fold(rng, channels), factor, _type(rng)))
    return [
        operator(
            "UpsampleNearestNeighbour_rtl", HI=h, WI=w, HO=h * f, WO=w * f, NumChannels=c, SIMD=simd, inputDataType=t
        )
        for h, w, c, simd, f, t in settings[:count]
    ]


def concats(rng: np.random.Generator, count: int = 20) -> list:
    """(channels of each input, SIMD, types, pixels); narrow beside wide, unsigned beside signed."""
    settings = [
        ([1, 1], 1, ["UINT4", "UINT4"], 1),
        ([5, 1, 1], 1, ["UINT4", "INT4", "UINT8"], 3),
        ([1, 9, 1, 3], 1, ["INT2", "UINT1", "INT7", "UINT3"], 2),
        ([12, 24], 12, ["INT6", "UINT6"], 4),
    ]
    while len(settings) < count:
        inputs, simd = int(rng.integers(2, 5)), int(rng.integers(1, 4))
        one = _type(rng)
        types = [one if rng.random() < 0.5 else _type(rng) for _ in range(inputs)]
        settings.append(([simd * int(n) for n in rng.integers(1, 6, inputs)], simd, types, int(rng.integers(1, 9))))
    return [
        operator(
            "StreamingConcat_rtl", inputs=len(c), SIMD=s, ChannelsPerStream=c, inputDataTypes=t, numInputVectors=[1, p]
        )
        for c, s, t, p in settings[:count]
    ]


def duplicates(rng: np.random.Generator, count: int = 20) -> list:
    """(outputs, channels, PE, pixels, type)."""
    settings = [(2, 1, 1, 1, "UINT1"), (4, 6, 2, 3, "INT4"), (2, 40, 40, 2, "UINT5")]
    while len(settings) < count:
        channels = int(rng.integers(1, 9))
        settings.append((int(rng.integers(2, 5)), channels, _fold(rng, channels), int(rng.integers(1, 13)), _type(rng)))
    return [
        operator(
            "DuplicateStreams_rtl", outputs=n, NumChannels=c, PE=pe, NumOutputStreams=n, inputDataType=t,
            numInputVectors=[1, p],
        )
        for n, c, pe, p, t in settings[:count]
    ]  # fmt: skip


def width_converters(rng: np.random.Generator, count: int = 20) -> list:
    """(elements of a frame, elements of an input beat and of an output beat, type); whole factors, and others."""
    settings = [
        (180, 4, 9, "INT4"),
        (180, 9, 4, "UINT4"),
        (24, 2, 1, "UINT3"),
        (24, 1, 2, "UINT1"),
        (60, 12, 1, "INT5"),
        (60, 1, 12, "UINT4"),
        (60, 10, 12, "INT3"),
        (60, 15, 4, "INT2"),
        (120, 8, 10, "INT6"),
    ]
    while len(settings) < count:
        into, out = (int(n) for n in rng.choice(np.arange(1, 13), 2, replace=False))
        settings.append((math.lcm(into, out) * int(rng.integers(1, 6)), into, out, _type(rng)))
    return [
        operator(
            "StreamingDataWidthConverter_rtl", inShape=[1, n], outShape=[1, n], dataType=t,
            inWidth=i * DataType[t].bitwidth(), outWidth=o * DataType[t].bitwidth(),
        )
        for n, i, o, t in settings[:count]
    ]  # fmt: skip


MAKERS = {
    "maxpool2d": max_pools,
    "upsample": upsamplings,
    "concat": concats,
    "duplicate": duplicates,
    "width": width_converters,
}


def make_cases(kind: str) -> list[Case]:
    """The twenty or more cases of one operator, the same in every run."""
    rng = np.random.default_rng([20, *kind.encode()])
    return [Case(f"{kind}_{k}", op) for k, op in enumerate(MAKERS[kind](rng))]
