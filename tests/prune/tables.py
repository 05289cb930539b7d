"""Random layer tables and networks for the tests of this folder."""

from itertools import chain

import torch
from hypothesis import strategies as st
from torch import Tensor

from hwprune.models.architecture import IMAGE, Add, Architecture, AvgPool, Concat, Conv, L2Norm, MaxPool, Upsample
from hwprune.models.network import ConvBlock, Network
from hwprune.prune.balance import balance
from hwprune.prune.groups import channel_groups
from hwprune.prune.settings import SlimmingSettings
from hwprune.sam import neuron
from tests.nets import sam_neurons

SIZE = 8  # of the image, in pixels


@st.composite
def architectures(draw, padding=True, norms_only=False, sam=False, activations=("leaky", "relu", "linear"),
                  means=True, lengths=True, joins=True):  # fmt: skip
    """A table of 4 to 20 layers with forks, concats, residual joins, pools, dilations and upsampling, and one or two
    heads; with ``sam`` some layers are SAM. ``means``, ``lengths`` and ``joins`` allow mean pools, normalisations over
    channels and residual joins."""
    channels, sizes, layers = {IMAGE: draw(st.integers(1, 3))}, {IMAGE: SIZE}, []

    def emit(row, *sources, out, size, **fields):
        name = f"{row.model_fields['op'].default}{len(layers)}"
        if row is Conv and sam:
            fields["sam"] = draw(sam_neurons(channels[sources[0]], fields["kernel"], floors=True))
        layers.append(row(name=name, inputs=sources, **fields))
        channels[name], sizes[name] = out, size

    def conv(source, out):
        kernel = draw(st.sampled_from((1, 3) if padding or sizes[source] >= 3 else (1,)))
        pad = draw(st.sampled_from((0, kernel // 2))) if padding and sizes[source] >= 3 else 0
        pad = kernel // 2 if padding and sizes[source] < 3 else pad
        stride = draw(st.sampled_from((1, 1, 2)))
        fields = {}
        if kernel == 3 and not sam and sizes[source] >= (3 if pad else 5) and draw(st.booleans()):
            fields["dilation"], pad = 2, 2 * pad
        reach = fields.get("dilation", 1) * (kernel - 1) + 1
        emit(Conv, source, out=out, size=(sizes[source] + 2 * pad - reach) // stride + 1, out_channels=out,
             kernel=kernel, stride=stride, padding=pad, **fields, norm=norms_only or draw(st.integers(0, 4)) > 0,
             activation=draw(st.sampled_from(activations)))  # fmt: skip

    def same(source):
        """Tensors of this tensor's size."""
        return [name for name in sizes if sizes[name] == sizes[source]]

    # Widths that have groups, and groups that can shrink.
    widths = st.sampled_from((4, 6, 8)) if sam else st.integers(2, 6)
    conv(IMAGE, draw(widths))
    for _ in range(draw(st.integers(2, 9))):
        # Mostly the newest, so that tables get deep; sometimes an older one, so that they fork.
        names = list(channels)
        source = names[-1] if draw(st.integers(0, 2)) else draw(st.sampled_from(names))
        match draw(st.sampled_from(("conv", "conv", "pool", "mean", "length", "upsample", "concat", "concat",
                                    "add", "residual"))):  # fmt: skip
            case "pool" if sizes[source] >= 4:
                emit(MaxPool, source, out=channels[source], size=sizes[source] // 2)
            case "pool":
                emit(MaxPool, source, out=channels[source], size=sizes[source], stride=1, pad=(0, 1, 0, 1))
            case "mean" if means and sizes[source] >= 2:
                emit(AvgPool, source, out=channels[source], size=sizes[source] // 2)
            case "length" if lengths:
                emit(L2Norm, source, out=channels[source], size=sizes[source])
            case "upsample" if sizes[source] <= 8:
                emit(Upsample, source, out=channels[source], size=2 * sizes[source])
            case "concat":
                parts = draw(st.lists(st.sampled_from(same(source)), min_size=1, max_size=3))
                emit(Concat, *parts, out=sum(channels[part] for part in parts), size=sizes[source])
            case "add" if joins:
                parts = [name for name in same(source) if channels[name] == channels[source]]
                parts = draw(st.lists(st.sampled_from(parts), min_size=1, max_size=3))
                emit(Add, *parts, out=channels[source], size=sizes[source])
            case "residual" if joins:
                out = channels[source]
                emit(Conv, source, out=out, size=sizes[source], out_channels=out, kernel=1, activation=activations[0])
                emit(Add, source, layers[-1].name, out=out, size=sizes[source])
            case _:
                conv(source, draw(widths))
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


def exact_network_of(architecture, seed) -> Network:
    """Like `network_of`, but all that it computes (without leaky activations) is whole numbers, so that no rounding
    depends on the order of a sum."""
    generator = torch.Generator().manual_seed(seed)
    network = Network(architecture).double().eval()
    for name, tensor in network.state_dict().items():
        if name.endswith("running_var"):
            tensor.fill_(1 - 1e-5)
        elif name.endswith("norm.weight"):
            tensor.copy_(torch.randint(0, 2, tensor.shape, generator=generator) * 2 - 1)
        elif tensor.is_floating_point():
            most = 1 if name.endswith("conv.weight") else 4
            tensor.copy_(torch.randint(-most, most + 1, tensor.shape, generator=generator))
    return network


@st.composite
def kept_channels(draw, architecture):
    """A choice in most of the groups, made to fit the layers that read it."""
    kept, importance = {}, {}
    for group in channel_groups(architecture):
        if draw(st.integers(0, 4)):
            ranks = draw(st.permutations(range(group.width)))
            stay = draw(st.integers(1, group.width))
            kept[group.name] = tuple(i for i, rank in enumerate(ranks) if rank < stay)
            importance[group.name] = -torch.tensor(ranks, dtype=torch.float64)
    return balance(architecture, importance, kept, SlimmingSettings(min_channels=1, multiple=1))


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


def without_channels(network, kept, x) -> list[Tensor]:
    """The outputs while each convolution and each normalisation over channels reads zero for the removed channels, and
    the removed connections of each SAM layer are left out of its definition."""
    removed = removed_outputs(network.architecture, kept)
    values, gone = {IMAGE: x}, {IMAGE: [False] * x.shape[1]}
    for layer in network.architecture.layers:
        incoming, lost = [values[source] for source in layer.inputs], [gone[source] for source in layer.inputs]
        module = network.layers[layer.name]
        if layer.op == "l2norm":
            incoming = [incoming[0] * ~torch.tensor(lost[0])[:, None, None]]
        if layer.op != "conv":
            values[layer.name] = module(*incoming)
            gone[layer.name] = list(chain.from_iterable(lost)) if layer.op == "concat" else lost[0]
            continue
        if layer.sam:
            sums = _sam_without(module.conv, incoming[0], lost[0])
        else:
            sums = module.conv(incoming[0] * ~torch.tensor(lost[0])[:, None, None])
        values[layer.name] = module.activation(module.norm(sums))
        gone[layer.name] = [i in removed.get(layer.name, ()) for i in range(layer.out_channels)]
    return [values[head] for head in network.architecture.heads]


def _sam_without(conv, x, lost) -> Tensor:
    stays = ~torch.tensor(lost)
    if conv.sam.group:
        per_group = stays.reshape(-1, conv.sam.group).sum(1)
        assert per_group.eq(per_group[0]).all()
        group = int(per_group[0])
    else:
        group = int(stays.sum()) * conv.positive.shape[-1] ** 2
    seen = neuron.windows(x[:, stays].numpy(), conv.positive.shape[-1], conv.stride, conv.padding)
    p, n = (None if w is None else neuron.connections(w[:, stays].numpy()) for w in (conv.positive, conv.negative))
    sign = None if conv.polarity is None else torch.where(conv.polarity >= 0, 1.0, -1.0).numpy()
    sums = torch.from_numpy(neuron.sam(seen, conv.sam.form, group, p, n, sign, conv.sam.floor)).permute(0, 3, 1, 2)
    return sums if conv.bias is None else sums + conv.bias[:, None, None]


def assert_same(found, expected, tolerance):
    """Equal to ``tolerance`` of each tensor's greatest magnitude."""
    assert len(found) == len(expected)
    for a, b in zip(found, expected, strict=True):
        assert a.shape == b.shape and torch.isfinite(b).all()
        assert (a - b).abs().max() <= tolerance * max(1.0, float(b.abs().max()))
