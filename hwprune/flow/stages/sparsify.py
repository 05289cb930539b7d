"""sparsify: trains on while a penalty presses towards zero what pruning goes by."""

import shutil
from copy import deepcopy
from dataclasses import replace
from typing import TYPE_CHECKING

from hwprune.errors import UserError
from hwprune.files import atomic_write
from hwprune.flow.stage import Outcome, Stage, StageContext
from hwprune.flow.stages import common

if TYPE_CHECKING:
    from hwprune.detect.heads import Head
    from hwprune.models.network import Network
    from hwprune.prune.method import Method


def run(context: StageContext) -> Outcome:
    """Train the float network under the penalty of the method, at one strength or at the strongest that costs little;
    or pass it on as it is to a method that presses nothing."""
    network, head = common.load_checkpoint(context.inputs["train"])
    method, strengths = common.pruning(context, network), context.recipe.sparsify.strengths
    if not method.presses:
        return _pass_on(context, network, head)
    if len(strengths) == 1:
        return _train(context, network, head, method, strengths[0])
    return _strongest(context, network, head, method)


def _train(context: StageContext, network: "Network", head: "Head", method: "Method", l1: float) -> Outcome:
    hook = method.penalty(network, context.round, l1)
    return common.train_and_save(context, network, head, context.recipe.sparsify, "sparsify", hook)


def _strongest(context: StageContext, network: "Network", head: "Head", method: "Method") -> Outcome:
    """Train at one strength after the other, the greatest first, each in a folder of its own, until one costs no more
    of the score than it may; what it left becomes the stage's."""
    settings, figure = context.recipe.sparsify, common.metric(head)
    before, after = common.scorer(context, head)(network.eval()), {}
    for l1 in settings.strengths:
        trial = replace(context, folder=context.folder / f"l1-{l1:g}")
        outcome = _train(trial, deepcopy(network), head, method, l1)
        after[l1] = outcome.results[figure]
        if after[l1] < before - settings.max_drop:
            continue
        artefacts = tuple(context.folder / path.relative_to(trial.folder) for path in outcome.artefacts)
        for source, target in zip(outcome.artefacts, artefacts, strict=True):
            with atomic_write(target) as whole:
                shutil.copyfile(source, whole)
        tried = [{"l1": strength, figure: value} for strength, value in after.items()]
        return Outcome(artefacts, {**outcome.results, "l1": l1, "before": before, "tried": tried})
    told = ", ".join(f"{l1:g} to {value:.3f}" for l1, value in after.items())
    raise UserError(
        f"sparsify.l1: every strength takes {figure} from {before:.3f} down by more than sparsify.max_drop, "
        f"{settings.max_drop:g} ({told}); add a smaller strength, allow a greater drop, or train for more epochs"
    )


def _pass_on(context: StageContext, network: "Network", head: "Head") -> Outcome:
    from hwprune.models.store import save_model

    result = common.scorer(context, head)(network.eval())
    save_model(context.folder, network, head)
    return common.checkpoint_outcome(
        context.folder, {**common.cost(context, network), common.metric(head): result, **common.sam_layers(network)}
    )


STAGE = Stage(
    name="sparsify",
    about="trains on under a penalty that presses channels towards zero",
    makes=common.MAKES,
    reads=("train",),
    sections=("data", "sparsify", "prune"),
    run=run,
)
