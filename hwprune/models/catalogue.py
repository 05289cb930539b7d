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


CATALOGUE: Mapping[str, Model] = {
    "yolov3_tiny": Model(
        build=_yolov3_tiny,
        widths=yolov3_tiny_widths,
        options=frozenset({"anchors_per_head", "activation"}),
        width_options=frozenset(),
        head="yolo",
        image_size=(416, 416),
        multiple=max(STRIDES),
        square=False,
    ),
    "ssd300": Model(
        build=_ssd300,
        widths=ssd300_widths,
        options=frozenset({"detection_layers", "boxes", "norm"}),
        width_options=frozenset({"detection_layers"}),
        head="ssd",
        image_size=(300, 300),
        multiple=1,
        square=False,
    ),
    "ssd512": Model(
        build=_ssd512,
        widths=ssd512_widths,
        options=frozenset({"detection_layers", "boxes", "norm"}),
        width_options=frozenset({"detection_layers"}),
        head="ssd",
        image_size=(512, 512),
        multiple=1,
        square=False,
    ),
    "vgg16": Model(
        build=vgg16,
        widths=vgg16_widths,
        options=frozenset({"fully_connected", "norm"}),
        width_options=frozenset({"fully_connected"}),
        head="classes",
        image_size=(224, 224),
        multiple=1,
        square=True,
    ),
    "vgg19_bn": Model(
        build=_vgg19_bn,
        widths=vgg19_widths,
        options=frozenset(),
        width_options=frozenset(),
        head="classes",
        image_size=(32, 32),
        multiple=32,
        square=True,
    ),
}
"""Every network by the name that a recipe gives it."""
