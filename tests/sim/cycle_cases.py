"""Random instances of each operator that the cycle model is compared with the RTL on, and FIFOs around them."""

from collections.abc import Sequence
from functools import partial

import numpy as np

from hwprune.accel import operators
from hwprune.accel.windows import WindowShape
from tests.accel.operators.cases import MAKERS, Case, golden, operator
from tests.accel.operators.sam_cases import FIXED, make, random_settings
from tests.sim.instances import (
    FRAMES,
    Instance,
    divisor,
    instance,
    integers,
    mvau,
    padding,
    sam_instance,
    thresholding,
    width,
    window,
)


def depths(rng: np.random.Generator, instances: Sequence[Instance]) -> dict[str, int]:
    """For each node the depth of its FIFOs: mostly 2 to 40 beats, some in block RAM, and for a third of them none."""
    made = {}
    for one in instances:
        (node,) = one.model.graph.node
        if node.op_type == "StreamingFIFO_rtl":
            continue
        kind = rng.random()
        if kind < 0.6:
            made[node.name] = int(rng.integers(2, 41))
        elif kind < 0.67:
            made[node.name] = int(rng.integers(301, 600))
    return made


# MVAU_rtl


MVAU_SHAPES = (
    # MW, MH, SIMD, PE: a sum in every cycle; one beat a vector, replayed; one fold, of one input a beat and of several.
    (3, 2, 3, 2),
    (17, 4, 17, 1),
    (5, 2, 1, 2),
    (8, 1, 4, 1),
    # Two, three, four and five beats in rings of two, four, four and eight words.
    (2, 3, 1, 1),
    (12, 4, 4, 2),
    (8, 2, 2, 1),
    (15, 6, 3, 2),
    # A deep pipeline.
    (33, 2, 33, 1),
)


def mvau_cases(rng: np.random.Generator, count: int) -> list[Instance]:
    """Chosen folds first, then any."""
    shapes = [*MVAU_SHAPES, *[None] * count][:count]
    cores = [[None, "dsp", "finn", "dsp", "lut"][k % 5] for k in range(count)]
    return [mvau(rng, f"mvau_{k}", 20, shape, core) for k, (shape, core) in enumerate(zip(shapes, cores, strict=True))]


# SAMVAU_rtl


def samvau_cases(rng: np.random.Generator, count: int) -> list[Instance]:
    """All forms and folds, groups within a beat and over several, ROMs in block RAM and not: chosen ones first."""
    operators.register()
    settings = [*FIXED, *(random_settings(rng) for _ in range(count - len(FIXED)))][:count]
    made = [make(f"samvau_{k}", rng, vectors=int(rng.integers(1, 21)), **one) for k, one in enumerate(settings)]
    return [sam_instance(case, rng) for case in made]


# Thresholding_rtl


def thresholding_cases(rng: np.random.Generator, count: int) -> list[Instance]:
    """1 to 15 thresholds in deep and in shallow pipelines; from less than what fits into one to several times that."""
    return [thresholding(rng, f"thresholding_{k}", most_vectors=40) for k in range(count)]


# MaxPool2d_rtl, UpsampleNearestNeighbour_rtl, StreamingConcat_rtl, DuplicateStreams_rtl


def own_cases(kind: str, rng: np.random.Generator, count: int) -> list[Instance]:
    """Of an operator of ours: chosen shapes first."""
    made = []
    for k, op in enumerate(MAKERS[kind](rng, count)):
        op.onnx_node.name = f"{kind}_{k}"
        arrays = Case(op.onnx_node.name, op).data(rng, FRAMES)
        made.append(instance(op.onnx_node, arrays, golden(op, arrays)))
    return made


# ConvolutionInputGenerator_rtl

WINDOW_SHAPES = (
    # kernel, stride, dilation, (height, width), channels, SIMD, parallel_window: as in networks, in both styles
    ([3, 3], [1, 1], [1, 1], [6, 7], 4, 2, 0),
    ([3, 3], [1, 1], [1, 1], [6, 7], 4, 4, 1),
    ([3, 3], [2, 2], [1, 1], [7, 8], 3, 3, 0),
    ([3, 3], [2, 2], [1, 1], [8, 7], 3, 3, 1),
    ([1, 1], [2, 2], [1, 1], [6, 7], 6, 2, 0),
    ([1, 1], [1, 1], [1, 1], [3, 2], 4, 1, 0),
    ([3, 3], [1, 1], [6, 6], [14, 15], 4, 2, 0),
    ([3, 3], [1, 1], [6, 6], [14, 14], 2, 2, 0),
    ([3, 3], [1, 1], [6, 6], [14, 15], 2, 2, 1),
    # The whole map, of a fully connected layer.
    ([3, 3], [1, 1], [1, 1], [3, 3], 6, 3, 0),
    ([2, 2], [1, 1], [1, 1], [2, 2], 4, 4, 0),
    ([2, 2], [2, 2], [1, 1], [2, 2], 4, 1, 0),
    # One window; one a row; rows and columns between the windows and behind the last one that nobody needs.
    ([2, 3], [1, 1], [1, 1], [2, 3], 2, 1, 0),
    ([3, 2], [1, 1], [1, 1], [5, 2], 2, 2, 0),
    ([3, 2], [3, 4], [1, 1], [11, 13], 2, 1, 0),
    ([2, 2], [4, 3], [1, 1], [9, 10], 2, 2, 1),
    ([2, 3], [2, 1], [3, 2], [9, 7], 3, 1, 0),
    ([3, 2], [2, 3], [2, 3], [8, 9], 2, 2, 1),
    # The buffer holds more than a window: strides beyond what a window's beats leave time for.
    ([1, 2], [4, 4], [1, 1], [8, 10], 3, 1, 0),
    ([1, 2], [1, 5], [1, 1], [3, 13], 2, 1, 0),
    ([2, 1], [5, 4], [1, 1], [12, 9], 2, 2, 0),
    # Rows; columns; frames of three beats.
    ([1, 4], [1, 1], [1, 1], [1, 9], 4, 2, 0),
    ([4, 1], [2, 1], [1, 1], [9, 1], 2, 2, 1),
    ([1, 2], [1, 1], [1, 1], [1, 3], 2, 2, 0),
    ([1, 3], [1, 1], [1, 2], [1, 9], 2, 1, 0),
    ([1, 1], [1, 1], [1, 1], [1, 1], 3, 1, 0),
)


