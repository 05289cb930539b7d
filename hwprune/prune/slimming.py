"""Network slimming (Liu et al., "Learning Efficient Convolutional Networks through Network Slimming", ICCV 2017): an L1
penalty on the scales of batch norm while the network trains, then one threshold for all of them."""

import torch
from torch import Tensor

from hwprune.models.network import Network
from hwprune.prune.importance import scored_groups, slimming
from hwprune.prune.method import Chosen, Method, Penalty, Score
from hwprune.prune.select import select
from hwprune.prune.settings import SlimmingSettings


class Slimming(Method[SlimmingSettings]):
    """The channels of the least scales go (section 3). Rounds are the paper's multi-pass scheme: all of it again, on
    the slim network. A neuron of a fully connected layer is a channel; a layer without batch norm keeps all it has."""

    presses = compensates = True

    def penalty(self, network: Network, round: int, l1: float) -> Penalty:
        return slimming_penalty(l1)

    def select(self, network: Network, round: int, score: Score) -> tuple[dict[str, Tensor], Chosen]:
        importance = slimming(network)
        return importance, select(importance, self.settings)


def slimming_penalty(l1: float) -> Penalty:
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
