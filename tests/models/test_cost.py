"""Costs against published figures, and against a count made while the network runs."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.flop_counter import FlopCounterMode

from hwprune.models.cost import cost_table, macs, parameters, sam_ops
from hwprune.models.network import Network
from hwprune.models.yolov3_tiny import yolov3_tiny
from tests.nets import sam_neurons


def test_published_cost_of_tiny_yolov3():
    # What darknet prints for yolov3-tiny.cfg at 416x416, in 1e9 operations, two a MAC. Its .weights file of 35434956
    # bytes is a header of 20 bytes and one float per parameter and running statistic.
    billions = [0.150, 0.399, 0.399, 0.399, 0.399, 0.399, 1.595, 0.089, 0.399, 0.044, 0.011, 1.196, 0.088]
    architecture = yolov3_tiny(80)
    table = cost_table(architecture, 416, 416)
    assert [row.macs for row in table] == pytest.approx([b * 1e9 / 2 for b in billions], abs=0.0005e9 / 2)
    assert 2 * macs(architecture, 416, 416) == pytest.approx(5.56e9, rel=0.002)  # the authors' table of models
    running = 2 * sum(layer.out_channels for layer in architecture.layers if layer.op == "conv" and layer.norm)
    assert parameters(Network(architecture)) == (35_434_956 - 20) / 4 - running
    assert round(parameters(Network(architecture)) / 1e6, 2) == 8.85


@settings(max_examples=10, deadline=None)
@given(st.integers(1, 4), st.integers(1, 4), st.lists(st.integers(1, 9), min_size=11, max_size=11))
def test_cost_is_what_running_the_network_takes(rows, columns, widths):
    network = Network(yolov3_tiny(3, widths)).eval()
    height, width = 32 * rows, 32 * columns
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(torch.zeros(1, 3, height, width))
    assert 2 * macs(network.architecture, height, width) == counter.get_total_flops()
    table = cost_table(network.architecture, height, width)
    assert [row.layer for row in table] == [f"conv{i}" for i in range(1, 14)]
    assert sum(row.parameters for row in table) == parameters(network)


@settings(max_examples=10, deadline=None)
@given(st.data())
def test_sam_layers_have_their_own_operations(data):
    widths = data.draw(st.lists(st.sampled_from([2, 4, 6]), min_size=11, max_size=11))
    table = yolov3_tiny(3, widths)
    inputs = {layer.name: table.channels()[layer.input] for layer in table.layers if layer.op == "conv"}
    neurons = {name: data.draw(sam_neurons(inputs[name], table[name].kernel, floors=False)) for name in inputs}
    mixed = table.with_neurons(neurons)
    network, rows = Network(mixed), cost_table(mixed, 64, 96)
    for row, plain in zip(rows, cost_table(table, 64, 96), strict=True):
        # One evaluation for each weight and place; what a layer has besides is counted by torch.
        conv = network.layers[row.layer].conv
        assert row.parameters == parameters(network.layers[row.layer])
        if neurons[row.layer] is None:
            assert row == plain
            continue
        weights = conv.positive.numel() + (0 if conv.negative is None else conv.negative.numel())
        assert (row.macs, row.sam_ops) == (0, weights * row.height * row.width)
    assert sum(row.sam_ops for row in rows) == sam_ops(mixed, 64, 96)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network.eval()(torch.zeros(1, 3, 64, 96))
    assert 2 * macs(mixed, 64, 96) == counter.get_total_flops()


@pytest.mark.parametrize(("size", "complaint"), [((48, 64), "joins tensors"), ((16, 16), "no pixels")])
def test_image_that_does_not_fit(size, complaint):
    with pytest.raises(ValueError, match=complaint):
        macs(yolov3_tiny(1), *size)
