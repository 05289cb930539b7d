"""Removing channels: a smaller network that computes what the big one computes without them.

``kept`` names, for a group of `hwprune.prune.groups.channel_groups`, the channels that stay (ascending); a group
that it does not name stays whole.
"""

from collections.abc import Mapping, Sequence
from copy import deepcopy

import torch
from torch import Tensor

from hwprune.models.architecture import IMAGE, Architecture
from hwprune.models.network import ConvBlock, Network
from hwprune.prune.groups import channel_groups

Kept = Mapping[str, Sequence[int]]


def prune(network: Network, kept: Kept, compensate: bool = True) -> Network:
    """A new network without the removed channels; ``network`` itself is not changed.

    Without ``compensate`` it computes what ``network`` computes with the removed channels set to zero after their
    activation (see `mask`).

    With ``compensate`` a removed channel is taken for the constant that it is where its scale is zero, ``act(beta)``,
    and every convolution that read it gets what it lost: ``sum(kernel) * constant``, through its running mean, or
    through its bias where it has no batch norm. Constants pass max-pools and upsampling unchanged, are shifted by
    concats and summed by residual joins. This is exact where the scales are zero and the reading convolution pads
    nothing; a padded one sees zeros, not the constant, beyond the border, so its outermost pixels differ. A removed
    channel of a convolution without batch norm is taken for ``act(bias)``.

    Parameters
    ----------
    network
        A float network.
    kept
        Channels that stay.
    compensate
        Make the removed constants good.

    Returns
    -------
    Network
        With the same dtype, device and mode; all surviving parameters and running statistics are copied.

    Raises
    ------
    ValueError
        If ``kept`` names an unknown group or channel, or leaves a group empty.
    """
    architecture = network.architecture
    stays = _stays(architecture, kept)
    constants = _constants(network) if compensate else None
    state, widths = {}, {}
    with torch.no_grad():
        for layer in architecture.layers:
            if layer.op != "conv":
                continue
            out, into = stays[layer.name], stays[layer.input]
            widths[layer.name] = int(out.sum())
            block, prefix = network.layers[layer.name], f"layers.{layer.name}"
            tensors = {name: tensor.to(copy=True) for name, tensor in block.state_dict().items()}
            if compensate and not into.all():
                lost = block.conv.weight.sum((2, 3))[:, ~into] @ constants[layer.input][~into]
                if layer.norm:
                    tensors["norm.running_mean"] -= lost
                else:
                    tensors["conv.bias"] += lost
            for name, tensor in tensors.items():
                if tensor.ndim:  # but for the count of batches
                    tensor = tensor[out]
                state[f"{prefix}.{name}"] = tensor[:, into].contiguous() if name == "conv.weight" else tensor
    with torch.device("meta"):
        small = Network(architecture.with_widths(widths))
    small.load_state_dict(state, assign=True)
    return small.train(network.training)


def mask(network: Network, kept: Kept) -> Network:
    """A copy of ``network``, as wide as before, whose removed channels are zero after their activation.

    Their scale and shift become zero (kernel and bias where there is no batch norm), and every activation of a layer
    table maps zero to zero.
    """
    stays, masked = _stays(network.architecture, kept), deepcopy(network)
    with torch.no_grad():
        for name, block in masked.layers.items():
            if isinstance(block, ConvBlock):
                for parameter in (block.conv if block.conv.bias is not None else block.norm).parameters():
                    parameter[~stays[name]] = 0
    return masked


def _stays(architecture: Architecture, kept: Kept) -> dict[str, Tensor]:
    """For the image and every layer, which of its output channels stay: bool of shape (channels,)."""
    groups = {group.name: group for group in channel_groups(architecture)}
    convs = {}
    for name, channels in kept.items():
        if name not in groups:
            raise ValueError(f"{name!r} is no group of prunable channels; there are {', '.join(groups) or 'none'}")
        group = groups[name]
        if not channels or list(channels) != sorted(set(channels)) or channels[0] < 0 or channels[-1] >= group.width:
            raise ValueError(f"group {name!r}: kept {channels} should be ascending channels of 0 to {group.width - 1}")
        for conv, numbers in group.members.items():
            convs[conv] = torch.isin(torch.tensor(numbers), torch.tensor(channels))
    stays = {IMAGE: torch.ones(architecture.in_channels, dtype=torch.bool)}
    for layer in architecture.layers:
        incoming = [stays[source] for source in layer.inputs]
        if layer.op == "conv":
            stays[layer.name] = convs.get(layer.name, torch.ones(layer.out_channels, dtype=torch.bool))
        else:
            stays[layer.name] = torch.cat(incoming) if layer.op == "concat" else incoming[0]
    return stays


@torch.no_grad()
def _constants(network: Network) -> dict[str, Tensor]:
    """For the image and every layer, what each channel gives where its scale is zero; shape (channels,).

    It means something for the removed channels only.
    """
    like = next(network.parameters())
    constants = {IMAGE: like.new_zeros(network.architecture.in_channels)}
    for layer in network.architecture.layers:
        incoming = [constants[source] for source in layer.inputs]
        match layer.op:
            case "conv":
                block = network.layers[layer.name]
                constants[layer.name] = block.activation(block.norm.bias if layer.norm else block.conv.bias)
            case "concat":
                constants[layer.name] = torch.cat(incoming)
            case "add":
                constants[layer.name] = sum(incoming[1:], incoming[0])
            case _:
                constants[layer.name] = incoming[0]
    return constants
