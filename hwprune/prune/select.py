"""How many channels every group keeps, and which: one threshold for the whole network, then widths for the hardware."""

import torch
from torch import Tensor

from hwprune.prune.settings import PruneSettings


def select(importance: dict[str, Tensor], settings: PruneSettings) -> dict[str, tuple[int, ...]]:
    """Choose the channels to keep.

    The least important ``fraction`` of all channels, whatever their group, falls below the threshold (Liu et al., ICCV
    2017, section 3); of equals the first goes first. Where a group's width has to be raised to ``min_channels`` or to a
    multiple, the most important of its fallen channels come back, so a channel above the threshold always stays.

    Parameters
    ----------
    importance
        For each group, scores of shape (width,); see `hwprune.prune.importance`.
    settings
        ``fraction``, ``min_channels`` and ``multiple``.

    Returns
    -------
    dict
        For each group, the indices of the kept channels, ascending; never none.
    """
    if not importance:
        return {}
    scores = torch.cat(list(importance.values()))
    fallen = torch.zeros(len(scores), dtype=torch.bool)
    fallen[torch.argsort(scores, stable=True)[: round(settings.fraction * len(scores))]] = True
    kept = {}
    for (name, own), down in zip(
        importance.items(), fallen.split([len(own) for own in importance.values()]), strict=True
    ):
        width = hardware_width(len(own) - int(down.sum()), len(own), settings)
        kept[name] = tuple(sorted(torch.argsort(own, stable=True)[len(own) - width :].tolist()))
    return kept


def hardware_width(count: int, before: int, settings: PruneSettings) -> int:
    """The width for ``count`` surviving channels of a layer that had ``before``."""
    least = max(count, settings.min_channels)
    return min(-(-least // settings.multiple) * settings.multiple, before)
