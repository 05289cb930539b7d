"""Operators of the kinds, sizes and folds that detectors have, drawn at random, to be synthesised."""

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
from onnx import helper
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.util.basic import qonnx_make_model

sys.path.insert(0, str(Path(__file__).parents[1]))
from hwprune.accel.fifo_storage import fifo_choices
from tests.accel.operators.cases import operator
from tests.accel.operators.sam_cases import make
from tests.sim.instances import divisor, instance

PRODUCTS = 120
"""Of a unit, at most."""


def _graph(op, constants=None) -> ModelWrapper:
    node = op.onnx_node
    streams = len(node.input) - len(constants or {})
    return instance(node, [None] * streams, [None] * len(node.output), constants).model


def _pick(rng: np.random.Generator, *values):
    return values[int(rng.integers(len(values)))]


def _lanes(rng: np.random.Generator, channels: int) -> int:
    """Of a narrow stream."""
    return _pick(rng, *[lanes for lanes in (1, 2, 4, 8) if channels % lanes == 0])


def _style(rng: np.random.Generator, words: int) -> str:
    """Of a ROM; nobody puts a few words into block RAM."""
    return _pick(rng, "auto", "block") if words >= 64 else "auto"


def _fold(rng: np.random.Generator, inputs: int, outputs: int) -> tuple[int, int]:
    """SIMD and PE."""
    while True:
        simd, pe = divisor(rng, inputs), divisor(rng, outputs)
        if 2 <= simd * pe <= PRODUCTS:
            return simd, pe


