"""The methods there are."""

from hwprune.prune.baselines import L1Norm, RandomFilters, UniformWidth
from hwprune.prune.method import Method
from hwprune.prune.multilayer import MultiLayer
from hwprune.prune.settings import (
    L1NormSettings,
    MultiLayerSettings,
    PruneSettings,
    RandomSettings,
    SlimmingSettings,
    UniformSettings,
)
from hwprune.prune.slimming import Slimming

METHODS: dict[type, type[Method]] = {
    SlimmingSettings: Slimming,
    MultiLayerSettings: MultiLayer,
    L1NormSettings: L1Norm,
    RandomSettings: RandomFilters,
    UniformSettings: UniformWidth,
}
"""By the type of their settings."""


def method(settings: PruneSettings, seed: int = 0) -> Method:
    """The method that the settings are of.

    Parameters
    ----------
    settings
        From a recipe's `prune`.
    seed
        Of the run.
    """
    return METHODS[type(settings)](settings, seed)
