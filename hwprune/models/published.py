"""Networks whose widths, and cost, stand in tables of papers: what pruning is measured against.

Singh et al., "Multi-layer Pruning Framework for Compressing Single Shot MultiBox Detector" (WACV 2019), tables 1, 4,
5, 6, 7, 8, 10 and 11; Liu et al., "Learning Efficient Convolutional Networks through Network Slimming" (ICCV 2017),
table 1. The tables do not say what they count; every count below follows from one reading, which the tests hold against
each printed figure:

- Parameters are kernels, biases, and the scales of conv4_3's normalisation (batch norm: its scale and shift). The heads
  count. The classes are 21 for PASCAL VOC, 4 for GTSDB and 81 for COCO with the background, 10 and 43 for the
  classifiers.
- A head's convolutions read the pruned map; their own outputs, boxes and classes, are never pruned.
- Table 10 (COCO) comes out only if conv4_3 has 6 boxes a cell, not the 4 of the SSD paper: that is 2 (4 + 81) more
  filters of 3x3 there, 0.78M parameters in the baseline and 0.62M in the pruned network, whose conv4_3 has 407
  channels. 6 boxes on another layer that has 4 in the paper would not explain both.
- Millions are rounded, but for SSD300-pruned-3det (3.75) and COCO's pruned-6det (12.78), which are cut behind their
  first decimal. Sizes are four bytes a parameter, in 1e6 bytes, within 0.06 MB: some are four times the parameters as
  printed (SSD300: 105.2, not 105.14), and the pruned VGG16 for CIFAR-10 (4.248) is rounded up.
- RRF-x takes the whole part of x times its filters from each layer up to conv7.
- The FLOPs of Singh et al. are multiply-accumulates of the convolutions and fully connected layers. Those of Liu et al.
  are two for each, and one to three more for each of the 303104 outputs of convolutions (biases or batch norm, ReLU)
  make up what 7.97e8 is above 7.963e8.
"""

from collections.abc import Mapping
from typing import NamedTuple

from hwprune.models.architecture import Architecture
from hwprune.models.catalogue import CATALOGUE


class Published(NamedTuple):
    """A network of a table.

    Attributes
    ----------
    table
        Where it stands.
    model
        Its name in the `hwprune.models.catalogue`.
    classes
        Without the background.
    widths
        Channels by layer name, of the layers that are not as wide as usual.
    parameters
        As the table prints them, such as ``"3.9M"``.
    size
        As the table prints it, such as ``"15.7 MB"``.
    flops
        As the table prints them (``"1.47G"``), or None.
    counted
        Parameters of the network built here.
    options
        What else the builder is told.
    """

    table: str
    model: str
    classes: int
    widths: Mapping[str, int]
    parameters: str
    size: str | None
    counted: int
    flops: str | None = None
    options: Mapping[str, object] = {}

    @property
    def image_size(self) -> tuple[int, int]:
        """(height, width) of the image in pixels."""
        return CATALOGUE[self.model].image_size


def published(name: str) -> Architecture:
    """The layer table of a published network.

    Parameters
    ----------
    name
        A key of `PUBLISHED`.

    Raises
    ------
    ValueError
        If no network has that name.
    """
    if name not in PUBLISHED:
        raise ValueError(f"no published network is called {name!r}; these are: {', '.join(PUBLISHED)}")
    network = PUBLISHED[name]
    model = CATALOGUE[network.model]
    return model.build(network.classes, network.widths, network.image_size, **network.options)


# Rows of widths as the tables print them: conv1_1, conv1_2, and so on. A row serves fewer detection layers as well.
_SSD300 = "64 56 107 121 193 158 195 263 181 331 98 108 78 146 106 34 198 12 36 22 41 22 66"
_SSD512 = "64 61 119 122 215 160 187 252 172 313 170 134 117 305 332 122 133 89 168 81 92 40 84 40 80"
_GTSDB = "64 64 121 123 206 84 113 59 50 189"
_COCO = "64 64 125 128 256 255 256 511 365 407 187 222 153 125 276 137 153 95 108 99 81 85 74"
_COCO_BOXES = (6, 6, 6, 6, 4, 4)
_CIFAR10 = "43 24 53 43 58 60 68 97 104 121 127 55 113 65 627"
_GTSRB = "41 18 32 7 31 14 28 17 29 16 27 23 42 250 317"


def _row(model: str, row: str, **options: int) -> dict[str, int]:
    names = CATALOGUE[model].widths(**options)
    return dict(zip(names, map(int, row.split()[: len(names)]), strict=True))


