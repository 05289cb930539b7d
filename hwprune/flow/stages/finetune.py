"""finetune: lets the pruned network recover."""

from hwprune.flow.stage import Outcome, Stage, StageContext
from hwprune.flow.stages import common


def run(context: StageContext) -> Outcome:
    """Train the pruned network."""
    network, head = common.load_checkpoint(context.inputs["prune"])
    settings = context.recipe.finetune
    # Just pruned, the network itself would be a poor teacher.
    teacher = common.load_checkpoint(context.inputs["sparsify"])[0] if settings.sam.distillation else None
    return common.train_and_save(context, network, head, settings, "finetune", teacher=teacher)


STAGE = Stage(
    name="finetune",
    about="trains the pruned detector until it has recovered",
    makes=common.MAKES,
    reads=("sparsify", "prune"),
    sections=("data", "model", "finetune"),
    run=run,
)
