"""What the raw outputs of an SSD mean: classes, and the default boxes of every detection layer.

SSD is Liu et al., "SSD: Single Shot MultiBox Detector", ECCV 2016. Where the authors' Caffe code departs from the paper
the published networks follow the code, and so does this: SSD300's centres lie at its round steps (32 pixels where the
map of 10 cells would give 30), and scales go by the sizes of its scripts.
"""

import math
from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, PositiveInt, model_validator

from hwprune.detect.anchors import checked_shapes
from hwprune.detect.head import Length

SSD300_VOC = (0.1, 0.2, 0.37, 0.54, 0.71, 0.88, 1.05)
SSD300_COCO = (0.07, 0.15, 0.33, 0.51, 0.69, 0.87, 1.05)
SSD512_VOC = (0.07, 0.15, 0.3, 0.45, 0.6, 0.75, 0.9, 1.05)
SSD512_COCO = (0.04, 0.1, 0.26, 0.42, 0.58, 0.74, 0.9, 1.06)
"""Scale of the boxes of each detection layer and of the one that would follow, in shares of the image's side."""

LEAST_SCALE, GREATEST_SCALE = 0.2, 0.9
"""Of equation 4: the scales of the second and of the last detection layer."""
RATIOS = (2.0, 3.0)
"""Aspect ratios; each has a wide and a tall box."""

# Side of the map of each detection layer, and pixels from one centre to the next.
_SSD300_CELLS, _SSD300_STEPS = (38, 19, 10, 5, 3, 1), (8.0, 16.0, 32.0, 64.0, 100.0, 300.0)
_SSD512_CELLS = (64, 32, 16, 8, 4, 2, 1)

Pair = tuple[Length, Length]


