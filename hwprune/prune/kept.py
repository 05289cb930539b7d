"""The channels that stay.

``kept`` names, for a group of `hwprune.prune.groups.channel_groups`, the channels that stay (ascending); a group that
it does not name stays whole.
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from hwprune.models.architecture import IMAGE, Architecture
from hwprune.prune.groups import channel_groups

Kept = Mapping[str, Sequence[int]]


def stays_of(architecture: Architecture, kept: Kept) -> dict[str, Tensor]:
    """For the image and every layer, which of its output channels stay: bool of shape (channels,).

    Raises
    ------
    ValueError
        If ``kept`` names an unknown group or channel, or leaves a layer without channels.
    """
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
            if not convs[conv].any():
                raise ValueError(
                    f"group {name!r}: kept {channels} leave layer {conv!r} no channel; "
                    f"its channels are {', '.join(map(str, sorted(set(numbers))))} of the group"
                )
    stays = {IMAGE: torch.ones(architecture.in_channels, dtype=torch.bool)}
    for layer in architecture.layers:
        incoming = [stays[source] for source in layer.inputs]
        if layer.op == "conv":
            stays[layer.name] = convs.get(layer.name, torch.ones(layer.out_channels, dtype=torch.bool))
        else:
            stays[layer.name] = torch.cat(incoming) if layer.op == "concat" else incoming[0]
    return stays
