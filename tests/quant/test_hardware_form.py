"""The hardware form of a float network is the network: exactly for means, at the mean length for normalisations."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hwprune.errors import UserError
from hwprune.models.architecture import IMAGE, Architecture, AvgPool, Conv, L2Norm, MaxPool
from hwprune.models.network import Network
from hwprune.models.ssd import ssd300
from hwprune.models.vgg import vgg19_bn, vgg19_widths
from hwprune.quant.hardware_form import hardware_form
from hwprune.quant.hardware_table import hardware_table
from hwprune.sam.settings import Sam


def conv(name, source, channels=3, **fields):
    fields = {"kernel": 3, "padding": 1, "activation": "relu"} | fields
    return Conv(name=name, inputs=(source,), out_channels=channels, **fields)


def head(source="conv2"):
    return Conv(name="head", inputs=(source,), out_channels=2, kernel=1, norm=False, activation="linear")


def table(*layers, heads=("head",)):
    return Architecture(name="net", layers=layers, heads=heads)


def network(architecture, seed=0):
    """In double precision, evaluated, with statistics and scales that are not all alike."""
    torch.manual_seed(seed)
    made = Network(architecture).double().eval()
    for module in made.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
            torch.nn.init.uniform_(module.bias, -0.3, 0.5)
            module.running_mean.uniform_(-0.2, 0.2)
    for layer in architecture.layers:
        if layer.op == "l2norm":
            torch.nn.init.uniform_(made.layers[layer.name].weight, 5, 20)
    return made


def dataset(size, count=3, seed=1):
    made = torch.Generator().manual_seed(seed)
    return [(torch.randint(0, 256, (3, *size), dtype=torch.uint8, generator=made), {}) for _ in range(count)]


def outputs(net, samples):
    with torch.no_grad():
        return net(torch.stack([image for image, _ in samples]).double() / 255)


@settings(max_examples=40, deadline=None)
@given(
    windows=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    kernel=st.integers(1, 3),
    stride=st.integers(1, 2),
    dilation=st.integers(1, 2),
    size=st.tuples(st.integers(15, 19), st.integers(15, 19)),
    norm=st.booleans(),
)
def test_a_mean_and_a_convolution_are_one(windows, kernel, stride, dilation, size, norm):
    fields = {"kernel": kernel, "stride": stride, "dilation": dilation, "padding": 0, "norm": norm}
    net = network(table(
        conv("conv1", IMAGE),
        AvgPool(name="mean", inputs=("conv1",), kernel=windows[0], stride=windows[1]),
        conv("conv2", "mean", **fields),
        conv("conv3", "mean", 2, norm=False, kernel=1, padding=0),
        head(),
        heads=("head", "conv3"),
    ))  # fmt: skip
    samples = dataset(size)
    made = hardware_form(net, samples)
    assert {layer.op for layer in made.architecture.layers} == {"conv"}
    assert made.architecture["conv2"].input == "conv1" and made.architecture["conv2"].dilation == 1
    for ours, float_net in zip(outputs(made, samples), outputs(net, samples), strict=True):
        assert ours.shape == float_net.shape
        torch.testing.assert_close(ours, float_net, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("padding", [1, 2])
def test_padded_means_that_cover_the_map_once_stay_exact(padding):
    net = network(table(
        conv("conv1", IMAGE),
        AvgPool(name="mean", inputs=("conv1",), kernel=2, stride=2),
        conv("conv2", "mean", padding=padding, stride=2),
        head(),
    ))  # fmt: skip
    samples = dataset((8, 12))
    (ours,), (float_net,) = outputs(hardware_form(net, samples), samples), outputs(net, samples)
    torch.testing.assert_close(ours, float_net, rtol=1e-12, atol=1e-12)
    with pytest.raises(UserError, match="'conv2' pads the means of 'mean'"):
        hardware_table(net.architecture, (9, 12))


def test_a_normalisation_is_exact_where_all_lengths_are_the_mean():
    """Every pixel is one colour, so is every length."""
    net = network(table(
        conv("conv1", IMAGE, 4, kernel=1, padding=0),
        L2Norm(name="norm1", inputs=("conv1",)),
        MaxPool(name="pool1", inputs=("conv1",)),
        conv("conv2", "pool1", kernel=1, padding=0),
        head(),
        *(conv(f"branch{k}", "norm1", 2 + k, norm=False, activation="linear") for k in range(2)),
        heads=("head", "branch0", "branch1"),
    ))  # fmt: skip
    samples = [(torch.tensor([200, 90, 30], dtype=torch.uint8)[:, None, None].expand(3, 6, 8), {})]
    before = {name: value.clone() for name, value in net.state_dict().items()}
    made = hardware_form(net, samples)
    assert made.architecture["branch1"].input == "conv1" and "norm1" not in made.layers
    for ours, float_net in zip(outputs(made, samples), outputs(net, samples), strict=True):
        torch.testing.assert_close(ours, float_net, rtol=1e-6, atol=1e-6)  # lengths are of float32 pixels
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())


def test_the_length_is_the_mean_of_all_pixels_and_images():
    net = network(table(conv("conv1", IMAGE, 4), L2Norm(name="norm1", inputs=("conv1",)), head("norm1")))
    samples = dataset((6, 7), count=5)
    made = hardware_form(net, samples, batch_size=2)
    with torch.no_grad():
        values = net.layers["conv1"](torch.stack([image for image, _ in samples]).double() / 255)
    length = values.square().sum(1).sqrt().mean()
    expected = net.layers["head"].conv.weight * (net.layers["norm1"].weight / length)[:, None, None]
    torch.testing.assert_close(made.layers["head"].conv.weight, expected)


def test_published_networks_have_a_hardware_form():
    widths = {name: 4 for name in vgg19_widths()}
    for architecture, size in (
        (ssd300(2, {"conv4_3": 6}, 2, image_size=(64, 64)), (64, 64)),
        (vgg19_bn(3, widths), (32, 32)),
    ):
        made = hardware_table(architecture, size)
        assert made.heads == architecture.heads
        assert {layer.op for layer in made.layers} == {"conv", "maxpool"}
        shapes = architecture.shapes(*size)
        assert all(made.shapes(*size)[name] == shapes[name] for name in made.heads)
    assert made["fc6"].kernel == made["fc6"].stride == 2


def test_what_needs_no_change_is_the_network_itself():
    net = network(table(conv("conv1", IMAGE), conv("conv2", "conv1"), head()))
    assert hardware_form(net, dataset((6, 6))) is net


REFUSED = [
    ((L2Norm(name="norm1", inputs=("conv1",)), MaxPool(name="pool1", inputs=("norm1",)), head("pool1")), "pool1 reads"),
    ((AvgPool(name="norm1", inputs=("conv1",)), AvgPool(name="pool1", inputs=("norm1",)), head("pool1")), "pool1 re"),
    (
        (L2Norm(name="norm1", inputs=("conv1",)), conv("conv2", "norm1", sam=Sam(form="maxmin", group=1)), head()),
        "conv2 reads it",
    ),
]


@pytest.mark.parametrize(("layers", "named"), REFUSED)
def test_other_readers_are_named(layers, named):
    with pytest.raises(UserError, match=f"layer 'norm1' of 'net'.*{named}"):
        hardware_table(table(conv("conv1", IMAGE, 4), *layers), (8, 8))


def test_a_removed_head_and_a_dead_layer_are_named():
    norm = L2Norm(name="norm1", inputs=("conv1",))
    with pytest.raises(UserError, match=r"layer 'norm1' .*the host reads it"):
        hardware_table(table(conv("conv1", IMAGE, 4), norm, head("norm1"), heads=("head", "norm1")), (8, 8))
    net = network(table(conv("conv1", IMAGE, 4, norm=False), norm, head("norm1")))
    torch.nn.init.constant_(net.layers["conv1"].conv.weight, -1)
    torch.nn.init.constant_(net.layers["conv1"].conv.bias, -1)
    with pytest.raises(UserError, match="layer 'norm1': all that it normalises is zero"):
        hardware_form(net, dataset((6, 6)))
