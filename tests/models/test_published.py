"""The published networks against the tables of the papers: every width, parameter count and number of operations."""

import itertools
import math
import re
from pathlib import Path

import pytest
import torch

from hwprune.models.cost import macs, parameters
from hwprune.models.network import Network
from hwprune.models.published import PUBLISHED, published
from hwprune.models.ssd import ssd300

CUT = ("ssd300-voc-pruned-3det", "ssd300-coco-pruned-6det")
"""Whose millions the tables cut, not round."""
UNITS = {"K": 1e3, "M": 1e6, "G": 1e9, "": 1.0}
SINGH = sorted((Path(__file__).parents[3] / "shared" / "seeds").glob("003_*.txt"))
SLIMMING_OUTPUTS = (
    303104  # of VGG19's convolutions at 32x32: 64 2 32^2 + 128 2 16^2 + 256 4 8^2 + 512 4 4^2 + 512 4 2^2
)


def figure(text):
    """A printed number, and what its last digit is worth."""
    digits, power, unit = re.fullmatch(r"([\d.]+)(?:e(\d+))?([KMG]?)", text).groups()
    scale = 10 ** int(power or 0) * UNITS[unit]
    return float(digits) * scale, 10 ** -len(digits.partition(".")[2]) * scale


def agrees(number, text, cut=False):
    """Whether ``number`` is printed as ``text``, rounded to its last digit or cut behind it."""
    value, step = figure(text)
    return value <= number < value + step if cut else abs(number - value) <= step / 2


def vgg_parameters(widths, rows, classes, norm):
    """Parameters of a chain of 3x3 convolutions and of what follows, by the textbook's formula."""
    total, last = 0, 3
    for row in rows:
        total, last = total + 9 * last * widths[row] + (2 if norm else 1) * widths[row], widths[row]
    return total, last


def by_hand(name):
    """Parameters of a published network from the widths of its layers alone, without its layer table."""
    network = PUBLISHED[name]
    blocks = {"ssd300": "22333", "ssd512": "22333", "vgg16": "22333", "vgg19_bn": "22444"}[network.model]
    usual = dict(zip([f"conv{b}" for b in range(1, 6)], (64, 128, 256, 512, 512), strict=True))

    def width(layer):
        stage = layer.partition("_")
        default = usual.get(stage[0]) or {"1": 128, "2": 256}.get(stage[2]) or (1024 if "conv" in layer else 4096)
        return network.widths.get(layer, {"conv8_1": 256, "conv8_2": 512}.get(layer, default))

    layers = network.options.get("detection_layers", 7 if network.model == "ssd512" else 6)
    depth = 4 if network.model.startswith("ssd") and layers == 1 else 5
    rows = [f"conv{b}_{i}" for b in range(1, depth + 1) for i in range(1, int(blocks[b - 1]) + 1)]
    norm = network.model == "vgg19_bn"
    total, last = vgg_parameters({row: width(row) for row in rows}, rows, network.classes, norm)
    if network.model == "vgg19_bn":
        return total + (last + 1) * network.classes
    if network.model == "vgg16":
        fc6, fc7 = width("fc6"), width("fc7")
        return total + (49 * last + 1) * fc6 + (fc6 + 1) * fc7 + (fc7 + 1) * network.classes
    d1 = width("conv4_3")
    read, total = [d1], total + d1  # and the scales of the normalisation
    if layers > 1:
        total += (9 * last + 1) * width("conv6") + (width("conv6") + 1) * width("conv7")
        read.append(width("conv7"))
    for stage in range(8, 6 + layers):
        a, b = width(f"conv{stage}_1"), width(f"conv{stage}_2")
        total += (read[-1] + 1) * a + ((16 if stage == 12 else 9) * a + 1) * b
        read.append(b)
    default = (4, 6, 6, 6, 6, 4, 4) if network.model == "ssd512" else (4, 6, 6, 6, 4, 4)
    boxes = network.options.get("boxes", default[:layers])
    return total + sum((9 * d + 1) * n * (4 + network.classes + 1) for d, n in zip(read, boxes, strict=True))


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_parameters(name):
    with torch.device("meta"):  # the largest has 134 million
        count = parameters(Network(published(name)))
    assert count == PUBLISHED[name].counted == by_hand(name)
    assert agrees(count, PUBLISHED[name].parameters, cut=name in CUT)


