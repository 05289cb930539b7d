"""Widths for `prune.budget`: the importance that the method gives, the accelerator that the layer table predicts."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from hwprune.errors import UserError
from hwprune.flow.stage import StageContext

if TYPE_CHECKING:
    from torch import Tensor

    from hwprune.accel.predict import Predictor
    from hwprune.detect.heads import Head
    from hwprune.models.network import Network
    from hwprune.prune.budget import WidthBudget
    from hwprune.prune.groups import Group
    from hwprune.prune.method import Chosen

NAMES = {"lut": "LUTs", "dsp": "DSP slices", "bram18": "block RAMs of 18 Kb", "cycles": "cycles a frame"}
TIGHTER = 5
"""Times that the search is given less than there is, where groups of SAM layers brought channels back."""


def choose_for_budget(context: StageContext, network: "Network", head: "Head") -> "tuple[Chosen, dict[str, Any]]":
    """The channels that stay, and for the record what the accelerator is predicted to take.

    Raises
    ------
    UserError
        If no widths meet the budget: by how much the narrowest network misses it, and what it could do.
    """
    from rich.console import Console

    from hwprune.flow.estimate import limits, predictor
    from hwprune.prune.balance import balance
    from hwprune.prune.groups import channel_groups
    from hwprune.prune.widths import NoWidthsError, choose_widths

    settings = context.recipe.prune
    budget: WidthBudget = settings.budget
    predict = predictor(context.recipe, network.architecture, head.image_size)
    importance = comparable_importance(context, network)
    groups = channel_groups(network.architecture)
    cycles = int(budget.clock_mhz * 1e6 / budget.fps)
    there_is = {**limits(budget.part, budget.luts, budget.dsps, budget.brams).limits, "cycles": cycles}

    def cost(widths: Mapping[str, int]) -> dict[str, int]:
        design = predict.at(cycles, widths)
        return {**design.resources, "cycles": design.cycles}

    given = dict(there_is)
    with Console(stderr=True).status("prune: widths for the budget") as status:
        for _ in range(TIGHTER):
            try:
                found = choose_widths(
                    importance, groups, cost, given, min_channels=settings.min_channels, multiple=settings.multiple,
                    seed=budget.seed, progress=lambda text: status.update(f"prune: widths for the budget: {text}"),
                )  # fmt: skip
            except NoWidthsError as error:
                raise UserError(_out_of_reach(error, budget, there_is, predict)) from None
            kept = balance(network.architecture, importance, found.kept, settings)
            takes = cost(_widths(groups, kept))
            over = {key: takes[key] / limit for key, limit in there_is.items() if takes[key] > limit}
            if not over:
                return kept, {
                    "limits": there_is,
                    "predicted": {**takes, "fps": budget.clock_mhz * 1e6 / takes["cycles"]},
                    "importance_lost": _lost(importance, kept),
                    "widths_tried": found.evaluations,
                }
            given = {key: limit / over.get(key, 1.0) for key, limit in given.items()}
    raise UserError(
        "prune.budget: no widths were found that meet it and keep the groups of all SAM layers equal; raise it, or "
        "take smaller groups"
    )


def _widths(groups: "Sequence[Group]", kept: "Chosen") -> dict[str, int]:
    """Output channels of the convolutions of the groups that lose some."""
    widths = {}
    for group in groups:
        if group.name in kept:
            stays = set(kept[group.name])
            widths |= {name: sum(i in stays for i in numbers) for name, numbers in group.members.items()}
    return widths


def _lost(importance: "Mapping[str, Tensor]", kept: "Chosen") -> float:
    """The share of all importance that goes."""
    total = sum(float(scores.sum()) for scores in importance.values())
    stays = sum(float(scores[list(kept[name])].sum()) for name, scores in importance.items())
    return 1 - stays / total if total else 0.0


def comparable_importance(context: StageContext, network: "Network") -> "dict[str, Tensor]":
    """Scores by which channels of different layers can be held against each other.

    Scales of batch norm are; sums of a filter's weights grow with the layer's inputs, so they are taken in parts of
    their layer's mean, and of whole filters, for which inputs go is open yet.
    """
    from hwprune.prune.methods import method

    settings = context.recipe.prune
    if settings.method == "slimming":
        return method(settings).select(network, 0, lambda _: 0.0)[0]
    whole = settings.model_copy(update={"greedy": False})
    importance, _ = method(whole).select(network, 0, lambda _: 0.0)
    return {name: scores / scores.mean().clamp_min(1e-30) for name, scores in importance.items()}


def _out_of_reach(error: Any, budget: "WidthBudget", there_is: Mapping[str, float], predict: "Predictor") -> str:
    from hwprune.accel.budget import Budget

    over = [
        f"{error.least[key]:,.0f} {NAMES[key]}, {error.least[key] - limit:,.0f} more than the {limit:,.0f} there are"
        for key, limit in there_is.items()
        if error.least[key] > limit
    ]
    within = Budget(there_is.get("lut"), there_is.get("dsp"), there_is.get("bram18"))
    slower = predict.fastest(within, error.widths)
    if slower is None:
        nearest = "no speed makes it fit: take a larger part, or raise what it may take"
    else:
        fps = budget.clock_mhz * 1e6 / slower.cycles
        nearest = f"within them it reaches {fps:.4g} fps: lower prune.budget.fps to that, or raise what it may take"
    return (
        f"prune.budget: at {budget.fps:g} fps even the narrowest network (prune.min_channels, prune.multiple) takes "
        f"{' and '.join(over)}; {nearest}"
    )
