"""What every pruning method does: press while the network trains, then choose what stays. Surgery is apart from it."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar, Generic, TypeVar

from torch import Tensor

from hwprune.models.network import Network
from hwprune.prune.balance import balance
from hwprune.prune.settings import WidthSettings

Settings = TypeVar("Settings", bound=WidthSettings)
Score = Callable[[Network], float]
"""The validation figure of a network, 0 to 1, greater is better."""
Penalty = Callable[[Network, float], None]
"""Called between the backward pass and the step, with the network and the share of the training that is done."""
Chosen = dict[str, tuple[int, ...]]
"""As `hwprune.prune.kept.Kept`."""


class Method(ABC, Generic[Settings]):
    """A way to choose channels.

    Parameters
    ----------
    settings
        Of the method.
    seed
        Of the run, for methods that draw.

    Attributes
    ----------
    presses
        Whether the network trains under a penalty before channels are chosen.
    compensates
        Whether what goes is nearly constant, so that surgery can make it good (`hwprune.prune.surgery.prune`).
    found
        What the last choice came upon, in JSON's types, for the record.
    """

    presses: ClassVar[bool] = False
    compensates: ClassVar[bool] = False

    def __init__(self, settings: Settings, seed: int = 0):
        self.settings, self.seed = settings, seed
        self.found: dict[str, Any] = {}

    def penalty(self, network: Network, round: int, l1: float) -> Penalty | None:
        """What presses channels of ``network`` towards zero while it trains, or None where nothing does.

        Parameters
        ----------
        network
            Before this round's training; the hook may be given it or a copy.
        round
            From 0; for the multi-layer framework the number of the phase.
        l1
            Strength.
        """
        return None

    def choose(self, network: Network, round: int, score: Score) -> Chosen:
        """The channels that stay, with widths as the settings want them and such that surgery can be carried out.

        Parameters
        ----------
        network
            After this round's training; not changed.
        round
            As for `penalty`.
        score
            Asked by methods that search by it; it may take minutes.

        Raises
        ------
        UserError
            If the weights are not finite.
        """
        importance, kept = self.select(network, round, score)
        return balance(network.architecture, importance, kept, self.settings)

    @abstractmethod
    def select(self, network: Network, round: int, score: Score) -> tuple[dict[str, Tensor], Chosen]:
        """For the groups that the method acts on: importance of each channel, float64 (width,); and the channels that
        stay, whatever reads them."""
