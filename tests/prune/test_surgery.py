"""Surgery: the small network computes what the masked big one does, and constants are made good."""

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from tables import (
    SIZE,
    architectures,
    assert_same,
    exact_network_of,
    kept_channels,
    network_of,
    removed_outputs,
    silence,
    without_channels,
)

from hwprune.models.architecture import IMAGE, Add, Architecture, Concat, Conv, MaxPool, Upsample
from hwprune.models.network import Network
from hwprune.models.yolov3_tiny import yolov3_tiny
from hwprune.prune.groups import channel_groups
from hwprune.prune.surgery import mask, prune
from hwprune.sam.settings import FORMS, Sam


def pixels(architecture, seed, dtype=torch.float64, height=SIZE, width=SIZE):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(2, architecture.in_channels, height, width, dtype=dtype, generator=generator)


@settings(max_examples=60, deadline=None)
@given(st.data(), st.booleans(), st.booleans())
@torch.no_grad()
def test_small_network_is_the_masked_big_one(data, sam, compensate):
    architecture = data.draw(architectures(sam=sam))
    kept = data.draw(kept_channels(architecture))
    network, x = network_of(architecture, 1), pixels(architecture, 2)
    expected = without_channels(network, kept, x)
    masked = mask(network, kept)
    assert_same(masked(x), expected, 1e-10)
    assert_same(prune(network, kept, compensate=False)(x), expected, 1e-10)
    # No layer of the masked network reads a removed channel, so there is nothing to make good.
    assert_same(prune(masked, kept, compensate=compensate)(x), expected, 1e-10)


@settings(max_examples=60, deadline=None)
@given(st.data())
@torch.no_grad()
def test_without_rounding_they_are_equal_bit_for_bit(data):
    table = architectures(sam=True, activations=("relu", "linear"), means=False, lengths=False)
    architecture = data.draw(table)
    kept = data.draw(kept_channels(architecture))
    network, x = exact_network_of(architecture, 1), pixels(architecture, 2).mul(16).round()
    values = mask(network, kept).forward_all(x)
    assume(all(value.abs().max() < 2**48 for value in values.values()))  # so far are all sums exact
    small = prune(network, kept, compensate=False)
    for head, found, expected in zip(architecture.heads, small(x), without_channels(network, kept, x), strict=True):
        assert torch.equal(found, values[head]) and torch.equal(found, expected)


@settings(max_examples=60, deadline=None)
@given(st.data())
@torch.no_grad()
def test_constants_are_made_good_where_nothing_is_padded(data):
    architecture = data.draw(architectures(padding=False, lengths=False))
    kept = data.draw(kept_channels(architecture))
    network, x = network_of(architecture, 3), pixels(architecture, 4)
    silence(network, kept)
    assert_same(prune(network, kept)(x), network(x), 1e-10)


@settings(max_examples=40, deadline=None)
@given(st.data())
@torch.no_grad()
def test_channels_that_are_always_zero_leave_without_a_trace(data):
    """Behind a ReLU with a shift that is not positive, through normalisations and padded convolutions too."""
    architecture = data.draw(architectures(activations=("relu",)))
    kept = data.draw(kept_channels(architecture))
    network, x = network_of(architecture, 3), pixels(architecture, 4)
    silence(network, kept)
    for name, channels in removed_outputs(architecture, kept).items():
        block = network.layers[name]
        shift = block.norm.bias if architecture[name].norm else block.conv.bias
        shift[channels] = -shift[channels].abs()
    assert_same(prune(network, kept)(x), network(x), 1e-10)


@settings(max_examples=30, deadline=None)
@given(st.data())
@torch.no_grad()
def test_constants_are_made_good_in_convolutions_and_leave_the_extremes_of_sam_layers(data):
    architecture = data.draw(architectures(padding=False, norms_only=True, sam=True, lengths=False))
    kept = data.draw(kept_channels(architecture))
    network, x = network_of(architecture, 3), pixels(architecture, 4)
    silence(network, kept)
    masked = mask(network, kept)
    for layer in architecture.layers:
        if layer.op == "conv" and not layer.sam:  # convolutions go on reading all channels
            masked.layers[layer.name] = network.layers[layer.name]
    assert_same(prune(network, kept)(x), masked(x), 1e-10)


