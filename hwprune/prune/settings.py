"""The knobs of sparsifying and pruning. Imports neither torch nor Lightning, so that a recipe is read quickly."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, PositiveInt, Tag, model_validator

from hwprune.prune.budget import WidthBudget

_Strength = Annotated[float, Field(gt=0, allow_inf_nan=False)]
_Drop = Annotated[float, Field(ge=0, le=1)]
_Sparsity = Annotated[float, Field(gt=0, le=1)]
_Patterns = Annotated[tuple[str, ...], Field(min_length=1)]
_CONFIG = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class SparsifySettings(BaseModel):
    """How hard training presses towards zero what `prune.method` prunes by; for a method that presses nothing, no
    knob here counts and nothing is trained."""

    model_config = _CONFIG
    l1: Annotated[
        Annotated[_Strength, Tag("number")] | Annotated[tuple[_Strength, ...], Field(min_length=1), Tag("list")],
        Discriminator(lambda value: "list" if isinstance(value, list | tuple) else "number"),
    ] = 1e-4
    """Strength of the L1 penalty, lambda. Liu et al. (slimming) used 1e-4 and 1e-5 with SGD. Of a list, each is tried,
    the greatest first, for all `epochs`; the first that costs no more than `max_drop` is taken (Singh et al., section
    3.3: lambda such that the score drops by at most epsilon)."""
    max_drop: _Drop = 0.02
    """Epsilon: how much of the validation score (0 to 1) a strength from a list may cost."""

    @property
    def strengths(self) -> tuple[float, ...]:
        """What to try, the greatest first."""
        return tuple(sorted(set(self.l1), reverse=True)) if isinstance(self.l1, tuple) else (self.l1,)


class WidthSettings(BaseModel):
    """The widths that the hardware wants, whatever the method."""

    model_config = _CONFIG
    min_channels: PositiveInt = 4
    """No layer gets narrower than this, unless it was."""
    multiple: PositiveInt = 4
    """Widths are rounded up to a multiple of this (never above the width before), so that a layer can be folded over
    this many processing elements."""


def hardware_width(count: int, before: int, settings: WidthSettings) -> int:
    """The width for ``count`` surviving channels of a layer that had ``before``."""
    least = max(count, settings.min_channels)
    return min(-(-least // settings.multiple) * settings.multiple, before)


class _Rounds(WidthSettings):
    rounds: Annotated[int, Field(ge=1, le=20)] = 1
    """Times that the network is sparsified, pruned and fine-tuned, each time from where the last left it; shares are
    of the channels that are there then."""


class _Budgeted(_Rounds):
    budget: WidthBudget | None = None
    """What the accelerator may take and how fast it must be: the widths are then those that lose the least importance
    within it, and `fraction` does not count."""


class SlimmingSettings(_Budgeted):
    """Network slimming (Liu et al., ICCV 2017): the channels whose batch norms have the least scales, by one threshold
    for the whole network."""

    method: Literal["slimming"] = "slimming"
    """How channels are chosen."""
    fraction: Annotated[float, Field(ge=0, lt=1)] = 0.5
    """Share of all prunable channels to remove, before `min_channels` and `multiple` keep some."""


class MultiLayerSettings(WidthSettings):
    """The multi-layer framework (Singh et al., "Multi-layer Pruning Framework for Compressing Single Shot MultiBox
    Detector", WACV 2019): filters of a set of layers whose weights are mostly zero.

    The values that the paper found for its thresholds are not those of these defaults, which are ours: it names ranges
    and a grid search, so search where it matters.
    """

    method: Literal["multilayer"]
    """How channels are chosen."""
    phases: Annotated[tuple[tuple[str, str], ...], Field(min_length=1, max_length=20)]
    """Sets of layers, each [first, last] of a run in the order of the data flow; the detection layers that read them
    belong to the set. Each is sparsified, pruned and fine-tuned in its turn. The last layer of one set may be the first
    of another."""
    filter_sparsity: _Sparsity = 0.95
    """s_F: a filter goes if at least this share of its rows is zero."""
    weak_filter_sparsity: _Sparsity = 0.8
    """s'_F, less than `filter_sparsity`: a filter goes from this share on, if `next_sparsity` is reached too."""
    next_sparsity: _Sparsity = 0.8
    """s_G: least share of zero rows in what the next layers do with the filter's output."""
    threshold: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    """Weights below this count as zero, in standard deviations of the set's weights; where it is not given, it is the
    greatest that costs no more than `max_drop`."""
    max_drop: _Drop = 0.1
    """Delta: how much of the validation score (0 to 1) zeroing the weights below `threshold` may cost. The network that
    is pruned has them still."""
    fully_connected: tuple[str, ...] = ("fc*",)
    """Names or patterns of layers whose channels are neurons: one goes if all its incoming or all its outgoing weights
    are zero (Pan et al., "DropNeuron", 2016)."""

    @property
    def rounds(self) -> int:
        """One a phase."""
        return len(self.phases)

    @model_validator(mode="after")
    def _thresholds_are_in_order(self):
        if self.weak_filter_sparsity >= self.filter_sparsity:
            raise ValueError(
                f"weak_filter_sparsity is {self.weak_filter_sparsity:g}, not less than filter_sparsity "
                f"({self.filter_sparsity:g}): the second condition is for filters that the first leaves"
            )
        return self


class _Share(_Rounds):
    fraction: Annotated[float, Field(ge=0, lt=1)] = 0.5
    """Share of the filters of each layer to remove, before `min_channels` and `multiple` keep some."""
    layers: _Patterns = ("*",)
    """Names or patterns of the layers that lose filters; the heads' outputs are fixed."""

    def left(self, width: int) -> int:
        """How many of ``width`` filters the share leaves."""
        return width - round(self.fraction * width)


class L1NormSettings(_Share, _Budgeted):
    """The L1 norm of filters (Li et al., "Pruning Filters for Efficient ConvNets", ICLR 2017): of each layer those
    whose weights have the least sum of magnitudes."""

    method: Literal["l1_norm"]
    """How channels are chosen."""
    greedy: bool = True
    """Whether the weights that read filters removed from earlier layers are left out of the sums (the paper's greedy
    strategy) or count (its independent one)."""


class RandomSettings(_Share):
    """Filters at random, by the recipe's seed: the baseline RRF of Singh et al., section 4.1.1."""

    method: Literal["random"]
    """How channels are chosen."""

    def left(self, width: int) -> int:
        """How many of ``width`` filters the share leaves: its whole part goes, as table 4b of Singh et al. has it."""
        return width - int(self.fraction * width + 1e-9)


class UniformSettings(_Rounds):
    """The same share of every layer, whatever it learnt: the first channels stay. A baseline."""

    method: Literal["uniform"]
    """How channels are chosen."""
    width: Annotated[float, Field(gt=0, le=1)] = 0.5
    """Every layer's width in its width before, before `min_channels` and `multiple` keep some."""

    def left(self, width: int) -> int:
        """How many of ``width`` channels stay."""
        return round(self.width * width)


def method(values: Any) -> Any:
    """Which settings are meant: those of slimming where no method is named."""
    return values.get("method", "slimming") if isinstance(values, dict) else getattr(values, "method", "slimming")


PruneSettings = Annotated[
    Annotated[SlimmingSettings, Tag("slimming")]
    | Annotated[MultiLayerSettings, Tag("multilayer")]
    | Annotated[L1NormSettings, Tag("l1_norm")]
    | Annotated[RandomSettings, Tag("random")]
    | Annotated[UniformSettings, Tag("uniform")],
    Discriminator(method),
]
"""Which channels go, and the widths that the hardware wants."""
