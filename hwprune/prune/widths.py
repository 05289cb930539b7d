"""Widths chosen jointly for a budget: the least loss of importance among those whose accelerator keeps to it.

The loss is that of a chain: what a group keeps is a share of its own importance, and the product of all shares is to be
greatest (the sum of their negative logarithms least). The mere sum of what all groups keep would starve narrow layers
whose channels cost much, such as the last ones before the heads: on the digits detector it left three quarters of the
importance but three layers of four channels, and fine-tuning took it to an mAP50 of 0.33; by the product it left 0.69
and went to 0.47 (`benchmarks/hardware_widths.py`).

A width is worth what the folding makes of it: a number with few divisors leaves only folds that are too slow or too
large, and a weight memory that just exceeds a block RAM takes another. So the cost of a choice is asked of a model of
the whole accelerator, each time folded for the speed that is wanted, and the widths are searched:

1. from the full widths down, each time by the step that loses the least importance for what it takes off the excess;
2. up again, and by pairs (one group wider, another narrower), as long as the loss falls;
3. both again with the losses of the groups weighted at random in 1, and the best of all is taken (GRASP: Feo and
   Resende, "Greedy Randomized Adaptive Search Procedures", 1995).
"""

import itertools
import math
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from hwprune.prune.groups import Group

Cost = Callable[[Mapping[str, int]], Mapping[str, float]]
"""From the output channels of convolutions to what is limited, all of it at least 0."""
RESTARTS = 8
SPREAD = 3.0
"""Greatest weight of a group's loss in a restart; the least is its inverse."""
NEAR = 3
"""Candidates up and down that are tried for a group, where there are more than `FEW` in all."""
FEW = 150
PAIRS = 60
"""Of groups, tried at a time."""
ENOUGH = 25_000
"""Costs asked for, after which no restart begins."""


class NoWidthsError(Exception):
    """No widths keep to the limits; ``least`` is what the narrowest network takes, ``widths`` are its widths."""

    def __init__(self, least: Mapping[str, float], widths: Mapping[str, int]):
        super().__init__(f"even the narrowest network takes {dict(least)}")
        self.least, self.widths = dict(least), dict(widths)


@dataclass(frozen=True)
class Found:
    """What a search gives.

    Attributes
    ----------
    kept
        For each group, the indices of the kept channels, ascending.
    cost
        Of these widths.
    loss
        Importance of all removed channels, as a share of all channels'.
    evaluations
        Costs that were asked for.
    """

    kept: dict[str, tuple[int, ...]]
    cost: dict[str, float]
    loss: float
    evaluations: int


def choose_widths(
    importance: Mapping[str, Tensor],
    groups: Sequence[Group],
    cost: Cost,
    limits: Mapping[str, float],
    *,
    min_channels: int = 1,
    multiple: int = 1,
    seed: int = 1,
    progress: Callable[[str], None] = lambda text: None,
) -> Found:
    """Choose how many channels each group keeps; those are its most important ones, of equals the last, as in
    `hwprune.prune.select`.

    Parameters
    ----------
    importance
        For each group that may be narrowed, scores of shape (width,), at least 0.
    groups
        Of the table; those without scores stay whole.
    cost
        Of the widths of all convolutions in these groups. It is asked some thousands of times.
    limits
        For each of its keys that is limited, the greatest value, more than 0.
    min_channels, multiple
        As in `hwprune.prune.settings.PruneSettings`.
    seed
        Of the restarts; equal arguments give equal widths.
    progress
        Told in a few words where the search is.

    Raises
    ------
    NoWidthsError
        If even the narrowest network exceeds a limit.
    """
    scored = [group for group in groups if group.name in importance]
    ladders = [_Ladder.of(group, importance[group.name], min_channels, multiple) for group in scored]
    search = _Search(ladders, cost, limits, progress)
    steps = sum(len(ladder.widths) for ladder in ladders)
    reach = steps if steps <= FEW else NEAR
    best = search.refined(search.descended([1.0] * len(ladders)), reach)
    for attempt in range(RESTARTS if len(ladders) > 1 else 0):
        if search.evaluations > ENOUGH:
            break
        progress(f"restart {attempt + 1} of {RESTARTS}")
        chance = random.Random(f"{seed}/{attempt}")
        other = search.refined(search.descended([SPREAD ** chance.uniform(-1, 1) for _ in ladders]), reach)
        if search.loss(other) < search.loss(best):
            best = other
    best = search.refined(best, steps)
    total = sum(ladder.left[-1] for ladder in ladders)
    left = sum(ladder.left[rung] for ladder, rung in zip(ladders, best, strict=True))
    return Found(
        kept={ladder.group.name: ladder.kept(rung) for ladder, rung in zip(ladders, best, strict=True)},
        cost=dict(search.cost(best)),
        loss=1 - left / total if total else 0.0,
        evaluations=search.evaluations,
    )