@pytest.mark.parametrize("form", ["difference", "signed"])
@torch.no_grad()
def test_under_a_floor_silent_channels_leave_without_a_trace(form):
    def conv(name, source, **fields):
        return Conv(name=name, inputs=(source,), out_channels=6, kernel=3, padding=1, activation="relu", **fields)

    architecture = Architecture(
        name="floor",
        layers=(conv("a", IMAGE), conv("b", "a", sam=Sam(form=form, group=3, floor=True))),
        heads=("b",),
    )
    network, x = network_of(architecture, 14), pixels(architecture, 15)
    for weight in (network.layers["b"].conv.positive, network.layers["b"].conv.negative):
        if weight is not None:
            weight.copy_(-weight.abs())
    kept = {"a": (0, 2, 3, 5)}
    silence(network, kept)
    network.layers["a"].norm.bias[[1, 4]] = torch.tensor([-0.3, 0.0]).double()
    (small,), (big,) = prune(network, kept)(x), network(x)
    assert torch.equal(small, big) and big.unique().numel() > 100


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("group", [0, 3])
def test_gradients_of_a_masked_sam_layer_are_those_of_the_small_one(form, group):
    architecture = Architecture(
        name="t",
        layers=(
            Conv(name="a", inputs=(IMAGE,), out_channels=6, kernel=1),
            Conv(name="b", inputs=("a",), out_channels=4, kernel=3, padding=1, sam=Sam(form=form, group=group)),
        ),
        heads=("b",),
    )
    network, stay = network_of(architecture, 12), [1, 2, 3, 5]
    small, masked = prune(network, {"a": stay}, compensate=False), mask(network, {"a": stay})
    x = pixels(architecture, 13)
    for cut in (small, masked):
        cut(x)[0].square().sum().backward()
    for name, parameter in small.named_parameters():
        expected = parameter.grad
        found = masked.get_parameter(name).grad
        if name.startswith("layers.a."):
            found = found[stay]
        elif name in ("layers.b.conv.positive", "layers.b.conv.negative"):
            assert not found[:, [0, 4]].any()
            found = found[:, stay]
        torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-12)


@settings(max_examples=20, deadline=None)
@given(st.data())
@torch.no_grad()
def test_removing_nothing_is_the_identity(data):
    architecture = data.draw(architectures(sam=True))
    network = network_of(architecture, 5)
    everything = {group.name: tuple(range(group.width)) for group in channel_groups(architecture)}
    for kept in ({}, everything):
        for result in (prune(network, kept), prune(network, kept, compensate=False), mask(network, kept)):
            assert result.architecture == architecture
            state = result.state_dict()
            assert state.keys() == network.state_dict().keys()
            assert all(torch.equal(state[name], tensor) for name, tensor in network.state_dict().items())


@settings(max_examples=20, deadline=None)
@given(st.data())
def test_the_old_network_is_left_alone_and_shares_no_memory(data):
    architecture = data.draw(architectures(sam=True))
    kept = data.draw(kept_channels(architecture))
    network = network_of(architecture, 6)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    for result in (prune(network, kept), mask(network, kept)):
        for tensor in result.state_dict().values():
            tensor.fill_(1)
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())


@torch.no_grad()
def test_tiny_yolov3_in_single_precision():
    architecture = yolov3_tiny(2, (8, 8, 16, 16, 16, 24, 32, 16, 24, 8, 16))
    network = network_of(architecture, 7).float()
    for norm in (module for module in network.modules() if isinstance(module, torch.nn.BatchNorm2d)):
        norm.weight.mul_(0.2)  # outputs of order one
    kept = {group.name: tuple(range(1, group.width, 2)) for group in channel_groups(architecture)}
    x = pixels(architecture, 8, torch.float32, 64, 96)
    small = prune(network, kept, compensate=False)
    assert [layer.out_channels for layer in small.architecture.layers if layer.op == "conv"] == [
        4, 4, 8, 8, 8, 12, 16, 8, 12, 21, 4, 8, 21
    ]  # fmt: skip
    assert_same(small(x), without_channels(network, kept, x), 1e-5)


@torch.no_grad()
def test_a_padded_reader_is_exact_but_for_its_border():
    architecture = Architecture(
        name="padded",
        layers=(
            Conv(name="a", inputs=(IMAGE,), out_channels=6, kernel=1),
            Conv(name="head", inputs=("a",), out_channels=2, kernel=3, padding=1, norm=False, activation="linear"),
        ),
        heads=("head",),
    )
    network, kept, x = network_of(architecture, 9), {"a": (0, 4)}, pixels(architecture, 10)
    silence(network, kept)
    (small,), (big,) = prune(network, kept)(x), network(x)
    assert_same([small[..., 1:-1, 1:-1]], [big[..., 1:-1, 1:-1]], 1e-12)
    assert not torch.allclose(small[..., 0, :], big[..., 0, :])
    (plain,) = prune(network, kept, compensate=False)(x)
    assert not torch.isclose(plain, big)[..., 1:-1, 1:-1].any()


