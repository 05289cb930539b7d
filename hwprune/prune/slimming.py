"""Sparsity for network slimming: an L1 penalty on the scales of batch norm while the network trains."""

from collections.abc import Callable

import torch

from hwprune.models.network import Network
from hwprune.prune.importance import scored_groups


def slimming_penalty(l1: float) -> Callable[[Network, float], None]:
    """A hook for the training loop, called between the backward pass and the step.

    It adds the sub-gradient of ``l1 * sum(|gamma|)`` over the prunable channels (Liu et al., ICCV 2017, equation 1), so
    the loss that is logged stays that of the task.

    Parameters
    ----------
    l1
        Strength of the penalty, the paper's lambda.

    Returns
    -------
    Callable
        ``hook(network, progress)``; ``progress`` (0 to 1) is not used, for the penalty is constant.
    """

    @torch.no_grad()
    def add_subgradient(network: Network, progress: float) -> None:
        for _, gammas in scored_groups(network).values():
            for gamma in gammas.values():
                if gamma.grad is not None:
                    gamma.grad.add_(gamma.sign(), alpha=l1)

    return add_subgradient
