"""Dead connections: the claim by brute force, the counts by hand, and networks that do not change without them."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hwprune.models.architecture import IMAGE, Architecture, Concat, Conv, MaxPool
from hwprune.quant.dead import dead_weights, drop_dead, idle_steps, input_spans, layer_codes
from hwprune.quant.precision import Precision
from hwprune.sam import neuron
from hwprune.sam.neuron import dead_distance
from hwprune.sam.settings import FORMS, Sam
from tests.nets import architectures, images, integer_network


@settings(max_examples=120, deadline=None)
@given(st.sampled_from(FORMS), st.booleans(), st.integers(-2, 2), st.integers(1, 3), st.integers(-2, 0), st.data())
def test_dead_is_exactly_what_can_go_whatever_the_inputs(form, floor, shift, most, least, data):
    """One unit of one group: over all inputs, leaving a half's connection out changes nothing if and only if it is
    dead."""
    floor, size = floor and form != "maxmin", data.draw(st.integers(2, 4))
    least = 0 if floor else least
    halves = [data.draw(st.lists(st.integers(0, 9), min_size=size, max_size=size)) for _ in range(2)]
    codes = [np.array([half]) - (0 if floor else min(half)) for half in halves]
    seen = np.array(list(itertools.product(range(least, most + 1), repeat=size)))
    threshold, sam = dead_distance(most - least, shift), Sam(form=form, group=4, shift=shift, floor=floor)

    def sums(p, n):
        return neuron.distances(seen, sam, size, p, None if form == "signed" else n)

    whole = sums(*codes)
    for half, i in itertools.product(range(1 if form == "signed" else 2), range(size)):
        if not floor and codes[half][0, i] == 0 and (codes[half] == 0).sum() == 1:
            assert threshold > 0  # the only one of distance zero is never dead
            continue
        without = [code.copy() for code in codes]
        without[half][0, i] = 10**6  # farther than any input reaches
        dead = codes[half][0, i] >= threshold
        assert np.array_equal(sums(*without), whole) == dead
    # All dead ones at once, and at the least dead distance.
    for replacement in (10**6, threshold):
        changed = [np.where(code >= threshold, replacement, code) for code in codes]
        np.testing.assert_array_equal(sums(*changed), whole)


@pytest.mark.parametrize(
    ("span", "shift", "code"),
    [(15, 0, 15), (15, 1, 8), (15, 2, 4), (15, 3, 2), (15, -1, 30), (255, 0, 255), (7, 1, 4), (1, 3, 1)],
)
def test_the_least_dead_code(span, shift, code):
    assert dead_distance(span, shift) == code


def test_spans_of_pixels_pools_and_joins():
    sam = Sam(form="maxmin", group=0)
    layers = (
        Conv(name="a", inputs=(IMAGE,), out_channels=2, kernel=1, sam=sam, activation="relu"),
        Conv(name="b", inputs=("a",), out_channels=2, kernel=1, sam=sam, activation="leaky"),
        Conv(name="c", inputs=("a",), out_channels=2, kernel=1, activation="relu"),
        Concat(name="bc", inputs=("b", "c")),
        MaxPool(name="p", inputs=("bc",)),
        Conv(name="only_c", inputs=("c",), out_channels=1, kernel=1, norm=False, activation="linear", sam=sam),
        Conv(name="head", inputs=("p",), out_channels=1, kernel=1, norm=False, activation="linear", sam=sam),
    )
    table = Architecture(name="t", layers=layers, heads=("head", "only_c"))
    network = integer_network(table, (16, 16), 0, Precision(activation_bits=3))
    assert input_spans(network) == {"a": 255, "b": 7, "only_c": 3, "head": 7}
    with torch.no_grad():
        for name in "bc":  # far out: every level is reached
            network.layers[name].scale.fill_(0)
            network.layers[name].bias.copy_(torch.tensor([-1e3, 1e3]).reshape(1, 2, 1, 1))
        values = network.forward_all(images(table, (16, 16), 8).float())
    assert sorted(values["p"].unique().tolist()) == [-4, 0, 3]
    assert sorted(values["c"].unique().tolist()) == [0, 3]


def layer_by_hand(form="maxmin", shift=2):
    """A head of one unit over four channels, after a layer of 4 bits."""
    layers = (
        Conv(name="a", inputs=(IMAGE,), out_channels=4, kernel=1, activation="relu"),
        Conv(name="head", inputs=("a",), out_channels=1, kernel=1, norm=False, activation="linear",
             sam=Sam(form=form, group=0, shift=shift)),
    )  # fmt: skip
    network = integer_network(Architecture(name="t", layers=layers, heads=("head",)), (16, 16), 0)
    conv = network.layers["head"].conv
    conv.p.copy_(torch.tensor([0, 3, 4, 9]).reshape(1, 4, 1, 1))
    if conv.n is not None:
        conv.n.copy_(torch.tensor([5, 0, 200, 1]).reshape(1, 4, 1, 1))
    return network


def test_counts_and_bits_by_hand():
    (row,) = dead_weights(layer_by_hand())  # a step is 4, so a distance of 4 spans the 15
    assert (row.layer, row.span, row.connections, row.dead) == ("head", 15, 4, (2, 2))
    assert (row.bits_before, row.bits_after, row.saved_bits, row.share) == (8, 3, 5 * 8, 0.5)
    (row,) = dead_weights(layer_by_hand("signed", shift=0))
    assert (row.dead, row.bits_before, row.bits_after, row.saved_bits) == ((0,), 4, 4, 0)
    smaller = drop_dead(layer_by_hand())
    assert [codes.tolist() for codes in layer_codes(smaller.layers["head"].conv)] == [[[0, 3, 4, 4]], [[4, 0, 4, 1]]]
    assert dead_weights(smaller)[0].model_dump() == dead_weights(layer_by_hand())[0].model_dump() | {"bits_before": 3}


@settings(max_examples=12, deadline=None)
@given(architectures("mixed"), st.integers(0, 2**16))
def test_networks_do_not_change(net, seed):
    table, size = net
    network = integer_network(table, size, seed)
    generator = torch.Generator().manual_seed(seed)
    for name in input_spans(network):
        conv = network.layers[name].conv
        for half in (conv.p, conv.n):
            if half is not None:  # far distances beside the near ones, but for each group's zero
                far = torch.randint(0, 300, half.shape, generator=generator)
                half.copy_(torch.where(torch.rand(half.shape, generator=generator) < 0.5, half, half * far))
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    rows, smaller = dead_weights(network), drop_dead(network)
    pixels = images(table, size, 3).float()
    with torch.no_grad():
        expected, found = network.forward_all(pixels), smaller.forward_all(pixels)
    for name in expected:
        assert torch.equal(found[name], expected[name])
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())
    for row, after in zip(rows, dead_weights(smaller), strict=True):
        assert after.dead == row.dead and after.bits_before == after.bits_after == row.bits_after
        codes = layer_codes(smaller.layers[row.layer].conv)
        assert max(int(half.max()) for half in codes).bit_length() <= row.bits_after


def test_idle_steps_against_a_loop():
    rng = np.random.default_rng(0)
    codes = [np.where(rng.random((6, 12)) < 0.8, 15, rng.integers(0, 15, (6, 12))) for _ in range(2)]
    for simd, pe in itertools.product((1, 2, 3, 4), (1, 2, 3)):
        idle = 0
        for unit, connection in itertools.product(range(0, 6, pe), range(0, 12, simd)):
            idle += all((half[unit : unit + pe, connection : connection + simd] == 15).all() for half in codes)
        assert idle_steps(codes, 15, simd, pe) == (idle, 72 // simd // pe)
    assert idle_steps(codes, 15, 1, 1)[0] > 0
