"""Every method on random tables with joins: what it chooses can be cut out exactly and has the widths asked for."""

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from tables import SIZE, architectures, assert_same, exact_network_of, network_of, without_channels

from hwprune.models.architecture import IMAGE, Architecture, Conv
from hwprune.prune.groups import channel_groups, groups_among
from hwprune.prune.layers import convolutions, layer_set
from hwprune.prune.methods import method
from hwprune.prune.problems import problems
from hwprune.prune.settings import (
    L1NormSettings,
    MultiLayerSettings,
    RandomSettings,
    SlimmingSettings,
    UniformSettings,
)
from hwprune.prune.surgery import mask, prune
from hwprune.quant.integer import freeze
from hwprune.quant.network import QuantNetwork
from hwprune.quant.precision import Precision

ALL = ("slimming", "multilayer", "l1_norm", "random", "uniform")
WEIGHTS = ("multilayer", "l1_norm")
"""Methods that go by the weights of multiply-accumulates."""


def runs(architecture):
    """Every [first, last] of consecutive layers of multiply-accumulates in which something can go."""
    names = convolutions(architecture)
    for i, first in enumerate(names):
        for last in names[i:]:
            try:
                members = layer_set(architecture, first, last)
            except ValueError:
                continue
            groups = groups_among(architecture, members)
            counted = {*members, *(name for group in groups for name in group.members)}
            if groups and not any(architecture[name].sam for name in counted):
                yield first, last


@st.composite
def chosen(draw, kind, architecture):
    """Settings of a method that fit a table."""
    widths = {"min_channels": draw(st.integers(1, 2)), "multiple": draw(st.integers(1, 3))}
    share = draw(st.sampled_from((0.0, 0.25, 0.4, 0.5)))
    match kind:
        case "slimming":
            made = SlimmingSettings(fraction=draw(st.floats(0, 0.95)), **widths)
        case "multilayer":
            found = list(runs(architecture))
            assume(found)
            low, high = sorted(draw(st.lists(st.floats(0.05, 1), min_size=2, max_size=2, unique=True)))
            made = MultiLayerSettings(
                method=kind, phases=[draw(st.sampled_from(found))], filter_sparsity=high, weak_filter_sparsity=low,
                next_sparsity=draw(st.floats(0.05, 1)), threshold=draw(st.floats(0, 1.5)),
                fully_connected=draw(st.sampled_from([("fc*",), ("*",)])), **widths,
            )  # fmt: skip
        case "l1_norm":
            groups = [g for g in channel_groups(architecture) if not any(architecture[name].sam for name in g.members)]
            assume(groups)
            every = tuple(name for group in groups for name in group.members)
            layers = draw(st.sampled_from([every, tuple(draw(st.sampled_from(groups)).members)]))
            made = L1NormSettings(method=kind, fraction=share, layers=layers, greedy=draw(st.booleans()), **widths)
        case "random":
            made = RandomSettings(method=kind, fraction=share, **widths)
        case "uniform":
            made = UniformSettings(method=kind, width=draw(st.sampled_from((0.3, 0.5, 0.8, 1.0))), **widths)
    assume(not list(problems(made, architecture)))
    return made


def never(network):
    raise AssertionError("this method needs no score")


@pytest.mark.parametrize("kind", ALL)
@settings(max_examples=20, deadline=None)
@given(st.data())
@torch.no_grad()
def test_what_a_method_chooses_can_be_cut_out_exactly(kind, data):
    sam = data.draw(st.booleans())
    architecture = data.draw(architectures(sam=sam))
    knobs = data.draw(chosen(kind, architecture))
    network, x = network_of(architecture, 1), pixels(architecture, 2)
    kept = method(knobs, 3).choose(network, 0, never)
    groups = {group.name: group for group in channel_groups(architecture)}
    for name, channels in kept.items():
        width = len(channels)
        assert width == groups[name].width or (width % knobs.multiple == 0 and width >= knobs.min_channels)
    expected = without_channels(network, kept, x)
    assert_same(mask(network, kept)(x), expected, 1e-10)
    assert_same(prune(network, kept, compensate=False)(x), expected, 1e-10)


