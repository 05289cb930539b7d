"""The knobs of sparsifying and pruning. Imports neither torch nor Lightning, so that a recipe is read quickly."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, PositiveInt


class SparsifySettings(BaseModel):
    """How hard training presses channels towards zero.

    Attributes
    ----------
    l1
        Strength of the penalty on the scales of batch norm; Liu et al. used 1e-4 and 1e-5 with SGD.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    l1: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 1e-4


class PruneSettings(BaseModel):
    """Which channels go, and the widths that the hardware wants.

    Attributes
    ----------
    method
        How channels are scored: ``slimming`` by the scale of their batch norm.
    rounds
        Times that the network is sparsified, pruned and fine-tuned, each time from where the last left it; `fraction`
        is of the channels that are there then.
    fraction
        Share of all prunable channels to remove, 0 to less than 1, before `min_channels` and `multiple` keep some.
    min_channels
        No layer gets narrower than this, unless it was.
    multiple
        Widths are rounded up to a multiple of this (never above the width before), so that a layer can be folded over
        this many processing elements.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    method: Literal["slimming"] = "slimming"
    rounds: Annotated[int, Field(ge=1, le=20)] = 1
    fraction: Annotated[float, Field(ge=0, lt=1)] = 0.5
    min_channels: PositiveInt = 4
    multiple: PositiveInt = 4
