"""How much each prunable channel matters: a function from a network to one score per channel and group."""

import torch
from torch import Tensor, nn

from hwprune.errors import UserError
from hwprune.models.network import Network
from hwprune.prune.groups import Group, channel_groups


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


METHODS = {"slimming": slimming}
"""By the name in `hwprune.prune.settings.PruneSettings.method`."""
