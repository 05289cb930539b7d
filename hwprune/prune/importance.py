"""How much each prunable channel matters: functions from a network to one score per channel."""

import torch
from torch import Tensor, nn

from hwprune.errors import UserError
from hwprune.models.network import Network
from hwprune.prune.groups import Group, channel_groups
from hwprune.prune.kept import Kept, stays_of


def scored_groups(network: Network) -> dict[str, tuple[Group, dict[str, nn.Parameter]]]:
    """By name, the groups of which every convolution has a batch norm, each with its convolutions' gammas."""
    scored = {}
    for group in channel_groups(network.architecture):
        norms = {name: network.layers[name].norm for name in group.members}
        if all(isinstance(norm, nn.BatchNorm2d) for norm in norms.values()):
            scored[group.name] = group, {name: norm.weight for name, norm in norms.items()}
    return scored


def slimming(network: Network) -> dict[str, Tensor]:
    """The magnitude of batch norm's scale (Liu et al., "Learning Efficient Convolutional Networks through Network
    Slimming", ICCV 2017).

    A channel shared by several convolutions gets the greatest of their scales: it carries nothing only if each of them
    gives nothing to the sum.

    Returns
    -------
    dict
        For every group with a score, float64 of shape (width,), on the CPU.

    Raises
    ------
    UserError
        If a scale is not finite.
    """
    scores = {}
    for group, gammas in scored_groups(network).values():
        score = torch.zeros(group.width, dtype=torch.float64)
        for name, gamma in gammas.items():
            if not torch.isfinite(gamma).all():
                raise UserError(f"layer {name}: batch norm has scales that are not finite; train with a smaller step")
            magnitude = gamma.detach().abs().to("cpu", torch.float64)
            score.scatter_reduce_(0, torch.tensor(group.members[name]), magnitude, "amax")
        scores[group.name] = score
    return scores


def l1_norm(network: Network, group: Group, kept: Kept) -> Tensor:
    """The sum of a filter's magnitudes (Li et al., "Pruning Filters for Efficient ConvNets", ICLR 2017, section 3.1).

    A channel shared by several convolutions gets the sum over their filters; the paper, whose residual blocks have a
    projection on the way around, goes by that convolution alone.

    Parameters
    ----------
    network
        Of multiply-accumulates, in these layers.
    group
        Whose channels.
    kept
        Of other groups: what reads their removed channels is left out (section 3.3, the greedy strategy).

    Returns
    -------
    Tensor
        float64 (width,), on the CPU.

    Raises
    ------
    UserError
        If a weight is not finite.
    """
    sums, stays = torch.zeros(group.width, dtype=torch.float64), stays_of(network.architecture, kept)
    for name, numbers in group.members.items():
        weight = finite_weight(network, name)[:, stays[network.architecture[name].input]]
        sums.index_add_(0, torch.tensor(numbers), weight.abs().sum((1, 2, 3)))
    return sums


def finite_weight(network: Network, name: str) -> Tensor:
    """The kernel of a convolution, float64 (out, in, k, k), on the CPU.

    Raises
    ------
    UserError
        If a weight is not finite.
    """
    weight = network.layers[name].conv.weight.detach().to("cpu", torch.float64)
    if not torch.isfinite(weight).all():
        raise UserError(f"layer {name}: has weights that are not finite; train with a smaller step")
    return weight