def _pruned(
    table: str, model: str, classes: int, row: str, detection_layers: int, parameters: str, size: str, counted: int
) -> Published:
    layers = {"detection_layers": detection_layers}
    widths = _row(model, row, **layers)
    return Published(f"Singh et al. {table}", model, classes, widths, parameters, size, counted, options=layers)


def _random(share: float, parameters: str, size: str, counted: int) -> Published:
    usual = CATALOGUE["ssd300"].widths(detection_layers=2)  # up to conv7
    widths = {name: width - int(share * width) for name, width in usual.items()}
    return Published("Singh et al. 4(b)", "ssd300", 20, widths, parameters, size, counted)


PUBLISHED: Mapping[str, Published] = {
    "ssd300-voc": Published("Singh et al. 1", "ssd300", 20, {}, "26.3M", "105.2 MB", 26_285_486),
    "ssd300-voc-pruned-1det": _pruned("5", "ssd300", 20, _SSD300, 1, "2.7M", "10.8 MB", 2_695_539),
    "ssd300-voc-pruned-2det": _pruned("5", "ssd300", 20, _SSD300, 2, "3.42M", "13.7 MB", 3_420_307),
    "ssd300-voc-pruned-3det": _pruned("1, 3, 5", "ssd300", 20, _SSD300, 3, "3.7M", "15 MB", 3_752_181),
    "ssd300-voc-pruned-4det": _pruned("5", "ssd300", 20, _SSD300, 4, "3.8M", "15.2 MB", 3_807_243),
    "ssd300-voc-pruned-5det": _pruned("5", "ssd300", 20, _SSD300, 5, "3.85M", "15.4 MB", 3_853_216),
    "ssd300-voc-pruned-6det": _pruned("1, 3, 4, 5", "ssd300", 20, _SSD300, 6, "3.9M", "15.7 MB", 3_926_774),
    "ssd300-voc-rrf-0.5": _random(0.5, "9.87M", "39.5 MB", 9_871_630),
    "ssd300-voc-rrf-0.65": _random(0.65, "7M", "27.9 MB", 6_966_097),
    "ssd512-voc": Published("Singh et al. 1", "ssd512", 20, {}, "27.2M", "108.8 MB", 27_188_676),
    "ssd512-voc-pruned-4det": _pruned("1, 3", "ssd512", 20, _SSD512, 4, "5.1M", "20.3 MB", 5_067_271),
    "ssd512-voc-pruned-7det": _pruned("1, 3", "ssd512", 20, _SSD512, 7, "5.5M", "22 MB", 5_508_994),
    "ssd300-gtsdb": Published("Singh et al. 7", "ssd300", 3, {}, "24.0M", "96.1 MB", 24_013_232),
    "ssd512-gtsdb": Published("Singh et al. 6, 7", "ssd512", 3, {}, "24.7M", "98.7 MB", 24_681_312),
    "ssd512-gtsdb-pruned-1det": _pruned("6, 7", "ssd512", 3, _GTSDB, 1, "938.8K", "3.8 MB", 938_770),
    "ssd300-coco": Published(
        "Singh et al. 10, 11", "ssd300", 80, {}, "35.1M", "140.4 MB", 35_088_736, options={"boxes": _COCO_BOXES}
    ),
    "ssd300-coco-pruned-6det": Published(
        "Singh et al. 10, 11", "ssd300", 80, _row("ssd300", _COCO), "12.7M", "51.1 MB", 12_782_751,
        options={"boxes": _COCO_BOXES},
    ),
    "vgg16-cifar10": Published("Singh et al. 8", "vgg16", 10, {}, "134.3M", "537.2 MB", 134_301_514, "15.47G"),
    "vgg16-cifar10-pruned": Published(
        "Singh et al. 8", "vgg16", 10, _row("vgg16", _CIFAR10), "1.06M", "4.3 MB", 1_062_007, "1.47G"
    ),
    "vgg16-gtsrb": Published("Singh et al. 8", "vgg16", 43, {}, "134.44M", "537.8 MB", 134_436_715, "15.47G"),
    "vgg16-gtsrb-pruned": Published(
        "Singh et al. 8", "vgg16", 43, _row("vgg16", _GTSRB), "663.72K", "2.7 MB", 663_720, "522.85M"
    ),
    "vgg19-cifar10": Published("Liu et al. 1", "vgg19_bn", 10, {}, "20.04M", None, 20_035_018, "7.97e8"),
    "vgg19-cifar100": Published("Liu et al. 1", "vgg19_bn", 100, {}, "20.08M", None, 20_081_188, "7.97e8"),
}  # fmt: skip
"""Every published network; `published` builds one."""