@pytest.mark.parametrize("kind", ALL)
@settings(max_examples=10, deadline=None)
@given(st.data())
@torch.no_grad()
def test_without_rounding_they_are_equal_bit_for_bit(kind, data):
    sam = data.draw(st.booleans())
    table = architectures(sam=sam, activations=("relu", "linear"), means=False, lengths=False)
    architecture = data.draw(table)
    knobs = data.draw(chosen(kind, architecture))
    network, x = exact_network_of(architecture, 1), pixels(architecture, 2).mul(16).round()
    kept = method(knobs, 3).choose(network, 0, never)
    values = mask(network, kept).forward_all(x)
    assume(all(value.abs().max() < 2**48 for value in values.values()))
    for head, found in zip(architecture.heads, prune(network, kept, compensate=False)(x), strict=True):
        assert torch.equal(found, values[head])


def quantized(architecture, sam):
    """In double precision, past its calibration."""
    torch.manual_seed(0)
    network = QuantNetwork(architecture, Precision()).start_from(network_of(architecture, 1).float()).train()
    with torch.no_grad():
        for _ in range(3):
            network(torch.rand(4, architecture.in_channels, SIZE, SIZE))
    return network.eval() if not sam else network.double().eval()


@st.composite
def quantizable(draw, sam):
    """Random tables that have an integer form: linear heads that nothing reads."""
    table = draw(architectures(sam=sam, means=False, lengths=False, joins=False, activations=("relu",)))
    return table.model_copy(update={"heads": (table.layers[-1].name,)})


@pytest.mark.parametrize("kind", ALL)
@settings(max_examples=4, deadline=None)
@given(st.data())
@torch.no_grad()
def test_surgery_of_a_quantised_network_is_exact_in_integers(kind, data):
    architecture = data.draw(quantizable(sam=False))
    knobs = data.draw(chosen(kind, architecture))
    network = quantized(architecture, sam=False)
    kept = method(knobs, 3).choose(network, 0, never)
    small = prune(network, kept, compensate=False)
    assert type(small) is QuantNetwork and small.precision == network.precision
    x = torch.randint(0, 256, (2, architecture.in_channels, SIZE, SIZE)).float()
    masked = mask(network, kept)
    for found, expected in zip(freeze(small)(x), freeze(masked)(x), strict=True):
        assert torch.equal(found, expected)


@pytest.mark.parametrize("kind", [kind for kind in ALL if kind not in WEIGHTS])
@settings(max_examples=4, deadline=None)
@given(st.data())
@torch.no_grad()
def test_surgery_of_quantised_sam_layers(kind, data):
    architecture = data.draw(quantizable(sam=True))
    knobs = data.draw(chosen(kind, architecture))
    network = quantized(architecture, sam=True)
    kept = method(knobs, 3).choose(network, 0, never)
    x = torch.randint(0, 256, (2, architecture.in_channels, SIZE, SIZE)).double() / 255
    assert_same(prune(network, kept, compensate=False)(x), mask(network, kept)(x), 1e-9)


def test_a_quantised_network_is_not_compensated():
    architecture = chain(4, 4)
    with pytest.raises(ValueError, match="only a float network is compensated"):
        prune(quantized(architecture, sam=False), {"a": (0, 2)})


def pixels(architecture, seed):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(2, architecture.in_channels, SIZE, SIZE, dtype=torch.float64, generator=generator)


def chain(*widths, kernel=3, norm=True, **fields):
    """a, b, c, ... one after the other, and a head."""
    names = [chr(ord("a") + i) for i in range(len(widths))]
    layers = [
        Conv(name=name, inputs=(source,), out_channels=width, kernel=kernel, padding=kernel // 2, norm=norm,
             activation="relu", **fields)
        for name, source, width in zip(names, [IMAGE, *names], widths, strict=False)
    ]  # fmt: skip
    layers.append(Conv(name="head", inputs=(names[-1],), out_channels=2, kernel=1, norm=False, activation="linear"))
    return Architecture(name="chain", layers=tuple(layers), heads=("head",))