def window_cases(rng: np.random.Generator, count: int) -> list[Instance]:
    """Chosen shapes first, then any of those that work in FINN; both styles."""
    shapes = [*WINDOW_SHAPES[:count]]
    while len(shapes) < count:
        kernel, stride = [int(v) for v in rng.integers(1, 6, 2)], [int(v) for v in rng.integers(1, 5, 2)]
        dilation = [1, 1] if rng.random() < 0.5 else [int(v) for v in rng.integers(1, 4, 2)]
        reach = [d * (k - 1) + 1 for k, d in zip(kernel, dilation, strict=True)]
        size = [max(r, s) + int(rng.integers(0, 8)) for r, s in zip(reach, stride, strict=True)]
        channels, parallel = int(rng.integers(1, 7)), int(rng.random() < 0.4)
        simd = channels if parallel and kernel != [1, 1] else divisor(rng, channels)
        shape = kernel, stride, dilation, size, channels, simd, parallel
        if works(shape):
            shapes.append(shape)
    return [window(rng, f"window_{k}", shape) for k, shape in enumerate(shapes)]


def works(shape) -> bool:
    """Whether FINN makes a window that gives the right values: not of all shapes."""
    kernel, *_, parallel = shape
    window = WindowShape(*map(tuple, shape[:4]))
    if parallel and kernel != [1, 1]:
        return not window.trouble and window.works_whole
    return not window.trouble and (min(kernel) > 1 or np.prod(window.windows) > 2 or max(kernel) > 2)


# StreamingDataWidthConverter_rtl

WIDTH_SHAPES = (
    # bits, elements a pixel, elements of an input beat and of an output beat, pixels: 16 to 36 bits, and back
    (4, 36, 4, 9, 4),
    (4, 36, 9, 4, 4),
    (1, 12, 12, 1, 6),
    (1, 12, 1, 12, 6),
    (1, 6, 2, 1, 6),
    (1, 6, 1, 2, 6),
    (8, 6, 1, 6, 8),
    (8, 6, 6, 1, 8),
    (3, 12, 4, 3, 9),
    (3, 12, 3, 4, 9),
    (2, 120, 8, 10, 3),
)


def width_cases(rng: np.random.Generator, count: int) -> list[Instance]:
    """Chosen widths first, then any: by whole factors and not, to and from a bit."""
    shapes = [*WIDTH_SHAPES[:count]]
    while len(shapes) < count:
        bits, channels, pixels = int(rng.integers(1, 7)), int(rng.choice([6, 12, 20, 30, 36])), int(rng.integers(1, 13))
        lanes = divisor(rng, channels), divisor(rng, channels)
        if lanes[0] != lanes[1]:
            shapes.append((bits, channels, *lanes, pixels))
    return [width(rng, f"width_{k}", shape) for k, shape in enumerate(shapes)]


# FMPadding_rtl


def padding_cases(rng: np.random.Generator, count: int) -> list[Instance]:
    """Borders of no, one or two pixels on each side."""
    return [padding(rng, f"padding_{k}") for k in range(count)]


# StreamingFIFO_rtl


def fifo_cases(rng: np.random.Generator, count: int) -> list[Instance]:
    """FIFOs between the ports: shift registers, LUT-RAM and block RAM of one and of two address spaces, all filled."""
    return [fifo(rng, f"queue_{k}", STYLES[k % len(STYLES)]) for k in range(count)]


STYLES = (("auto", 2, 34), ("auto", 34, 258), ("distributed", 34, 300), ("block", 34, 514), ("block", 514, 800))
"""FINN's ram_style, and from which depth to which."""


def fifo(rng: np.random.Generator, name: str, kind: tuple[str, int, int]) -> Instance:
    style, low, high = kind
    depth, bits = int(rng.integers(low, high)), int(rng.integers(1, 20))
    rows, wide = int(rng.integers(1, 4)), depth + int(rng.integers(1, 50))
    values = integers(rng, f"UINT{bits}", (FRAMES, 1, rows, wide))
    node = operator("StreamingFIFO_rtl", name=name, depth=depth, ram_style=style, folded_shape=[1, rows, wide, 1],
                    normal_shape=[1, rows, wide], dataType=f"UINT{bits}").onnx_node  # fmt: skip
    return instance(node, [values], [values])


CASES = {
    "StreamingFIFO_rtl": fifo_cases,
    "FMPadding_rtl": padding_cases,
    "MVAU_rtl": mvau_cases,
    "SAMVAU_rtl": samvau_cases,
    "Thresholding_rtl": thresholding_cases,
    "MaxPool2d_rtl": partial(own_cases, "maxpool2d"),
    "UpsampleNearestNeighbour_rtl": partial(own_cases, "upsample"),
    "StreamingConcat_rtl": partial(own_cases, "concat"),
    "DuplicateStreams_rtl": partial(own_cases, "duplicate"),
    "ConvolutionInputGenerator_rtl": window_cases,
    "StreamingDataWidthConverter_rtl": width_cases,
}
"""FINN's name of an operator, and what makes so many instances of it."""