Rungs = tuple[int, ...]
"""For each group, which of its ladder's widths."""


@dataclass(frozen=True)
class _Ladder:
    """The widths that a group can have, rising, with what each loses (see above), and the importance it keeps."""

    group: Group
    order: tuple[int, ...]
    """Its channels, the most important first."""
    widths: tuple[int, ...]
    losses: tuple[float, ...]
    left: tuple[float, ...]
    members: tuple[dict[str, int], ...]
    """For each width, that of its convolutions."""

    @classmethod
    def of(cls, group: Group, scores: Tensor, min_channels: int, multiple: int) -> "_Ladder":
        order = tuple(reversed(torch.argsort(scores, stable=True).tolist()))
        ranks = {channel: rank for rank, channel in enumerate(order)}
        # So many of the most important channels that every convolution of the group keeps one.
        least = max(min(ranks[channel] for channel in channels) + 1 for channels in group.members.values())
        widths = tuple(_candidates(max(least, min(min_channels, group.width)), group.width, multiple))
        ordered = [float(scores[channel]) for channel in order]
        members = tuple(
            {name: sum(ranks[i] < width for i in channels) for name, channels in group.members.items()}
            for width in widths
        )
        left = tuple(math.fsum(ordered[:width]) for width in widths)
        losses = tuple(math.log(left[-1] / here) if here else 0.0 for here in left)
        return cls(group, order, widths, losses, left, members)

    def kept(self, rung: int) -> tuple[int, ...]:
        return tuple(sorted(self.order[: self.widths[rung]]))


