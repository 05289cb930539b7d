"""Small designs without sources: operators in a chain, with FIFOs between some; the cycle model needs no more."""

import itertools
import math
from collections.abc import Sequence
from pathlib import Path

from hwprune.accel.design import Design, Fifo, Operator, Stream


def padding(name: str, size: int, border: int = 1, channels: int = 1, simd: int = 1, bottom: int = 0) -> dict:
    """A zero border around (size, size) pixels, and ``bottom`` more rows below."""
    high, wide = size + 2 * border + bottom, size + 2 * border
    return {
        "operator": ("FMPadding_rtl", name, {"ImgDim": (size, size), "NumChannels": channels, "SIMD": simd,
                                             "Padding": (border, border, border + bottom, border)}),
        "streams": ((1, size, size, channels // simd, simd), (1, high, wide, channels // simd, simd)),
    }  # fmt: skip


def unit(name: str, vectors: int, mw: int, mh: int, simd: int = 1, pe: int = 1) -> dict:
    """A matrix-vector unit over so many vectors."""
    return {
        "operator": ("MVAU_rtl", name, {"MW": mw, "MH": mh, "SIMD": simd, "PE": pe}),
        "streams": ((1, vectors, mw // simd, simd), (1, vectors, mh // pe, pe)),
    }


def sam(name: str, vectors: int, mw: int, mh: int, simd: int = 1, pe: int = 1) -> dict:
    """A unit of SAM neurons over so many vectors."""
    return {
        "operator": ("SAMVAU_rtl", name, {"MW": mw, "MH": mh, "SIMD": simd, "PE": pe, "group": 1, "form": "signed",
                                          "ram_style": "distributed"}),
        "streams": ((1, vectors, mw // simd, simd), (1, vectors, mh // pe, pe)),
    }  # fmt: skip


def thresholds(name: str, beats: int, steps: int = 3) -> dict:
    """A search among so many thresholds."""
    return {"operator": ("Thresholding_rtl", name, {"numSteps": steps}), "streams": ((1, beats, 1), (1, beats, 1))}


def window(name: str, size: int, kernel: int = 3, stride: int = 1, channels: int = 1, simd: int = 1) -> dict:
    """Square windows over (size, size) pixels."""
    made = (size - kernel) // stride + 1
    return {
        "operator": ("ConvolutionInputGenerator_rtl", name, {
            "ConvKernelDim": (kernel, kernel), "IFMDim": (size, size), "OFMDim": (made, made), "SIMD": simd,
            "Stride": (stride, stride), "Dilation": (1, 1), "IFMChannels": channels}),
        "streams": ((1, size, size, channels // simd, simd), (1, made, made, kernel**2 * channels // simd, simd)),
    }  # fmt: skip


def pool(name: str, size: int, stride: int = 2) -> dict:
    """A max-pool of 2x2 over (size, size) pixels of one channel."""
    return {
        "operator": ("MaxPool2d_rtl", name, {"ifm_dim": (size, size), "Channels": 1, "PE": 1, "kernel": 2,
                                             "stride": stride, "Padding": (0, 0, 2 - stride, 2 - stride)}),
        "streams": ((1, size, size, 1, 1), (1, size // stride, size // stride, 1, 1)),
    }  # fmt: skip


def upsampling(name: str, size: int, factor: int = 2) -> dict:
    """From (size, size) pixels of one channel."""
    made = factor * size
    return {
        "operator": ("UpsampleNearestNeighbour_rtl", name, {"HI": size, "WI": size, "HO": made, "WO": made,
                                                            "NumChannels": 1, "SIMD": 1}),
        "streams": ((1, size, size, 1, 1), (1, made, made, 1, 1)),
    }  # fmt: skip


def converter(name: str, beats: int, lanes: int, made: int) -> dict:
    """From ``beats`` beats of so many bytes to beats of ``made``."""
    return {
        "operator": ("StreamingDataWidthConverter_rtl", name, {"inWidth": 8 * lanes, "outWidth": 8 * made}),
        "streams": ((1, beats, lanes), (1, beats * lanes // made, made)),
    }


def chain(*members: dict | int) -> Design:
    """Members in a row; a number between two of them is a FIFO of that depth."""
    streams, fifos, operators = [], [], []
    ends = [member["streams"] for member in members if isinstance(member, dict)]
    for before, behind in itertools.pairwise(ends):
        assert math.prod(before[1]) == math.prod(behind[0]) and before[1][-1] == behind[0][-1], "streams do not fit"
    names = [_name(member, place) for place, member in enumerate(members)]
    inputs = ["in0_V", *names[:-1]]
    seen = 0
    for place, member in enumerate(members):
        shape = ends[seen][0] if isinstance(member, dict) else ends[seen - 1][1]
        streams.append(_stream(inputs[place], shape, names[place - 1] if place else None, names[place]))
        output = "out0_V" if place == len(members) - 1 else names[place]
        if isinstance(member, dict):
            op_type, name, attributes = member["operator"]
            seen += 1
        else:
            op_type, name, attributes = "StreamingFIFO_rtl", names[place], {"depth": member, "ram_style": "auto"}
            fifos.append(Fifo(name=name, depth=member, source=inputs[place], sink=output))
        operators.append(
            Operator(name=name, op_type=op_type, inputs=(inputs[place],), outputs=(output,), attributes=attributes)
        )
    streams.append(_stream("out0_V", ends[-1][1], names[-1], None))
    return Design(folder=Path(), top="top", files=(), streams=tuple(streams), fifos=tuple(fifos),
                  operators=tuple(operators))  # fmt: skip


def _name(member: dict | int, place: int) -> str:
    return member["operator"][1] if isinstance(member, dict) else f"fifo{place}"


def _stream(name: str, folded: Sequence[int], producer: str | None, consumer: str | None) -> Stream:
    role = "input" if producer is None else "output" if consumer is None else "inner"
    return Stream(name=name, role=role, tensor=name, producer=producer, consumer=consumer, datatype="INT8",
                  normal_shape=(*folded[:-2], folded[-2] * folded[-1]), folded_shape=tuple(folded),
                  bits=8 * folded[-1])  # fmt: skip