@torch.no_grad()
def test_widths_and_weights_of_a_residual_network_worked_by_hand():
    # stem (3) -> branch (3), joined; upsampled and concatenated with side (2); read by head.
    architecture = Architecture(
        name="residual",
        layers=(
            Conv(name="stem", inputs=(IMAGE,), out_channels=3, kernel=1, stride=2),
            Conv(name="branch", inputs=("stem",), out_channels=3, kernel=1),
            Add(name="join", inputs=("stem", "branch")),
            Upsample(name="up", inputs=("join",)),
            Conv(name="side", inputs=(IMAGE,), out_channels=2, kernel=1),
            Concat(name="cat", inputs=("side", "up")),
            MaxPool(name="pool", inputs=("cat",)),
            Conv(name="head", inputs=("pool",), out_channels=2, kernel=1, norm=False, activation="linear"),
        ),
        heads=("head",),
    )
    network = network_of(architecture, 11)
    small = prune(network, {"stem": (0, 2), "side": (1,)})
    widths = {layer.name: layer.out_channels for layer in small.architecture.layers if layer.op == "conv"}
    assert widths == {"stem": 2, "branch": 2, "side": 1, "head": 2}
    old, new = network.layers, small.layers
    assert torch.equal(new["branch"].conv.weight, old["branch"].conv.weight[[0, 2]][:, [0, 2]])
    assert torch.equal(new["branch"].norm.running_var, old["branch"].norm.running_var[[0, 2]])
    assert torch.equal(new["head"].conv.weight, old["head"].conv.weight[:, [1, 2, 4]])

    def leaky(value):
        return value if value > 0 else 0.1 * value

    stem, branch, side = (leaky(old[n].norm.bias[i].item()) for n, i in (("stem", 1), ("branch", 1), ("side", 0)))
    kernel = old["head"].conv.weight[:, :, 0, 0]
    expected = old["head"].conv.bias + kernel[:, 0] * side + kernel[:, 3] * (stem + branch)
    assert torch.allclose(new["head"].conv.bias, expected, atol=1e-12)
    lost = old["branch"].conv.weight[[0, 2], 1, 0, 0] * stem
    assert torch.allclose(new["branch"].norm.running_mean, old["branch"].norm.running_mean[[0, 2]] - lost, atol=1e-12)


def test_mode_and_training_go_on():
    network = Network(yolov3_tiny(2, (8,) * 11))
    network(torch.rand(2, 3, 32, 32))
    for training in (True, False):
        small = prune(network.train(training), {"conv3": (0, 1, 2, 5)})
        assert small.training is training and all(module.training is training for module in small.modules())
        assert small.layers["conv3"].norm.num_batches_tracked == 1
    small.train()
    optimizer = torch.optim.SGD(small.parameters(), 0.01)
    sum(head.square().mean() for head in small(torch.rand(2, 3, 32, 32))).backward()
    assert all(parameter.grad is not None for parameter in small.parameters())
    optimizer.step()


@pytest.mark.parametrize(
    ("kept", "complaint"),
    [
        ({"conv99": (0,)}, "'conv99' is no group"),
        ({"conv10": (0,)}, "'conv10' is no group"),
        ({"conv1": ()}, "'conv1'.*ascending channels of 0 to 7"),
        ({"conv1": (0, 8)}, "0 to 7"),
        ({"conv1": (-1, 0)}, "0 to 7"),
        ({"conv1": (2, 1)}, "ascending"),
        ({"conv1": (1, 1)}, "ascending"),
    ],
)
def test_channels_that_do_not_exist(kept, complaint):
    network = Network(yolov3_tiny(2, (8,) * 11))
    for cut in (prune, mask):
        with pytest.raises(ValueError, match=complaint):
            cut(network, kept)


def test_removed_outputs_of_the_helper():
    # The helper that masks in these tests, on a table worked by hand.
    assert removed_outputs(yolov3_tiny(2, (3,) * 11), {"conv2": (1,), "conv5": (0, 1)}) == {
        "conv2": [0, 2],
        "conv5": [2],
    }
