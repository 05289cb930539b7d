"""SSD on VGG16 (Liu et al., "SSD: Single Shot MultiBox Detector", ECCV 2016): SSD300, SSD512 and smaller ones.

The layers are those of the authors' Caffe networks for PASCAL VOC. VGG16 gives conv1_1 to conv5_3; its fully connected
layers 6 and 7 are the convolutions conv6 (dilated) and conv7; every further stage is a convolution of 1x1 and one that
shrinks the map. A detection layer reads one map by two convolutions of 3x3, ``offsets{k}`` and ``classes{k}``.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from hwprune.models.architecture import Architecture, Conv, L2Norm, MaxPool
from hwprune.models.vgg import VGG16_BLOCKS, relu_conv, trunk_layers, trunk_widths
from hwprune.models.widths import chosen_widths


class _Stage(NamedTuple):
    """Two convolutions behind conv7: 1x1, then one of these settings."""

    widths: tuple[int, int]
    kernel: int
    stride: int
    padding: int


class _Variant(NamedTuple):
    stages: tuple[_Stage, ...]  # conv8, conv9, ...
    boxes: tuple[int, ...]  # a cell, for each detection layer


_HALVING = (_Stage((256, 512), 3, 2, 1), _Stage((128, 256), 3, 2, 1))
_SSD300 = _Variant((*_HALVING, *2 * (_Stage((128, 256), 3, 1, 0),)), (4, 6, 6, 6, 4, 4))
_SSD512 = _Variant((*_HALVING, *2 * (_Stage((128, 256), 3, 2, 1),), _Stage((128, 256), 4, 1, 1)), (4, 6, 6, 6, 6, 4, 4))


def ssd300(
    classes: int,
    widths: Mapping[str, int] | None = None,
    detection_layers: int = 6,
    *,
    image_size: tuple[int, int] = (300, 300),
    boxes: Sequence[int] | None = None,
    norm: bool = False,
    in_channels: int = 3,
) -> Architecture:
    """The layer table of SSD300: 23 convolutions and six detection layers.

    Parameters
    ----------
    classes
        Number of classes, without the background: the paper's networks for VOC have 20 here.
    widths
        Channels of layers other than the paper's, by name (``{"conv4_3": 331}``).
    detection_layers
        1 to 6. What only later ones need is not in the table: one detection layer ends it with conv4_3.
    image_size
        (height, width) of the image in pixels. Pools round up, as Caffe's do, so any size serves whose last map does
        not vanish; a small image takes fewer detection layers.
    boxes
        Boxes a cell for each detection layer; the paper's are 4, 6, 6, 6, 4, 4.
    norm
        Batch norm in place of the biases, in all layers but the heads': the paper's network has none, but network
        slimming needs its scales.
    in_channels
        Channels of the image.

    Returns
    -------
    Architecture
        Its heads are offsets1, classes1, offsets2, classes2, ...: for a map of (h, w) with b boxes a cell,
        (N, 4 b, h, w) offsets (dx, dy, dw, dh) and (N, (classes + 1) b, h, w) scores, background first; all channels
        of a box stand together.

    Raises
    ------
    ValueError
        If a width names no layer, the number of detection layers is none of 1 to 6, or a map vanishes.
    """
    return _ssd("ssd300", _SSD300, classes, widths, detection_layers, image_size, boxes, norm, in_channels)


def ssd512(
    classes: int,
    widths: Mapping[str, int] | None = None,
    detection_layers: int = 7,
    *,
    image_size: tuple[int, int] = (512, 512),
    boxes: Sequence[int] | None = None,
    norm: bool = False,
    in_channels: int = 3,
) -> Architecture:
    """The layer table of SSD512: 25 convolutions, the last of 4x4, and seven detection layers of 4, 6, 6, 6,
    6, 4, 4 boxes a cell; else as `ssd300`."""
    return _ssd("ssd512", _SSD512, classes, widths, detection_layers, image_size, boxes, norm, in_channels)


def ssd300_widths(detection_layers: int = 6) -> dict[str, int]:
    """Channels of SSD300's convolutions by name, heads left out, as far as the last detection layer needs them."""
    return _usual_widths("ssd300", _SSD300, detection_layers)


