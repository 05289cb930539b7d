"""VGG16 and VGG19 as classifiers (Simonyan and Zisserman, "Very Deep Convolutional Networks for Large-Scale Image
Recognition", ICLR 2015, configurations D and E).

A fully connected layer is a convolution: the first has a kernel as large as the map it reads, the others are 1x1, so
their neurons are channels. Dropout, which only trains, has no row in a layer table.
"""

from collections.abc import Iterator, Mapping, Sequence

from hwprune.models.architecture import IMAGE, Architecture, AvgPool, Conv, Layer, MaxPool
from hwprune.models.widths import chosen_widths

VGG16_BLOCKS = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))
"""Widths of VGG16's convolutions, block by block."""
VGG19_BLOCKS = ((64, 64), (128, 128), (256,) * 4, (512,) * 4, (512,) * 4)
"""Widths of VGG19's convolutions, block by block."""
FULLY_CONNECTED = (4096, 4096)
"""Neurons of VGG16's two hidden fully connected layers, fc6 and fc7."""


def vgg16(
    classes: int,
    widths: Mapping[str, int] | None = None,
    image_size: tuple[int, int] = (224, 224),
    *,
    fully_connected: Sequence[int] = FULLY_CONNECTED,
    norm: bool = False,
    in_channels: int = 3,
) -> Architecture:
    """The layer table of VGG16: 13 convolutions, a pool of 2x2 behind each of the five blocks, fully connected layers.

    ``vgg16(10, image_size=(32, 32), fully_connected=(512,))`` is the usual form for CIFAR-10, of 15.0M parameters.

    Parameters
    ----------
    classes
        Number of classes, and of neurons in the last layer.
    widths
        Channels of layers other than the paper's, by name (``{"conv4_3": 121, "fc6": 65}``).
    image_size
        (height, width) of the image in pixels: the five pools must leave a square map, of 7x7 for 224x224.
    fully_connected
        Neurons of the hidden fully connected layers fc6, fc7, ...; the one behind them has ``classes``.
    norm
        Batch norm in place of the biases, in all layers but the last. The hidden fully connected layers have it too,
        so that network slimming finds a scale for each of their neurons.
    in_channels
        Channels of the image.

    Returns
    -------
    Architecture
        With one head, the last fully connected layer: logits (N, classes, 1, 1).

    Raises
    ------
    ValueError
        If a width names no layer, or the pools leave no square map.
    """
    widths = chosen_widths("vgg16", vgg16_widths(fully_connected), widths)
    layers = list(trunk_layers(widths, image_size, norm=norm, ceil=False))
    layers.append(MaxPool(name="pool5", inputs=(layers[-1].name,)))
    height, width = (side // 32 for side in image_size)
    if height != width or not height:
        raise ValueError(
            f"vgg16: an image of {image_size[0]}x{image_size[1]} leaves {height}x{width} pixels behind pool5, but the"
            " fully connected layer takes a square map; give both sides one length, of 32 or more"
        )
    source, kernel = "pool5", height
    for name in [name for name in widths if name.startswith("fc")]:
        layers.append(relu_conv(name, source, widths, norm=norm, kernel=kernel, padding=0))
        source, kernel = name, 1
    last = f"fc{6 + len(fully_connected)}"
    layers.append(_logits(last, source, classes, kernel))
    return Architecture(name="vgg16", in_channels=in_channels, layers=tuple(layers), heads=(last,))


def vgg19_bn(classes: int, widths: Mapping[str, int] | None = None, *, in_channels: int = 3) -> Architecture:
    """The layer table of the VGG19 with batch norm that network slimming prunes, for images of 32x32.

    It is the network of the public code of Liu et al., "Learning Efficient Convolutional Networks through Network
    Slimming", ICCV 2017: 16 convolutions, max-pools behind the first four blocks, the mean of the 2x2 pixels behind
    the fifth, and one fully connected layer, fc6.

    Parameters
    ----------
    classes
        Number of classes.
    widths
        Channels of layers other than the paper's, by name.
    in_channels
        Channels of the image.

    Raises
    ------
    ValueError
        If a width names no layer.
    """
    widths = chosen_widths("vgg19_bn", vgg19_widths(), widths)
    layers = list(trunk_layers(widths, (32, 32), norm=True, ceil=False))
    layers.append(AvgPool(name="pool5", inputs=(layers[-1].name,)))
    layers.append(_logits("fc6", "pool5", classes, 1))
    return Architecture(name="vgg19_bn", in_channels=in_channels, layers=tuple(layers), heads=("fc6",))


def vgg16_widths(fully_connected: Sequence[int] = FULLY_CONNECTED) -> dict[str, int]:
    """Channels of VGG16's layers by name, the last left out."""
    return trunk_widths(VGG16_BLOCKS) | {f"fc{i}": width for i, width in enumerate(fully_connected, 6)}


def vgg19_widths() -> dict[str, int]:
    """Channels of VGG19's convolutions by name."""
    return trunk_widths(VGG19_BLOCKS)


def trunk_widths(blocks: Sequence[Sequence[int]]) -> dict[str, int]:
    """Channels of conv1_1, conv1_2, ..., from those of the blocks."""
    return {f"conv{b}_{i}": width for b, block in enumerate(blocks, 1) for i, width in enumerate(block, 1)}


def trunk_layers(widths: Mapping[str, int], image_size: tuple[int, int], *, norm: bool, ceil: bool) -> Iterator[Layer]:
    """conv1_1 to the last convolution of VGG's blocks, ReLU after each, with pools of 2x2 between the blocks.

    Parameters
    ----------
    widths
        Channels by layer name; there are as many blocks, and convolutions in a block, as stand there.
    image_size
        (height, width) in pixels.
    norm
        Batch norm in place of the biases.
    ceil
        Pools round an odd size up, by a padding to the right and below.
    """
    source, (height, width) = IMAGE, image_size
    for block in range(1, 6):
        names = [name for name in widths if name.startswith(f"conv{block}_")]
        if names and block > 1:
            pad = (0, width % 2, 0, height % 2) if ceil else (0, 0, 0, 0)
            yield MaxPool(name=f"pool{block - 1}", inputs=(source,), pad=pad)
            source, height, width = f"pool{block - 1}", (height + pad[3]) // 2, (width + pad[1]) // 2
        for name in names:
            yield relu_conv(name, source, widths, norm=norm)
            source = name


def relu_conv(name: str, source: str, widths: Mapping[str, int], *, norm: bool, kernel: int = 3, **fields) -> Conv:
    """A convolution with ReLU; its padding keeps the size, unless ``fields`` say otherwise."""
    return Conv(name=name, inputs=(source,), out_channels=widths[name], kernel=kernel, norm=norm, activation="relu",
                **{"padding": kernel // 2, **fields})  # fmt: skip


def _logits(name: str, source: str, classes: int, kernel: int) -> Conv:
    return Conv(name=name, inputs=(source,), out_channels=classes, kernel=kernel, norm=False, activation="linear")
