"""Zero rows: how empty the filters of a thresholded network are (Singh et al., WACV 2019, section 3.4).

A row is what stands side by side in a kernel: of a filter of (channels, k, k), one of channels * k runs of k weights.
It is a zero row if all of them are zero; in a kernel of 1x1 it is one weight. The text tells no more than "row in a
filter", and its size was lost in the copy that we have.
"""

import torch
from torch import Tensor

from hwprune.models.network import Network
from hwprune.prune.groups import Group, channel_groups, input_channels
from hwprune.prune.kept import Kept, stays_of


def zero_rows(weight: Tensor) -> Tensor:
    """Which rows are zero: bool (out, in, k) for a kernel (out, in, k, k)."""
    return ~weight.ne(0).any(-1)


def filter_sparsity(network: Network, group: Group, kept: Kept) -> Tensor:
    """The share of zero rows in the filters that make each channel of a group; F in Algorithm 1.

    Filters lose what read channels that are removed already, as in Algorithm 1. A channel that several convolutions
    make together has the least share of their filters: it is weak only where each is.

    Parameters
    ----------
    network
        Thresholded, of multiply-accumulates in these layers.
    group
        Whose channels.
    kept
        What earlier layers keep.

    Returns
    -------
    Tensor
        float64 (width,), 0 to 1.
    """
    share, stays = torch.ones(group.width, dtype=torch.float64), stays_of(network.architecture, kept)
    for name, numbers in group.members.items():
        weight = network.layers[name].conv.weight[:, stays[network.architecture[name].input]]
        own = zero_rows(weight.detach()).double().mean((1, 2)).cpu()
        share.scatter_reduce_(0, torch.tensor(numbers), own, "amin")
    return share


def next_sparsity(network: Network, group: Group, kept: Kept) -> Tensor:
    """The share of zero rows in the weights that read each channel of a group; G in Algorithm 1.

    Where several layers read it, such as the next convolution and a detection layer's two, or through pools, joins and
    normalisations, it is the least share of any: what a channel gives is little only where each makes little of it. The
    paper, which has one next layer, does not say. SAM layers, whose weights are no factors, count as 0; a channel that
    nothing reads has 1.

    Parameters and the result are as in `filter_sparsity`; a layer that reads the group and keeps less than all of its
    own channels is taken without those that go.
    """
    architecture = network.architecture
    share, stays = torch.ones(group.width, dtype=torch.float64), stays_of(architecture, kept)
    for name, incoming in input_channels(architecture, channel_groups(architecture)).items():
        places: dict[int, list[int]] = {}
        for place, (owner, number) in enumerate(incoming):
            if owner == group.name:
                places.setdefault(number, []).append(place)
        if not places:
            continue
        if architecture[name].sam:
            share[list(places)] = 0
            continue
        rows = zero_rows(network.layers[name].conv.weight.detach())[stays[name]].double().cpu()
        for number, own in places.items():
            share[number] = min(share[number], rows[:, own].mean())
    return share
