"""Random layer tables and networks for the tests of this folder."""

import torch
from hypothesis import strategies as st
from torch import Tensor

from hwprune.models.architecture import IMAGE, Add, Architecture, Concat, Conv, MaxPool, Upsample
from hwprune.models.network import ConvBlock, Network
from hwprune.prune.groups import channel_groups

SIZE = 8  # of the image, in pixels


@st.composite
def architectures(draw, padding=True, norms_only=False):
    """A table of 4 to 20 layers with forks, concats, residual joins, pools and upsampling, and one or two heads."""
    channels, sizes, layers = {IMAGE: draw(st.integers(1, 3))}, {IMAGE: SIZE}, []

    def emit(row, *sources, out, size, **fields):
        name = f"{row.model_fields['op'].default}{len(layers)}"
        layers.append(row(name=name, inputs=sources, **fields))
        channels[name], sizes[name] = out, size

    def conv(source, out):
        kernel = draw(st.sampled_from((1, 3) if padding or sizes[source] >= 3 else (1,)))
        pad = draw(st.sampled_from((0, kernel // 2))) if padding and sizes[source] >= 3 else 0
        pad = kernel // 2 if padding and sizes[source] < 3 else pad
        stride = draw(st.sampled_from((1, 1, 2)))
        emit(Conv, source, out=out, size=(sizes[source] + 2 * pad - kernel) // stride + 1, out_channels=out,
             kernel=kernel, stride=stride, padding=pad, norm=norms_only or draw(st.integers(0, 4)) > 0,
             activation=draw(st.sampled_from(("leaky", "relu", "linear"))))  # fmt: skip

    def same(source):
        """Tensors of this tensor's size."""
        return [name for name in sizes if sizes[name] == sizes[source]]

    conv(IMAGE, draw(st.integers(2, 5)))
    for _ in range(draw(st.integers(2, 9))):
        # Mostly the newest, so that tables get deep; sometimes an older one, so that they fork.
        names = list(channels)
        source = names[-1] if draw(st.integers(0, 2)) else draw(st.sampled_from(names))
        match draw(st.sampled_from(("conv", "conv", "pool", "upsample", "concat", "concat", "add", "residual"))):
            case "pool" if sizes[source] >= 4:
                emit(MaxPool, source, out=channels[source], size=sizes[source] // 2)
            case "pool":
                emit(MaxPool, source, out=channels[source], size=sizes[source], stride=1, pad=(0, 1, 0, 1))
            case "upsample" if sizes[source] <= 8:
                emit(Upsample, source, out=channels[source], size=2 * sizes[source])
            case "concat":
                parts = draw(st.lists(st.sampled_from(same(source)), min_size=1, max_size=3))
                emit(Concat, *parts, out=sum(channels[part] for part in parts), size=sizes[source])
            case "add":
                parts = [name for name in same(source) if channels[name] == channels[source]]
                parts = draw(st.lists(st.sampled_from(parts), min_size=1, max_size=3))
                emit(Add, *parts, out=channels[source], size=sizes[source])
            case "residual":
                out = channels[source]
                emit(Conv, source, out=out, size=sizes[source], out_channels=out, kernel=1)
                emit(Add, source, layers[-1].name, out=out, size=sizes[source])
            case _:
                conv(source, draw(st.integers(2, 6)))
    newest = layers[-1].name
    emit(Conv, newest, out=4, size=sizes[newest], out_channels=4, kernel=1, norm=False, activation="linear")
    heads = {layers[-1].name: None}
    if not draw(st.integers(0, 4)):
        heads[draw(st.sampled_from([layer.name for layer in layers]))] = None
    return Architecture(name="random", in_channels=channels[IMAGE], layers=tuple(layers), heads=tuple(heads))


def network_of(architecture, seed) -> Network:
    """In float64 and evaluation mode, with random batch norms."""
    generator = torch.Generator().manual_seed(seed)
    network = Network(architecture).double().eval()
    for name, tensor in network.state_dict().items():
        if tensor.is_floating_point():
            low, high = (0.5, 2.0) if name.endswith("running_var") else (-1.0, 1.0)
            tensor.uniform_(low, high, generator=generator)
    return network


@st.composite
def kept_channels(draw, architecture):
    """Any non-empty choice in most of the groups."""
    kept = {}
    for group in channel_groups(architecture):
        if draw(st.integers(0, 4)):
            channels, least = st.integers(0, group.width - 1), min(1, group.width - 1)
            removed = draw(st.sets(channels, min_size=least, max_size=group.width - 1))
            kept[group.name] = tuple(i for i in range(group.width) if i not in removed)
    return kept


def removed_outputs(architecture, kept) -> dict[str, list[int]]:
    """For every convolution, which of its output channels ``kept`` removes."""
    return {
        conv: [i for i, number in enumerate(numbers) if number not in kept[group.name]]
        for group in channel_groups(architecture)
        if group.name in kept
        for conv, numbers in group.members.items()
    }


def silence(network, kept) -> None:
    """Make each removed channel the constant act(beta): scales zero, or kernels where there is no batch norm."""
    with torch.no_grad():
        for name, channels in removed_outputs(network.architecture, kept).items():
            block: ConvBlock = network.layers[name]
            (block.conv if block.conv.bias is not None else block.norm).weight[channels] = 0


def zero_after_activation(network, kept, x) -> list[Tensor]:
    """The outputs while hooks set the removed channels to zero."""
    handles = []
    for name, channels in removed_outputs(network.architecture, kept).items():

        def hook(_, __, output, channels=channels):
            output = output.clone()
            output[:, channels] = 0
            return output

        handles.append(network.layers[name].register_forward_hook(hook))
    try:
        return network(x)
    finally:
        for handle in handles:
            handle.remove()


def assert_same(found, expected, tolerance):
    """Equal to ``tolerance`` of each tensor's greatest magnitude."""
    assert len(found) == len(expected)
    for a, b in zip(found, expected, strict=True):
        assert a.shape == b.shape and torch.isfinite(b).all()
        assert (a - b).abs().max() <= tolerance * max(1.0, float(b.abs().max()))