@pytest.mark.parametrize("name", CUT)
def test_published_figures_that_are_cut_are_not_rounded(name):
    assert not agrees(PUBLISHED[name].counted, PUBLISHED[name].parameters)


@pytest.mark.parametrize("name", [name for name, network in PUBLISHED.items() if network.size])
def test_published_sizes_are_four_bytes_a_parameter(name):
    megabytes = float(PUBLISHED[name].size.removesuffix(" MB"))
    assert 4 * PUBLISHED[name].counted / 1e6 == pytest.approx(megabytes, abs=0.06)


@pytest.mark.parametrize("name", [name for name, network in PUBLISHED.items() if network.flops])
def test_published_operations(name):
    network = PUBLISHED[name]
    count = macs(published(name), *network.image_size)
    if network.model == "vgg16":
        assert agrees(count, network.flops)
    else:  # two for a MAC, and the rest for what follows a convolution
        assert not agrees(2 * count, network.flops)
        assert all(agrees(2 * count + n * SLIMMING_OUTPUTS, network.flops) for n in (1, 2, 3))


def test_published_boxes_of_coco():
    """Of the layers with 4 boxes a cell, 6 on conv4_3 alone gives both rows of table 10."""
    original, pruned = PUBLISHED["ssd300-coco"], PUBLISHED["ssd300-coco-pruned-6det"]
    fits = []
    with torch.device("meta"):
        for first, fifth, sixth in itertools.product((4, 6), repeat=3):
            boxes = (first, 6, 6, 6, fifth, sixth)
            counts = [parameters(Network(ssd300(80, n.widths, boxes=boxes))) for n in (original, pruned)]
            sizes = [float(n.size.removesuffix(" MB")) for n in (original, pruned)]
            if all(abs(4 * count / 1e6 - size) < 0.06 for count, size in zip(counts, sizes, strict=True)):
                fits.append(boxes)
    assert fits == [(6, 6, 6, 6, 4, 4)]


def test_published_compression():
    """The factors of tables 1, 7, 8 and the text, as printed."""
    for name, original, factor in (
        ("ssd300-voc-pruned-3det", "ssd300-voc", "7"),
        ("ssd300-voc-pruned-6det", "ssd300-voc", "6.7"),
        ("ssd512-voc-pruned-4det", "ssd512-voc", "5.4"),
        ("ssd512-voc-pruned-7det", "ssd512-voc", "4.9"),
        ("ssd512-gtsdb-pruned-1det", "ssd512-gtsdb", "26"),
    ):
        assert agrees(PUBLISHED[original].counted / PUBLISHED[name].counted, factor), name
    for dataset, share in (("cifar10", 0.905), ("gtsrb", 0.966)):  # FLOPs that pruning takes away
        before, after = (macs(published(f"vgg16-{dataset}{kind}"), 224, 224) for kind in ("", "-pruned"))
        assert 1 - after / before == pytest.approx(share, abs=0.0005)


@pytest.mark.parametrize(("name", "share"), [("ssd300-voc-rrf-0.5", 0.5), ("ssd300-voc-rrf-0.65", 0.65)])
def test_published_random_removal_leaves_layers_behind_conv7_alone(name, share):
    channels, usual = published(name).channels(), published("ssd300-voc").channels()
    names = list(channels)
    for layer in names[1 : names.index("conv7") + 1]:
        if layer.startswith("conv"):
            assert channels[layer] == math.ceil((1 - share) * usual[layer])
    for layer in names[names.index("conv7") + 1 :]:
        assert channels[layer] == usual[layer]


# --- the text of the paper, where the checkout has it beside it -------------------------------------------------------


@pytest.fixture(scope="module")
def paper():
    if not SINGH:
        pytest.skip("no text of Singh et al. beside the checkout (shared/seeds/003_*.txt)")
    return SINGH[0].read_text(encoding="utf-8").splitlines()


def cells(line):
    return [cell.strip() for cell in line.strip("|").split("|")]


