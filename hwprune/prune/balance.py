"""Makes a selection fit the layers that read it: equal groups for SAM neurons, and no layer without channels."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor

from hwprune.models.architecture import Architecture
from hwprune.prune.groups import Channel, Group, channel_groups, input_channels, input_groups
from hwprune.prune.settings import WidthSettings, hardware_width


@dataclass(frozen=True)
class _Reader:
    """A SAM layer: the input channels of each of its groups, of which equally many stay, and no fewer than ``least``.

    A channel may come twice, or not be prunable.
    """

    runs: list[list[Channel]]
    least: int


class _Selection:
    """The prunable channels that stay, of those that have a score."""

    def __init__(self, scores: dict[Channel, tuple[float, int]], kept: set[Channel]):
        self._scores, self.kept = scores, kept

    def count(self, run: Sequence[Channel]) -> int:
        """How many of these stay; what is not prunable does."""
        return sum(channel in self.kept or channel not in self._scores for channel in run)

    def fixed(self, run: Sequence[Channel]) -> int:
        """How many of these are not prunable."""
        return sum(channel not in self._scores for channel in run)

    def narrow(self, run: Sequence[Channel], count: int) -> None:
        """Take out the least important until no more than ``count`` are left, or nothing can go."""
        for channel in sorted(self.kept.intersection(run), key=self._scores.__getitem__):
            if self.count(run) <= count:
                return
            self.kept.discard(channel)

    def widen(self, run: Sequence[Channel], count: int) -> None:
        """Bring back the most important until ``count`` stay, or all."""
        gone = {channel for channel in run if channel in self._scores} - self.kept
        for channel in sorted(gone, key=self._scores.__getitem__, reverse=True):
            if self.count(run) >= count:
                return
            self.kept.add(channel)


def balance(
    architecture: Architecture,
    importance: Mapping[str, Tensor],
    kept: Mapping[str, Sequence[int]],
    settings: WidthSettings,
) -> dict[str, tuple[int, ...]]:
    """Change a selection so that `hwprune.prune.surgery.prune` can carry it out.

    Hardware has one size of group for a SAM layer, so all its groups must keep equally many channels; and of
    convolutions that residual joins and concats tie together, each must keep at least one. First the groups of each SAM
    layer go to the rounded-up mean of their survivors (at least two in the form ``difference``): the least important
    leave the fuller groups, the most important come back to the others. Where layers read the same channels and that
    left something unequal, or a width is not what `select` promised, channels only come back, until nothing changes: in
    the worst case all of them.

    Parameters
    ----------
    architecture
        The table before pruning.
    importance
        For each group in ``kept``, scores of shape (width,), as given to `select`.
    kept
        What `select` chose; a group that it does not name stays whole.
    settings
        ``multiple`` and ``min_channels`` hold for what comes out.

    Returns
    -------
    dict
        Like ``kept``, which comes back as it is where it fits.
    """
    groups = [group for group in channel_groups(architecture) if group.name in kept]
    # Of equals the first goes first, as in `select`.
    scores = {
        (group.name, i): (score, i) for group in groups for i, score in enumerate(importance[group.name].tolist())
    }
    selection = _Selection(scores, {(name, i) for name, channels in kept.items() for i in channels})
    outputs = [[(group.name, i) for i in numbers] for group in groups for numbers in group.members.values()]
    readers = _readers(architecture, groups)
    # Equal halves of a group make it no less equal to others: of nested groups the inner ones come last.
    for reader in sorted(readers, key=lambda reader: -len(reader.runs[0])):
        mean = -(-sum(map(selection.count, reader.runs)) // len(reader.runs))
        target = max(mean, reader.least, *map(selection.fixed, reader.runs))
        for run in reader.runs:
            selection.narrow(run, target)
            selection.widen(run, target)
    before = None
    while before != len(selection.kept):
        before = len(selection.kept)
        for reader in readers:
            target = max(reader.least, *map(selection.count, reader.runs))
            for run in reader.runs:
                selection.widen(run, target)
        for channels in outputs:
            selection.widen(channels, 1)
        for group in groups:
            channels = [(group.name, i) for i in range(group.width)]
            selection.widen(channels, hardware_width(selection.count(channels), group.width, settings))
    return {group.name: tuple(i for i in range(group.width) if (group.name, i) in selection.kept) for group in groups}


def _readers(architecture: Architecture, groups: Sequence[Group]) -> list[_Reader]:
    """The SAM layers, given the groups that may be narrowed."""
    readers = []
    for name, incoming in input_channels(architecture, groups).items():
        layer = architecture[name]
        if layer.sam:
            size, least = input_groups(layer, len(incoming))
            readers.append(_Reader([incoming[i : i + size] for i in range(0, len(incoming), size)], least))
    return readers
