"""sparsify: trains on while a penalty presses channels towards zero."""

from hwprune.flow.stage import Outcome, Stage, StageContext
from hwprune.flow.stages import common


def run(context: StageContext) -> Outcome:
    """Train the float detector under the slimming penalty."""
    from hwprune.prune.slimming import slimming_penalty

    network, head = common.load_checkpoint(context.inputs["train"])
    settings = context.recipe.sparsify
    return common.train_and_save(context, network, head, settings, "sparsify", slimming_penalty(settings.l1))


STAGE = Stage(
    name="sparsify",
    about="trains on under a penalty that presses channels towards zero",
    makes=common.MAKES,
    reads=("train",),
    sections=("data", "sparsify"),
    run=run,
)
