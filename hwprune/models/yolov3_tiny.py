"""tiny-YOLOv3 (Redmon and Farhadi, "YOLOv3: An Incremental Improvement", 2018; darknet's yolov3-tiny.cfg)."""

from collections.abc import Sequence
from typing import Literal

from hwprune.models.architecture import IMAGE, Architecture, Concat, Conv, MaxPool, Upsample

WIDTHS = (16, 32, 64, 128, 256, 512, 1024, 256, 512, 128, 256)
"""Widths of the eleven convolutions that are not heads: conv1 to conv9, conv11, conv12."""
STRIDES = (32, 16)
"""Pixels of the image per cell, one for each head."""
_WIDTH_NAMES = (*(f"conv{i}" for i in range(1, 10)), "conv11", "conv12")


def yolov3_tiny_widths() -> dict[str, int]:
    """Channels of tiny-YOLOv3's convolutions by name, heads left out."""
    return dict(zip(_WIDTH_NAMES, WIDTHS, strict=True))


def yolov3_tiny(
    classes: int,
    widths: Sequence[int] = WIDTHS,
    anchors_per_head: int = 3,
    activation: Literal["leaky", "relu"] = "leaky",
    in_channels: int = 3,
) -> Architecture:
    """The layer table of tiny-YOLOv3: 13 convolutions, six max-pools, two heads (stride 32, then 16).

    Parameters
    ----------
    classes
        Number of classes; a head has ``anchors_per_head * (5 + classes)`` channels.
    widths
        Channels of conv1 to conv9, conv11 and conv12.
    anchors_per_head
        Boxes per cell.
    activation
        After every convolution but the heads'.
    in_channels
        Channels of the image.
    """
    if len(widths) != len(WIDTHS):
        raise ValueError(f"tiny-YOLOv3 takes {len(WIDTHS)} widths (conv1 to conv9, conv11, conv12), not {len(widths)}")
    outputs = anchors_per_head * (5 + classes)

    def conv(index: int, source: str, width: int, kernel: int) -> Conv:
        return Conv(name=f"conv{index}", inputs=(source,), out_channels=width, kernel=kernel, padding=kernel // 2,
                    activation=activation)  # fmt: skip

    def head(index: int, source: str) -> Conv:
        return Conv(name=f"conv{index}", inputs=(source,), out_channels=outputs, kernel=1, norm=False,
                    activation="linear")  # fmt: skip

    layers, source = [], IMAGE
    for i, width in enumerate(widths[:6], start=1):
        layers.append(conv(i, source, width, 3))
        # The sixth pool keeps the size: stride 1, padded right and bottom only.
        last = i == 6
        layers.append(MaxPool(name=f"pool{i}", inputs=(f"conv{i}",), stride=1 if last else 2,
                              pad=(0, 1, 0, 1) if last else (0, 0, 0, 0)))  # fmt: skip
        source = f"pool{i}"
    layers += [
        conv(7, "pool6", widths[6], 3),
        conv(8, "conv7", widths[7], 1),
        conv(9, "conv8", widths[8], 3),
        head(10, "conv9"),
        conv(11, "conv8", widths[9], 1),
        Upsample(name="upsample", inputs=("conv11",)),
        Concat(name="route", inputs=("upsample", "conv5")),
        conv(12, "route", widths[10], 3),
        head(13, "conv12"),
    ]
    return Architecture(name="yolov3_tiny", in_channels=in_channels, layers=tuple(layers), heads=("conv10", "conv13"))