def ssd512_widths(detection_layers: int = 7) -> dict[str, int]:
    """Channels of SSD512's convolutions by name, heads left out, as far as the last detection layer needs them."""
    return _usual_widths("ssd512", _SSD512, detection_layers)


def sources(architecture: Architecture) -> list[str]:
    """The layers that the detection layers of an SSD read, in order."""
    return [architecture[head].input for head in architecture.heads[::2]]


def _ssd(
    name: str,
    variant: _Variant,
    classes: int,
    widths: Mapping[str, int] | None,
    detection_layers: int,
    image_size: tuple[int, int],
    boxes: Sequence[int] | None,
    norm: bool,
    in_channels: int,
) -> Architecture:
    if classes < 1:
        raise ValueError(f"{name} takes one class or more beside the background, not {classes}")
    widths = chosen_widths(name, _usual_widths(name, variant, detection_layers), widths)
    boxes = variant.boxes[:detection_layers] if boxes is None else tuple(boxes)
    if len(boxes) != detection_layers or min(boxes) < 1:
        raise ValueError(
            f"{name}: boxes {boxes} for {detection_layers} detection layers; give one number or more to each"
        )
    trunk = list(trunk_layers(widths, image_size, norm=norm, ceil=True))
    # norm4_3 stands beside the trunk, behind conv4_3.
    split = next(i for i, layer in enumerate(trunk) if layer.name == "conv4_3") + 1
    layers = [*trunk[:split], L2Norm(name="norm4_3", inputs=("conv4_3",))]
    layers += _heads(1, "norm4_3", boxes[0], classes)
    layers += trunk[split:]
    if detection_layers > 1:
        layers += [
            MaxPool(name="pool5", inputs=("conv5_3",), kernel=3, stride=1, pad=(1, 1, 1, 1)),
            relu_conv("conv6", "pool5", widths, norm=norm, dilation=6, padding=6),
            relu_conv("conv7", "conv6", widths, norm=norm, kernel=1),
            *_heads(2, "conv7", boxes[1], classes),
        ]
    source = "conv7"
    for k, stage in enumerate(variant.stages[: max(0, detection_layers - 2)], start=3):
        squeeze, shrink = f"conv{k + 5}_1", f"conv{k + 5}_2"
        layers += [
            relu_conv(squeeze, source, widths, norm=norm, kernel=1),
            relu_conv(shrink, squeeze, widths, norm=norm, kernel=stage.kernel, stride=stage.stride,
                      padding=stage.padding),
            *_heads(k, shrink, boxes[k - 1], classes),
        ]  # fmt: skip
        source = shrink
    heads = tuple(f"{kind}{k}" for k in range(1, detection_layers + 1) for kind in ("offsets", "classes"))
    architecture = Architecture(name=name, in_channels=in_channels, layers=tuple(layers), heads=heads)
    try:
        architecture.shapes(*image_size)
    except ValueError as error:
        way_out = f"take a larger image or fewer than {detection_layers} detection layers"
        raise ValueError(f"{name}: {error}; {way_out}") from error
    return architecture


def _heads(k: int, source: str, boxes: int, classes: int) -> list[Conv]:
    return [
        Conv(name=f"{kind}{k}", inputs=(source,), out_channels=boxes * channels, kernel=3, padding=1, norm=False,
             activation="linear")
        for kind, channels in (("offsets", 4), ("classes", classes + 1))
    ]  # fmt: skip


def _usual_widths(name: str, variant: _Variant, detection_layers: int) -> dict[str, int]:
    most = len(variant.boxes)
    if not 1 <= detection_layers <= most:
        raise ValueError(f"{name} has 1 to {most} detection layers, not {detection_layers}")
    widths = trunk_widths(VGG16_BLOCKS[: 4 if detection_layers == 1 else 5])
    if detection_layers > 1:
        widths |= {"conv6": 1024, "conv7": 1024}
    for number, stage in enumerate(variant.stages[: max(0, detection_layers - 2)], start=8):
        widths |= {f"conv{number}_{i}": width for i, width in enumerate(stage.widths, 1)}
    return widths