class SsdHead(BaseModel):
    """The reading of an SSD's outputs: for each detection layer offsets, then scores of background and classes.

    Attributes
    ----------
    classes
        Names of the classes, without the background; a label is an index into them.
    image_size
        (height, width) of the network's input in pixels.
    maps
        (rows, columns) of each detection layer.
    boxes
        For each detection layer, (width, height) of the default boxes of a cell in pixels, in the order of channels.
    steps
        For each detection layer, (vertical, horizontal) pixels from the centre of a cell to the next; the first centre
        is half a step from the image's corner.
    clip
        Cut the default boxes at the image's border. The published networks do not.
    variances
        Unit of the offsets of the centre (in sides of the default box), and of the logarithms of the sides.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    metric: ClassVar[str] = "map50"
    kind: Literal["ssd"] = "ssd"
    classes: Annotated[tuple[str, ...], Field(min_length=1)]
    image_size: tuple[PositiveInt, PositiveInt]
    maps: Annotated[tuple[tuple[PositiveInt, PositiveInt], ...], Field(min_length=1)]
    boxes: tuple[Annotated[tuple[Pair, ...], Field(min_length=1)], ...]
    steps: tuple[Pair, ...]
    clip: bool = False
    variances: Pair = (0.1, 0.2)

    @model_validator(mode="after")
    def _layers_agree(self):
        for name in ("boxes", "steps"):
            count = len(getattr(self, name))
            if count != len(self.maps):
                raise ValueError(f"{name} for {count} detection layers where there are {len(self.maps)} maps")
        return self

    def shapes(self) -> list[tuple[int, int, int]]:
        """(channels, rows, columns) of offsets1, classes1, offsets2, ...: 4 and classes + 1 channels a box."""
        return [
            (channels * len(boxes), *cells)
            for boxes, cells in zip(self.boxes, self.maps, strict=True)
            for channels in (4, len(self.classes) + 1)
        ]

    def check(self, shapes: Sequence[Sequence[int]]) -> None:
        """Raise `ValueError` unless raw outputs of these (N, channels, rows, columns) belong to this head."""
        if [tuple(shape[1:]) for shape in shapes] != self.shapes():
            raise ValueError(f"head outputs of shapes {[tuple(s) for s in shapes]} where (N, *) {self.shapes()} belong")


def ssd_head(
    shapes: Sequence[tuple[int, int, int]],
    classes: tuple[str, ...],
    image_size: tuple[int, int],
    scales: Sequence[float] | None = None,
) -> SsdHead:
    """The head of an SSD whose outputs have these shapes, with the published default boxes.

    Parameters
    ----------
    shapes
        (channels, rows, columns) of offsets1, classes1, offsets2, ..., as `Architecture.shapes` gives them. With 2, 4
        or 6 boxes a cell a detection layer has no aspect ratios beside 1, ratio 2, or ratios 2 and 3.
    classes
        Names, without the background.
    image_size
        (height, width) of the network's input in pixels.
    scales
        Of the boxes of each detection layer and, last, of the one that would follow, in shares of the image's shorter
        side; further ones are not used. By default the published ones, `SSD300_VOC` and `SSD512_VOC`, for the maps of
        these networks or the first of them, else `linear_scales`. The paper's others are `SSD300_COCO` and
        `SSD512_COCO`; `fitted_scales` suits a data set whose objects are of few sizes.

    Returns
    -------
    SsdHead

    Raises
    ------
    ValueError
        If the shapes are not those of an SSD for so many classes, or scales are missing.
    """
    maps = tuple(tuple(shape[1:]) for shape in shapes[::2])
    counts = [shape[0] // 4 for shape in shapes[::2]]
    if any(count not in (2, 4, 6) for count in counts):
        raise ValueError(f"{counts} default boxes a cell: SSD has 2, 4 or 6; channels of the offsets are 4 times that")
    cells, usual = _published(maps, image_size)
    if scales is None:
        scales = usual or linear_scales(len(maps))
    if len(scales) <= len(maps):
        raise ValueError(f"{len(scales)} scales for {len(maps)} detection layers: give one a layer, and the next")
    if cells == _SSD300_CELLS:
        steps = [(step, step) for step in _SSD300_STEPS[: len(maps)]]
    else:
        steps = [(image_size[0] / rows, image_size[1] / columns) for rows, columns in maps]
    sizes = [scale * min(image_size) for scale in scales]
    boxes = [layer_boxes(sizes[k], sizes[k + 1], RATIOS[: count // 2 - 1]) for k, count in enumerate(counts)]
    head = SsdHead(classes=classes, image_size=image_size, maps=maps, boxes=boxes, steps=steps)
    head.check([(1, *shape) for shape in shapes])
    return head


def fit_ssd_head(
    sizes: np.ndarray, shapes: Sequence[tuple[int, int, int]], classes: tuple[str, ...], image_size: tuple[int, int]
) -> SsdHead:
    """The head for training boxes of these (n, 2) widths and heights in pixels: the published default boxes for the
    maps of SSD300 and SSD512 or the first of them, else ones of `fitted_scales`. Other parameters and errors are those
    of `ssd_head` and `fitted_scales`.
    """
    maps = tuple(tuple(shape[1:]) for shape in shapes[::2])
    _, usual = _published(maps, image_size)
    return ssd_head(shapes, classes, image_size, usual or fitted_scales(sizes, len(maps), image_size))


def fitted_scales(sizes: np.ndarray, layers: int, image_size: tuple[int, int]) -> list[float]:
    """Scales of so many detection layers for training boxes of these sizes, and of the one that would follow.

    The boxes, in order of their area, are dealt out to the layers in equal numbers; each layer's scale is the median of
    its own, as the side of a square in shares of the image's shorter side. The last step is in proportion to the one
    before it, and the square root of 2 for a single layer.

    Parameters
    ----------
    sizes
        (n, 2) widths and heights of the training boxes in pixels, all positive.
    layers
        Number of detection layers.
    image_size
        (height, width) of the network's input in pixels.

    Raises
    ------
    UserError
        If there is no box to learn from, or one without area.
    """
    sides = np.sqrt(checked_shapes(sizes).prod(1)) / min(image_size)
    scales = np.quantile(sides, (np.arange(layers) + 0.5) / layers).tolist()
    growth = scales[-1] / scales[-2] if layers > 1 else math.sqrt(2)
    return [*scales, scales[-1] * growth]


def _published(
    maps: tuple[tuple[int, int], ...], image_size: tuple[int, int]
) -> tuple[tuple[int, ...], tuple[float, ...]]:
    """Sides of the maps, and scales, of the published network that has these maps, or first these; else nothing."""
    published = {(300, 300): (_SSD300_CELLS, SSD300_VOC), (512, 512): (_SSD512_CELLS, SSD512_VOC)}
    cells, scales = published.get(tuple(image_size), ((), ()))
    return (cells, scales) if maps == tuple((side, side) for side in cells[: len(maps)]) else ((), ())


def torchvision_head(classes: tuple[str, ...]) -> SsdHead:
    """The head of torchvision's ``ssd300_vgg16``: SSD300's for COCO, with no side longer than the image's."""
    shapes = [
        (channels * boxes, side, side)
        for side, boxes in zip(_SSD300_CELLS, (4, 6, 6, 6, 4, 4), strict=True)
        for channels in (4, len(classes) + 1)
    ]
    head = ssd_head(shapes, classes, (300, 300), SSD300_COCO)
    cut = [[(min(width, 300.0), min(height, 300.0)) for width, height in boxes] for boxes in head.boxes]
    return SsdHead(**{**head.model_dump(), "boxes": cut})


def linear_scales(layers: int) -> list[float]:
    """Scales of so many detection layers, and of the one that would follow, in shares of the image's side.

    The paper's equation 4 for all but the first layer, from `LEAST_SCALE` to `GREATEST_SCALE`; the first has half of
    the least (section 3.1, conv4_3).
    """
    step = (GREATEST_SCALE - LEAST_SCALE) / max(layers - 2, 1)
    return [LEAST_SCALE / 2, *(LEAST_SCALE + step * k for k in range(layers))]


def layer_boxes(size: float, following: float, ratios: Sequence[float]) -> list[tuple[float, float]]:
    """(width, height) of a cell's boxes (section 2.2): squares of this size and of the geometric mean with the
    following layer's, then for each ratio a wide and a tall one of the first square's area."""
    boxes = [(size, size), (math.sqrt(size * following),) * 2]
    for ratio in ratios:
        long, short = size * math.sqrt(ratio), size / math.sqrt(ratio)
        boxes += [(long, short), (short, long)]
    return boxes
