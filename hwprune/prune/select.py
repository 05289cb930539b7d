"""How many channels every group keeps, and which: one threshold for the whole network, then widths for the hardware."""

from collections.abc import Callable

import torch
from torch import Tensor

from hwprune.prune.settings import SlimmingSettings, WidthSettings, hardware_width


def select(importance: dict[str, Tensor], settings: SlimmingSettings) -> dict[str, tuple[int, ...]]:
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


def select_each(
    importance: dict[str, Tensor], left: Callable[[int], int], settings: WidthSettings
) -> dict[str, tuple[int, ...]]:
    """Choose the channels to keep, for each group by itself: the most important; of equals the last.

    Parameters
    ----------
    importance
        As for `select`.
    left
        Of how many channels a group keeps how many, before `hardware_width` adds some.
    settings
        ``min_channels`` and ``multiple``.
    """
    kept = {}
    for name, scores in importance.items():
        width = hardware_width(left(len(scores)), len(scores), settings)
        kept[name] = tuple(sorted(torch.argsort(scores, stable=True)[len(scores) - width :].tolist()))
    return kept
