"""Random small networks with every kind of layer that SSD and VGG have: for the levels of simulation."""

import numpy as np

from hwprune.models.architecture import IMAGE, Architecture, AvgPool, Conv, L2Norm, Layer, MaxPool


def conv(name: str, source: str, channels: int, kernel: int = 3, **fields) -> Conv:
    fields = {"padding": kernel // 2, "norm": False, "activation": "relu"} | fields
    return Conv(name=name, inputs=(source,), out_channels=int(channels), kernel=kernel, **fields)


def random_ssd(rng: np.random.Generator) -> tuple[Architecture, tuple[int, int]]:
    """Five detection layers, of which one ends as SSD300 and one as SSD512, and the (height, width) of its images.

    Biases and ReLU; pools that round up; a normalised map that three layers read; a pool of 3x3; a dilated convolution;
    strides of two; then 3x3 without padding, or 4x4 with, down to one pixel.
    """
    height, width = (int(n) for n in rng.integers(17, 25, 2))

    def halved(name, source, rows, columns):
        pad = (0, columns % 2, 0, rows % 2)
        return MaxPool(name=name, inputs=(source,), pad=pad), (rows + pad[3]) // 2, (columns + pad[1]) // 2

    channels = iter(int(n) for n in rng.integers(2, 7, 12))
    pool1, rows, columns = halved("pool1", IMAGE, height, width)
    pool1 = pool1.model_copy(update={"inputs": ("conv1",)})
    pool2, rows, columns = halved("pool2", "conv2", rows, columns)
    layers: list[Layer] = [
        conv("conv1", IMAGE, next(channels)),
        pool1,
        conv("conv2", "pool1", next(channels)),
        L2Norm(name="norm2", inputs=("conv2",)),
        pool2,
        conv("conv3", "pool2", next(channels), norm=True),
        MaxPool(name="pool3", inputs=("conv3",), kernel=3, stride=1, pad=(1, 1, 1, 1)),
        conv("conv4", "pool3", next(channels), dilation=6, padding=6),
        conv("conv5", "conv4", next(channels), 1),
        conv("conv6_1", "conv5", next(channels), 1),
        conv("conv6_2", "conv6_1", next(channels), stride=2),
        conv("conv7_1", "conv6_2", next(channels), 1),
    ]
    layers += [
        conv("conv7_2", "conv7_1", next(channels), padding=0),
        conv("conv8_1", "conv7_1", next(channels), stride=2),
        conv("conv8_2", "conv8_1", next(channels), 4, padding=1),
    ]
    heads = []
    for k, source in enumerate(("norm2", "conv5", "conv6_2", "conv7_2", "conv8_2"), 1):
        for kind in ("offsets", "classes"):
            heads.append(conv(f"{kind}{k}", source, rng.integers(1, 7), activation="linear"))
    names = tuple(head.name for head in heads)
    return Architecture(name="random_ssd", layers=(*layers, *heads), heads=names), (height, width)


def random_vgg(rng: np.random.Generator) -> tuple[Architecture, tuple[int, int]]:
    """Two classifiers behind common layers, with batch norm and without: the first fully connected layer reads the
    whole map, as VGG16's, or its mean, as VGG19-BN's."""
    side = int(rng.integers(2, 4))
    channels = iter(int(n) for n in rng.integers(2, 9, 8))
    layers: list[Layer] = [
        conv("conv1", IMAGE, next(channels), norm=True),
        MaxPool(name="pool1", inputs=("conv1",)),
        conv("conv2", "pool1", next(channels)),
        conv("conv3", "conv2", next(channels)),
        MaxPool(name="pool2", inputs=("conv3",)),
        conv("conv4", "pool2", next(channels), norm=True),
        AvgPool(name="mean", inputs=("conv4",), kernel=side, stride=side),
        conv("fc6", "conv4", next(channels), side, padding=0),
        conv("fc7", "fc6", next(channels), 1),
        conv("whole", "fc7", next(channels), 1, activation="linear"),
        conv("of_mean", "mean", next(channels), 1, activation="linear"),
    ]
    extent = 4 * side + int(rng.integers(0, 4))
    return Architecture(name="random_vgg", layers=tuple(layers), heads=("whole", "of_mean")), (extent, extent)