def _candidates(least: int, most: int, multiple: int) -> Iterator[int]:
    """Multiples with no prime factor above 7, which have many divisors to fold over; and ``most``."""
    for width in range(-(-least // multiple) * multiple, most, multiple):
        rest = width
        for prime in (2, 3, 5, 7):
            while rest % prime == 0:
                rest //= prime
        if rest == 1:
            yield width
    yield most


@dataclass
class _Search:
    ladders: list[_Ladder]
    ask: Cost
    limits: Mapping[str, float]
    progress: Callable[[str], None]
    known: dict[Rungs, tuple[Mapping[str, float], float]] = field(default_factory=dict)

    @property
    def evaluations(self) -> int:
        return len(self.known)

    def widths(self, rungs: Rungs) -> dict[str, int]:
        widths: dict[str, int] = {}
        for ladder, rung in zip(self.ladders, rungs, strict=True):
            widths |= ladder.members[rung]
        return widths

    def cost(self, rungs: Rungs) -> Mapping[str, float]:
        return self._look(rungs)[0]

    def excess(self, rungs: Rungs) -> float:
        """By how much the limits are exceeded, in parts of them, summed up."""
        return self._look(rungs)[1]

    def loss(self, rungs: Rungs) -> float:
        return sum(ladder.losses[rung] for ladder, rung in zip(self.ladders, rungs, strict=True))

    def _look(self, rungs: Rungs) -> tuple[Mapping[str, float], float]:
        if rungs not in self.known:
            cost = self.ask(self.widths(rungs))
            excess = sum(max(0.0, cost[key] / limit - 1) for key, limit in self.limits.items())
            self.known[rungs] = cost, excess
        return self.known[rungs]

    def descended(self, weights: Sequence[float]) -> Rungs:
        """Narrower and narrower, from the full widths on, until the limits hold; of the losses of groups as
        ``weights`` has them.

        A group is looked at again only when what it promised last is the most of all (Minoux's accelerated greedy
        algorithm, 1978); as often as there are groups, all are.
        """
        rungs = tuple(len(ladder.widths) - 1 for ladder in self.ladders)
        start, promised, steps = self.excess(rungs), {}, 0
        while excess := self.excess(rungs):
            self.progress(f"narrower: {100 * (1 - excess / start):.0f} %")
            if steps % len(rungs) == 0:
                promised = {index: (math.inf, rungs) for index in range(len(rungs))}
            looked_at, steps = set(), steps + 1
            while (best := max(promised, key=lambda index: promised[index][0])) not in looked_at:
                promised[best] = self._step_down(rungs, excess, best, weights[best])
                looked_at.add(best)
            rate, narrower = promised[best]
            if rate == 0:  # no group alone takes anything off
                if not any(rungs):
                    raise NoWidthsError(self.cost(rungs), self.widths(rungs))
                narrower, steps = tuple(max(0, rung - 1) for rung in rungs), 0
            rungs = narrower
        return rungs

    def _step_down(self, rungs: Rungs, excess: float, index: int, weight: float) -> tuple[float, Rungs]:
        """Of a group's next narrower widths the one that takes most off for what it loses: how much that is, and what
        the choice is then. 0 if none takes anything off."""
        rate, best, losses = 0.0, rungs, self.ladders[index].losses
        for lower in range(rungs[index] - 1, max(rungs[index] - NEAR, 0) - 1, -1):
            other = _changed(rungs, {index: lower})
            less, lost = excess - self.excess(other), weight * (losses[lower] - losses[rungs[index]])
            # Channels of no importance at all go first, the more the better.
            found = less / lost if lost else less * 1e30
            if less > 0 and found > rate:
                rate, best = found, other
            if less >= excess:
                break  # narrower still only loses more
        return rate, best

    def refined(self, rungs: Rungs, reach: int) -> Rungs:
        """A local optimum under single groups getting wider, and pairs of which one gets wider and one narrower, each
        by no more than ``reach`` candidates."""
        while True:
            better = self._wider(rungs, reach) or self._exchanged(rungs, reach)
            if better is None:
                return rungs
            rungs = better

    def _wider(self, rungs: Rungs, reach: int) -> Rungs | None:
        """The single step up that saves the most."""
        best, least = None, self.loss(rungs)
        for index, rung in enumerate(rungs):
            for higher in range(rung + 1, min(rung + reach + 1, len(self.ladders[index].widths))):
                other = _changed(rungs, {index: higher})
                if (loss := self.loss(other)) < least and not self.excess(other):
                    best, least = other, loss
        return best

    def _exchanged(self, rungs: Rungs, reach: int) -> Rungs | None:
        """The pair of steps that saves the most, of those that hold the limits.

        Whether one does is first guessed, as if the costs of both steps added up; of those, a few are asked for.
        """
        here, ups, downs = self.cost(rungs), [], []
        for index, rung in enumerate(rungs):
            losses = self.ladders[index].losses
            for other in range(max(0, rung - reach), min(rung + reach + 1, len(losses))):
                if other != rung:
                    cost = self.cost(_changed(rungs, {index: other}))
                    found = index, other, losses[rung] - losses[other], {key: cost[key] - here[key] for key in here}
                    (ups if other > rung else downs).append(found)
        least = 1e-12 * (1 + self.loss(rungs))
        pairs = [
            (up[2] + down[2], up[:2], down[:2])
            for up, down in itertools.product(ups, downs)
            if up[0] != down[0]
            and up[2] + down[2] > least
            and all(here[key] + up[3][key] + down[3][key] <= limit for key, limit in self.limits.items())
        ]
        for _, *steps in sorted(pairs, reverse=True)[:PAIRS]:
            other = _changed(rungs, dict(steps))
            if not self.excess(other):
                return other
        return None


def _changed(rungs: Rungs, steps: Mapping[int, int]) -> Rungs:
    changed = list(rungs)
    for index, rung in steps.items():
        changed[index] = rung
    return tuple(changed)