def mac(rng: np.random.Generator, name: str, core: str) -> ModelWrapper:
    """A matrix-vector unit; 8-bit factors now and then."""
    bits = 8 if core == "dsp" and rng.random() < 0.25 else 4
    mw, mh = (27, 8) if bits == 8 else (9 * _pick(rng, 4, 8, 16, 32), _pick(rng, 12, 16, 24, 48, 96))
    simd, pe = _fold(rng, mw, mh)
    high = 1 << bits - 1
    op = operator(
        "MVAU_rtl", inputs=2, name=name, MW=mw, MH=mh, SIMD=simd, PE=pe, inputDataType=f"UINT{bits}", noActivation=1,
        weightDataType=f"INT{bits}", outputDataType=f"INT{2 * bits + 7}", accDataType=f"INT{2 * bits + 7}", core=core,
        ram_style=_style(rng, mw * mh // simd // pe),
    )  # fmt: skip
    return _graph(op, {"i1": rng.integers(1 - high, high, (mw, mh))})


def mac_in_dsps(rng: np.random.Generator, name: str) -> ModelWrapper:
    """Products in DSP slices."""
    return mac(rng, name, "dsp")


def mac_in_luts(rng: np.random.Generator, name: str) -> ModelWrapper:
    """Products in LUTs."""
    return mac(rng, name, "lut")


def sam(rng: np.random.Generator, name: str) -> ModelWrapper:
    """A unit of SAM neurons: signed, groups of one with a floor, as the recipes have it."""
    mw, mh = 9 * _pick(rng, 4, 8, 16, 32), _pick(rng, 12, 16, 24, 48, 96)
    simd, pe = _fold(rng, mw, mh)
    form = {"form": "signed", "group": 1, "floor": 1, "shift": 2, "bits": 2}
    case = make(name, rng, mw=mw, mh=mh, simd=simd, pe=pe, ram_style=_style(rng, mw * mh // simd // pe), **form)
    constants = {"p": case.p, "n": case.n, "sign": case.sign}
    kept = {key: case.model.get_initializer(key) for key, value in constants.items() if value is not None}
    return _graph(case.op, kept)


def thresholds(rng: np.random.Generator, name: str) -> ModelWrapper:
    """15 steps of each channel."""
    channels, bits = _pick(rng, 8, 16, 32, 48, 96, 160), int(rng.integers(11, 20))
    steps = np.sort(rng.integers(-(1 << bits - 1), 1 << bits - 1, (channels, 15)), axis=1)
    lanes = _lanes(rng, channels)
    trigger = channels // lanes * _pick(rng, 4, 8, 16)  # words from which on a memory is block RAM
    op = operator("Thresholding_rtl", inputs=2, name=name, NumChannels=channels, PE=lanes, numSteps=15,
                  inputDataType=f"INT{bits}", weightDataType=f"INT{bits}", outputDataType="UINT4", ActVal=0,
                  numInputVectors=[1, 13, 13], depth_trigger_bram=trigger)  # fmt: skip
    return _graph(op, {"i1": steps})


def _map(rng: np.random.Generator) -> tuple[int, int]:
    """Pixels of a side, and channels."""
    side, channels = _pick(rng, (13, 160), (13, 96), (26, 96), (26, 48), (52, 48), (104, 32), (208, 16), (60, 24))
    return side, channels


def window(rng: np.random.Generator, name: str) -> ModelWrapper:
    """3x3 pixels, a few channels at a time or all at once."""
    side, channels = _map(rng)
    whole = channels <= 24 and rng.random() < 0.4
    simd = channels if whole else _lanes(rng, channels)
    stride = 1 if rng.random() < 0.8 else 2
    out = (side - 1) // stride + 1
    op = operator("ConvolutionInputGenerator_rtl", name=name, ConvKernelDim=[3, 3], IFMChannels=channels,
                  IFMDim=[side + 2] * 2, OFMDim=[out] * 2, SIMD=simd, Stride=[stride] * 2, Dilation=[1, 1], depthwise=0,
                  inputDataType="UINT4", outputDataType="UINT4", parallel_window=int(whole),
                  ram_style=_pick(rng, "distributed", "block"))  # fmt: skip
    return _graph(op)


def padding(rng: np.random.Generator, name: str) -> ModelWrapper:
    """A pixel on every side."""
    side, channels = _map(rng)
    op = operator("FMPadding_rtl", name=name, ImgDim=[side] * 2, Padding=[1] * 4, NumChannels=channels,
                  SIMD=_lanes(rng, channels), inputDataType="UINT4")  # fmt: skip
    return _graph(op)


def pool(rng: np.random.Generator, name: str) -> ModelWrapper:
    """2x2 pixels, in steps of one or two."""
    side, channels = _map(rng)
    stride = _pick(rng, 1, 2)
    op = operator("MaxPool2d_rtl", name=name, ifm_dim=[side] * 2, Channels=channels, kernel=2, stride=stride,
                  PE=_lanes(rng, channels), inputDataType="UINT4",
                  Padding=[0, 0, 1, 1] if stride == 1 else [0] * 4)  # fmt: skip
    return _graph(op)


def queue(rng: np.random.Generator, name: str) -> ModelWrapper:
    """A FIFO of one of the sizes that sizing takes."""
    lanes = _pick(rng, 1, 2, 4, 8, 9, 16, 24)
    size = _pick(rng, *[size for size in fifo_choices(4 * lanes) if size.depth <= 9000])
    shapes = {"folded_shape": [1, 13, 13, 4, lanes], "normal_shape": [1, 13, 13, 4 * lanes]}
    sizes = {"depth": int(size.depth), "ram_style": size.ram_style}
    return _graph(operator("StreamingFIFO_rtl", name=name, dataType="UINT4", **shapes, **sizes))


def width(rng: np.random.Generator, name: str) -> ModelWrapper:
    """A width converter, mostly by a whole factor."""
    few, factor = _pick(rng, 1, 2, 3, 4, 8), _pick(rng, 2, 3, 4, 6, 9)
    ends = [few, few * factor] if rng.random() < 0.75 else [2 * few, 3 * few]
    rng.shuffle(ends)
    shape = [1, 13, 13, ends[0] * ends[1]]
    op = operator("StreamingDataWidthConverter_rtl", name=name, inShape=shape, outShape=shape, inWidth=4 * ends[0],
                  outWidth=4 * ends[1], dataType="UINT4")  # fmt: skip
    return _graph(op)


def fork(rng: np.random.Generator, name: str) -> ModelWrapper:
    """Two copies of a stream."""
    shape = {"NumChannels": 96, "PE": _pick(rng, 1, 2, 4, 8, 16), "numInputVectors": [1, 13, 13]}
    return _graph(
        operator("DuplicateStreams_rtl", outputs=2, name=name, NumOutputStreams=2, inputDataType="UINT4", **shape)
    )


def join(rng: np.random.Generator, name: str) -> ModelWrapper:
    """Two streams beside each other."""
    shape = {"ChannelsPerStream": [48, 96], "SIMD": _pick(rng, 1, 2, 4, 8, 16), "numInputVectors": [1, 26, 26]}
    return _graph(operator("StreamingConcat_rtl", inputs=2, name=name, inputDataTypes=["UINT4"] * 2, **shape))


def upsample(rng: np.random.Generator, name: str) -> ModelWrapper:
    """Twice as large."""
    side = _pick(rng, 13, 20, 26)
    return _graph(operator("UpsampleNearestNeighbour_rtl", name=name, HI=side, WI=side, HO=2 * side, WO=2 * side,
                           NumChannels=48, SIMD=_pick(rng, 1, 2, 4, 8), inputDataType="UINT4"))  # fmt: skip


KINDS: dict[str, Callable[[np.random.Generator, str], ModelWrapper]] = {
    kind.__name__: kind
    for kind in (mac_in_dsps, mac_in_luts, sam, thresholds, window, padding, pool, queue, width, fork, join, upsample)
}


def draw(seed: int, counts: dict[str, int]) -> ModelWrapper:
    """So many of each kind, beside each other in one graph."""
    graphs = [
        KINDS[kind](np.random.default_rng([seed, list(KINDS).index(kind), number]), f"{kind}{number}").graph
        for kind, count in counts.items()
        for number in range(count)
    ]
    return ModelWrapper(qonnx_make_model(helper.make_graph(
        [node for graph in graphs for node in graph.node], "operators",
        [value for graph in graphs for value in graph.input], [value for graph in graphs for value in graph.output],
        [value for graph in graphs for value in graph.initializer],
    )))  # fmt: skip
