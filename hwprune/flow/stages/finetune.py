"""finetune: lets the pruned network recover."""

from hwprune.flow.stage import Outcome, Stage, StageContext
from hwprune.flow.stages import common


def run(context: StageContext) -> Outcome:
    """Train the pruned network."""
    network, head = common.load_checkpoint(context.inputs["prune"])
    # Just pruned, the network itself would be a poor teacher.
    teacher, _ = common.load_checkpoint(context.inputs["sparsify"])
    return common.train_and_save(context, network, head, context.recipe.finetune, "finetune", teacher=teacher)


STAGE = Stage(
    name="finetune",
    about="trains the pruned network until it has recovered",
    makes=common.MAKES,
    reads=("sparsify", "prune"),
    sections=("data", "model", "finetune"),
    run=run,
)
