"""The networks that a recipe can name."""

from collections.abc import Callable, Mapping
from typing import Literal, NamedTuple

from hwprune.models.architecture import Architecture
from hwprune.models.ssd import ssd300, ssd300_widths, ssd512, ssd512_widths
from hwprune.models.vgg import vgg16, vgg16_widths, vgg19_bn, vgg19_widths
from hwprune.models.widths import chosen_widths
from hwprune.models.yolov3_tiny import STRIDES, yolov3_tiny, yolov3_tiny_widths


class Model(NamedTuple):
    """A network by name.

    Attributes
    ----------
    build
        ``build(classes, widths, image_size, **options) -> Architecture``; it raises `ValueError` with the way out where
        an argument does not fit.
    widths
        ``widths(**options)``: the published widths of all layers whose width is free, by name, in execution order.
    options
        Names of the ``options`` that `build` takes, some of them or none.
    width_options
        Those of them that `widths` takes, for they say which layers there are.
    head
        Kind of the head that reads the outputs.
    image_size
        Published (height, width) of the image in pixels.
    multiple
        Both sides of an image are a multiple of it.
    square
        The sides have one length.
    """

    build: Callable[..., Architecture]
    widths: Callable[..., dict[str, int]]
    options: frozenset[str]
    width_options: frozenset[str]
    head: Literal["yolo", "ssd", "classes"]
    image_size: tuple[int, int]
    multiple: int
    square: bool


def _yolov3_tiny(
    classes: int, widths: Mapping[str, int] | None, image_size: tuple[int, int], **options
) -> Architecture:
    chosen = chosen_widths("yolov3_tiny", yolov3_tiny_widths(), widths)
    return yolov3_tiny(classes, tuple(chosen.values()), **options)


def _ssd300(classes: int, widths: Mapping[str, int] | None, image_size: tuple[int, int], **options) -> Architecture:
    return ssd300(classes, widths, image_size=image_size, **options)


def _ssd512(classes: int, widths: Mapping[str, int] | None, image_size: tuple[int, int], **options) -> Architecture:
    return ssd512(classes, widths, image_size=image_size, **options)


def _vgg19_bn(classes: int, widths: Mapping[str, int] | None, image_size: tuple[int, int], **options) -> Architecture:
    if image_size != (32, 32):
        raise ValueError(f"vgg19_bn takes images of 32x32, not {image_size[0]}x{image_size[1]}; vgg16 takes others")
    return vgg19_bn(classes, widths, **options)


_NORM, _DETECTION, _CONNECTED = "norm", "detection_layers", "fully_connected"

CATALOGUE: Mapping[str, Model] = {
    "yolov3_tiny": Model(
        _yolov3_tiny, yolov3_tiny_widths, frozenset({"anchors_per_head", "activation"}), frozenset(), "yolo",
        (416, 416), max(STRIDES), False,
    ),
    "ssd300": Model(
        _ssd300, ssd300_widths, frozenset({_DETECTION, _NORM}), frozenset({_DETECTION}), "ssd", (300, 300), 1, False
    ),
    "ssd512": Model(
        _ssd512, ssd512_widths, frozenset({_DETECTION, _NORM}), frozenset({_DETECTION}), "ssd", (512, 512), 1, False
    ),
    "vgg16": Model(
        vgg16, vgg16_widths, frozenset({_CONNECTED, _NORM}), frozenset({_CONNECTED}), "classes", (224, 224), 1, True
    ),
    "vgg19_bn": Model(_vgg19_bn, vgg19_widths, frozenset(), frozenset(), "classes", (32, 32), 32, True),
}  # fmt: skip
"""Every network by the name that a recipe gives it."""
