"""The account of what pruning took away."""

import pytest

from hwprune.models.cost import macs, parameters
from hwprune.models.network import Network
from hwprune.models.yolov3_tiny import yolov3_tiny
from hwprune.prune.groups import channel_groups
from hwprune.prune.report import PruneReport, compare
from hwprune.prune.surgery import prune
from hwprune.sam.settings import Sam


def test_sums_are_the_networks_own():
    network = Network(yolov3_tiny(2, (8,) * 11))
    small = prune(network, {group.name: (0, 3, 5) for group in channel_groups(network.architecture)})
    report = compare(network.architecture, small.architecture, 64, 96)
    assert report.parameters_before == parameters(network) and report.parameters_after == parameters(small)
    assert report.macs_before == macs(network.architecture, 64, 96)
    assert report.macs_after == macs(small.architecture, 64, 96)
    assert [(row.layer, row.width_before, row.width_after) for row in report.layers] == [
        (f"conv{i}", 21, 21) if i in (10, 13) else (f"conv{i}", 8, 3) for i in range(1, 14)
    ]
    # conv2: 3x3 from 8 to 8 and from 3 to 3 channels, at half the size of the image.
    row = report.layers[1]
    assert (row.parameters_before, row.parameters_after) == (9 * 64 + 16, 9 * 9 + 6)
    assert (row.macs_before, row.macs_after) == (9 * 64 * 32 * 48, 9 * 9 * 32 * 48)
    assert PruneReport.model_validate_json(report.model_dump_json()) == report


def test_sam_operations_are_counted_apart():
    table = yolov3_tiny(2, (8,) * 11).with_neurons(
        {"conv2": Sam(form="difference", group=4), "conv3": Sam(form="signed", group=0)}
    )
    small = prune(Network(table), {"conv1": (0, 1, 2, 4, 6, 7), "conv2": (1, 2, 5)})
    report = compare(table, small.architecture, 64, 96)
    assert small.architecture["conv2"].sam.group == 3
    # conv2: two sets of 3x3, from 8 to 8 and from 6 to 3 channels; conv3: one set and a polarity a unit.
    second, third = report.layers[1:3]
    assert (second.parameters_before, second.parameters_after) == (2 * 9 * 64 + 16, 2 * 9 * 18 + 6)
    assert (third.parameters_before, third.parameters_after) == (9 * 64 + 8 + 16, 9 * 24 + 8 + 16)
    assert (second.sam_ops_before, second.sam_ops_after) == (2 * 9 * 64 * 32 * 48, 2 * 9 * 18 * 32 * 48)
    assert (third.sam_ops_before, third.sam_ops_after) == (9 * 64 * 16 * 24, 9 * 24 * 16 * 24)
    assert second.macs_before == second.macs_after == third.macs_before == 0
    assert report.sam_ops_after == second.sam_ops_after + third.sam_ops_after


def test_other_tables():
    with pytest.raises(ValueError, match="other convolutions"):
        table = yolov3_tiny(2)
        renamed = [
            layer.model_copy(update={"name": "last"}) if layer.name == "conv13" else layer for layer in table.layers
        ]
        compare(table, table.model_copy(update={"layers": tuple(renamed), "heads": ("conv10", "last")}), 64, 64)