def rows_after(lines, start, count):
    """``count`` rows of cells from the first line that holds ``start``."""
    at = next(i for i, line in enumerate(lines) if start in line)
    return [cells(line) for line in lines[at : at + count]]


def widths_of(name):
    channels = published(name).channels()
    return [width for layer, width in channels.items() if layer.startswith(("conv", "fc"))]


def test_published_widths_of_table_1(paper):
    rows = rows_after(paper, "| Layers | CONV1_1", 25)
    columns = {
        "ssd300-voc": [], "ssd300-voc-pruned-3det": [], "ssd300-voc-pruned-6det": [],
        "ssd512-voc": [], "ssd512-voc-pruned-4det": [], "ssd512-voc-pruned-7det": [],
    }  # fmt: skip
    for row in rows:
        layer = re.search(r"CONV(\d+)", " ".join(row[:2])).group(1)
        values = [int(re.search(r", (\d+)", cell).group(1)) for cell in row if "CONV, " in cell]
        # The text has lost the empty cells: a column ends with its last detection layer.
        last = {name: 7 if "512" in name else 6 for name in columns}
        last |= {name: int(name[-4]) for name in columns if "det" in name}
        live = [name for name in columns if int(layer) <= last[name] + 5]
        for name, value in zip(live, values, strict=True):
            columns[name].append(value)
    for name, column in columns.items():
        assert widths_of(name) == column, name
    (totals,), (sizes,) = (
        rows_after(paper, "| Total Parameters | 26.3M", 1),
        rows_after(paper, "| Model Size | 105.2", 1),
    )
    for network, total, size in zip(map(PUBLISHED.get, columns), totals[1:7], sizes[1:7], strict=True):
        assert network.parameters == total.split()[0] and size.startswith(network.size)


def test_published_widths_of_tables_6_and_11(paper):
    (row,) = rows_after(paper, "| pruned-det1 |", 1)
    assert widths_of("ssd512-gtsdb-pruned-1det") == [int(cell) for cell in row[1:] if cell]
    baseline, pruned = rows_after(paper, "| baseline |", 2)
    assert widths_of("ssd300-coco") == [int(cell) for cell in baseline[1:]]
    assert widths_of("ssd300-coco-pruned-6det") == [int(cell) for cell in pruned[1:]]


def test_published_widths_of_table_8(paper):
    rows = rows_after(paper, "| Layers | 3X3 CONV1_1 |", 16)
    names = ["vgg16-cifar10", "vgg16-cifar10-pruned", "vgg16-gtsrb", "vgg16-gtsrb-pruned"]
    for i, name in enumerate(names):
        assert widths_of(name) == [int([c for c in row if c][-4:][i]) for row in rows], name
    (flops,) = rows_after(paper, "| FLOPs (multiply-adds)", 1)
    for name, printed in zip(names, flops[1:], strict=False):
        assert PUBLISHED[name].flops == printed.split()[0]


@pytest.mark.parametrize(
    ("start", "names"),
    [
        ("| Pruned-1det |", [f"ssd300-voc-pruned-{k}det" for k in range(1, 7)]),
        ("| RRF-0.5-6det |", ["ssd300-voc-rrf-0.5", "ssd300-voc-rrf-0.65"]),
        ("| SSD300-baseline |", ["ssd300-coco", "ssd300-coco-pruned-6det"]),
    ],
)
def test_published_figures_of_tables_4_5_and_10(paper, start, names):
    for name, row in zip(names, rows_after(paper, start, len(names)), strict=True):
        assert [PUBLISHED[name].parameters, PUBLISHED[name].size] == row[2:4]


def test_published_figures_of_table_7(paper):
    names = ["ssd300-gtsdb", "ssd512-gtsdb", "ssd512-gtsdb-pruned-1det"]
    for name, row in zip(names, rows_after(paper, "| SSD300-original | 38.61", 3), strict=True):
        assert row[-1].split()[0] == PUBLISHED[name].parameters
        assert row[-2].replace("96.1MB", "96.1 MB").startswith(PUBLISHED[name].size)


def test_name_that_no_paper_has():
    with pytest.raises(ValueError, match="no published network is called 'ssd301'; these are: ssd300-voc, "):
        published("ssd301")
