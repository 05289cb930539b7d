"""Networks to compile and simulate, with random weights: the hardware does not care."""

from dataclasses import dataclass

from hwprune.models.architecture import IMAGE, Architecture, Conv, Layer, MaxPool
from hwprune.models.ssd import ssd300, ssd300_widths
from hwprune.models.vgg import vgg16, vgg16_widths, vgg19_bn, vgg19_widths
from hwprune.models.yolov3_tiny import yolov3_tiny
from hwprune.sam.settings import Sam

SAM = Sam(form="signed", group=1, floor=True)
REFERENCE = (8, 16, 32, 48, 96, 160, 256, 96, 160, 48, 96)
"""Channels of tiny-YOLOv3 pruned to 0.87M parameters: the reference network at 416x416."""


@dataclass(frozen=True)
class Example:
    """A layer table, the (height, width) of its images, and the frames a second that it is folded for at 100 MHz."""

    table: Architecture
    size: tuple[int, int]
    fps: float


def _conv(name: str, source: str, channels: int, kernel: int = 3, **more) -> Conv:
    more = {"activation": "relu", "padding": kernel // 2} | more
    return Conv(name=name, inputs=(source,), out_channels=channels, kernel=kernel, **more)


def _head(name: str, source: str, channels: int) -> Conv:
    return _conv(name, source, channels, norm=False, activation="linear")


def ssd_like() -> Architecture:
    """Four scales, each with a head of offsets and one of classes; the last scales by strides."""
    layers: list[Layer] = []
    before, heads = IMAGE, []
    for scale, width in enumerate((8, 16, 24)):
        layers += [_conv(f"conv{scale}a", before, width), _conv(f"conv{scale}b", f"conv{scale}a", width)]
        before = f"conv{scale}b"
        if scale:
            heads += [(f"offsets{scale}", before, 16), (f"classes{scale}", before, 12)]
        layers.append(MaxPool(name=f"pool{scale}", inputs=(before,)))
        before = f"pool{scale}"
    for scale in (3, 4):
        layers += [
            _conv(f"extra{scale}a", before, 12, kernel=1),
            _conv(f"extra{scale}b", f"extra{scale}a", 24, stride=2),
        ]
        before = f"extra{scale}b"
        heads += [(f"offsets{scale}", before, 16), (f"classes{scale}", before, 12)]
    layers += [_head(*head) for head in heads]
    return Architecture(name="ssd_like", layers=tuple(layers), heads=tuple(name for name, _, _ in heads))


def vgg_like(widths: tuple[tuple[int, ...], ...] = ((8, 8), (16, 16), (24, 24, 24), (32, 32, 32))) -> Architecture:
    """Blocks of 3x3 layers between pools, and a classifier of 1x1 layers."""
    layers: list[Layer] = []
    before = IMAGE
    for block, channels in enumerate(widths):
        for i, width in enumerate(channels):
            layers.append(_conv(f"conv{block}_{i}", before, width))
            before = f"conv{block}_{i}"
        layers.append(MaxPool(name=f"pool{block}", inputs=(before,)))
        before = f"pool{block}"
    layers += [_conv("hidden", before, 32, kernel=1), _conv("classes", "hidden", 10, kernel=1, norm=False,
                                                            activation="linear")]  # fmt: skip
    return Architecture(name="vgg_like", layers=tuple(layers), heads=("classes",))


def small_ssd300() -> Example:
    """SSD300 with its true layers and six detection layers, all narrow; smaller images would lose the last map."""
    widths = {name: max(4, width // 64) for name, width in ssd300_widths().items()}
    return Example(ssd300(2, widths, image_size=(264, 264)), (264, 264), 400)


def small_vgg16() -> Example:
    """VGG16 with its true layers, narrow, and fully connected layers over a map of 2x2."""
    widths = {name: max(4, width // 32) for name, width in vgg16_widths(()).items()}
    return Example(vgg16(10, widths, (64, 64), fully_connected=(12, 12)), (64, 64), 1000)


def small_vgg19_bn() -> Example:
    """VGG19 with batch norm and its true layers, narrow."""
    return Example(vgg19_bn(10, {name: max(4, width // 32) for name, width in vgg19_widths().items()}), (32, 32), 2000)


def mixed() -> Architecture:
    """Tiny-YOLOv3's topology with SAM neurons in every second inner layer."""
    table = yolov3_tiny(3, (8, 8, 16, 16, 24, 24, 32, 16, 24, 8, 16), activation="relu")
    inner = [layer.name for layer in table.layers if layer.op == "conv" and layer.norm][2::2]
    return table.with_neurons(dict.fromkeys(inner, SAM))


def examples() -> dict[str, Example]:
    """Small ones of many kinds."""
    return {
        "quickstart": Example(
            yolov3_tiny(10, (8, 16, 24, 32, 48, 64, 96, 48, 64, 24, 48), activation="leaky"), (96, 96), 1500
        ),
        "ssd_like": Example(ssd_like(), (64, 64), 2000),
        "vgg_like": Example(vgg_like(), (32, 32), 2000),
        "mixed": Example(mixed(), (64, 96), 2000),
        "ssd300": small_ssd300(),
        "vgg16": small_vgg16(),
        "vgg19_bn": small_vgg19_bn(),
    }


def reference() -> Example:
    """Tiny-YOLOv3 at 416x416, one class."""
    return Example(yolov3_tiny(1, REFERENCE, activation="relu"), (416, 416), 100)
