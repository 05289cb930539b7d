"""What the tables of papers compare with: the L1 norm of filters, filters at random, and narrower layers all over."""

import numpy as np
import torch
from torch import Tensor

from hwprune.models.network import Network
from hwprune.prune.groups import channel_groups, groups_among
from hwprune.prune.importance import l1_norm
from hwprune.prune.layers import matching
from hwprune.prune.method import Chosen, Method, Score
from hwprune.prune.select import select_each
from hwprune.prune.settings import L1NormSettings, RandomSettings, UniformSettings


class L1Norm(Method[L1NormSettings]):
    """Of each layer, the filters with the least sum of magnitudes go (Li et al., ICLR 2017, section 3.1); all layers
    at once, as in section 3.3. The paper prunes a trained network, so nothing is pressed."""

    def select(self, network: Network, round: int, score: Score) -> tuple[dict[str, Tensor], Chosen]:
        importance, kept = {}, {}
        for group in groups_among(network.architecture, matching(network.architecture, self.settings.layers)):
            before = kept if self.settings.greedy else {}
            importance[group.name] = l1_norm(network, group, before)
            kept |= select_each({group.name: importance[group.name]}, self.settings.left, self.settings)
        return importance, kept


class RandomFilters(Method[RandomSettings]):
    """The share of each layer's filters at random (RRF, Singh et al., section 4.1.1). What it draws depends on the
    seed, the round and the widths of these layers."""

    def select(self, network: Network, round: int, score: Score) -> tuple[dict[str, Tensor], Chosen]:
        draw = np.random.default_rng([self.seed, round])
        groups = groups_among(network.architecture, matching(network.architecture, self.settings.layers))
        importance = {group.name: torch.from_numpy(draw.permutation(group.width)).double() for group in groups}
        return importance, select_each(importance, self.settings.left, self.settings)


class UniformWidth(Method[UniformSettings]):
    """The first channels of every layer stay."""

    def select(self, network: Network, round: int, score: Score) -> tuple[dict[str, Tensor], Chosen]:
        importance = {
            group.name: torch.arange(group.width, 0, -1).double() for group in channel_groups(network.architecture)
        }
        return importance, select_each(importance, self.settings.left, self.settings)
