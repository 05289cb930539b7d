"""The multi-layer framework (Singh, Manikandan, Matiyali and Namboodiri, "Multi-layer Pruning Framework for Compressing
Single Shot MultiBox Detector", WACV 2019): filters of a set of consecutive layers whose weights are mostly zero."""

from copy import deepcopy
from typing import Any

import torch
from torch import Tensor

from hwprune.models.network import Network
from hwprune.prune.groups import Group, groups_among
from hwprune.prune.importance import finite_weight
from hwprune.prune.layers import LayersError, layer_set, matching
from hwprune.prune.method import Chosen, Method, Penalty, Score
from hwprune.prune.settings import MultiLayerSettings
from hwprune.prune.sparsity import filter_sparsity, next_sparsity

STEP, STEPS = 1 / 16, 64
"""Thresholds are sought among the multiples of `STEP` standard deviations, up to so many of them."""


class MultiLayer(Method[MultiLayerSettings]):
    """Section 3 of the paper, one phase a round.

    Sparsity induction (3.3): L1 on all weights of the set, its detection layers included, in training; then the weights
    below one threshold become zero in a copy. Filter selection (3.4, Algorithm 1), layer by layer in the order of the
    data flow: a filter goes if its share of zero rows is at least s_F, or at least s'_F where what the next layers make
    of its output has s_G. Both are counted in the copy, which loses the rows of filters that earlier layers have lost;
    the network that is pruned keeps the values from before the threshold. The last layer of the set is mostly read by
    a layer outside, which trains without the penalty and keeps its small weights, so there the first condition decides.

    A layer never loses all: of one whose filters would all go, the fullest stays, as does what `min_channels` and
    `multiple` want, which comes back after all layers have been gone through. Fully connected layers go by
    `MultiLayerSettings.fully_connected`, within the same phases.
    """

    presses = compensates = True

    def penalty(self, network: Network, round: int, l1: float) -> Penalty:
        names = self._set(network, round)

        @torch.no_grad()
        def add_subgradient(network: Network, progress: float) -> None:
            for name in names:
                weight = network.layers[name].conv.weight
                if weight.grad is not None:
                    weight.grad.add_(weight.sign(), alpha=l1)

        return add_subgradient

    def select(self, network: Network, round: int, score: Score) -> tuple[dict[str, Tensor], Chosen]:
        names = self._set(network, round)
        deviation = torch.cat([finite_weight(network, name).flatten() for name in names]).std(correction=0).item()
        multiple, searched = self.settings.threshold, {}
        if multiple is None:
            multiple, searched = _search(network, names, deviation, score, self.settings.max_drop)
        sparse = thresholded(network, names, multiple * deviation)
        neurons = _neurons(network, self.settings.fully_connected)
        importance, kept, counted = {}, {}, {}
        for group in groups_among(network.architecture, names):
            own, following = filter_sparsity(sparse, group, kept), next_sparsity(sparse, group, kept)
            dead = (own == 1) | (following == 1)
            gone = self._goes(own, following) if neurons.isdisjoint(group.members) else dead
            # Of filters as empty as each other, the one with the greater weights counts for more.
            importance[group.name] = 1 - own + 1e-9 * _magnitude(network, group)
            if gone.all():
                gone[importance[group.name].argmax()] = False
            kept[group.name] = tuple((~gone).nonzero().flatten().tolist())
            counted[group.name] = {
                "filter_sparsity": own.mean().item(),
                "next_sparsity": following.mean().item(),
                "removable": int(gone.sum()),
            }
        self.found = {"set": list(names), "threshold": multiple * deviation, "deviations": multiple, **searched,
                      "groups": counted}  # fmt: skip
        return importance, kept

    def _goes(self, own: Tensor, following: Tensor) -> Tensor:
        s = self.settings
        return (own >= s.filter_sparsity) | ((own >= s.weak_filter_sparsity) & (following >= s.next_sparsity))

    def _set(self, network: Network, phase: int) -> tuple[str, ...]:
        return layer_set(network.architecture, *self.settings.phases[phase])


def thresholded(network: Network, names: tuple[str, ...], threshold: float) -> Network:
    """A copy of ``network`` in which the weights of these convolutions with an absolute value below ``threshold`` are
    zero."""
    copy = deepcopy(network)
    with torch.no_grad():
        for name in names:
            weight = copy.layers[name].conv.weight
            weight[weight.abs() < threshold] = 0
    return copy


def _search(
    network: Network, names: tuple[str, ...], deviation: float, score: Score, max_drop: float
) -> tuple[float, dict[str, Any]]:
    """The greatest multiple of the deviation whose threshold costs no more than ``max_drop`` of the score, to `STEP`;
    and what was tried.

    By bisection, as if the score only fell: where it does not, the multiple holds and the next one does not.
    """
    before = score(network)
    tried = {}

    def holds(step: int) -> bool:
        tried[step] = score(thresholded(network, names, step * STEP * deviation))
        return tried[step] >= before - max_drop

    low, high = 0, STEPS
    if holds(STEPS):
        low = STEPS
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if holds(middle) else (low, middle)
    return low * STEP, {
        "score_before": before,
        "score_thresholded": tried.get(low, before),
        "tried": [[step * STEP, value] for step, value in sorted(tried.items())],
    }


def _neurons(network: Network, patterns: tuple[str, ...]) -> set[str]:
    names = set()
    for pattern in patterns:
        try:
            names.update(matching(network.architecture, [pattern]))
        except LayersError:
            continue  # a network without fully connected layers; a pattern that the recipe gives is held to its names
    return names


def _magnitude(network: Network, group: Group) -> Tensor:
    """The greatest of a channel's weights, in that of the group; 0 to 1, float64 (width,)."""
    greatest = torch.zeros(group.width, dtype=torch.float64)
    for name, numbers in group.members.items():
        own = finite_weight(network, name).abs().amax((1, 2, 3))
        greatest.scatter_reduce_(0, torch.tensor(numbers), own, "amax")
    return greatest / greatest.max().clamp(min=torch.finfo(torch.float64).tiny)
