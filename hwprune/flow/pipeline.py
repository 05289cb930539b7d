"""The stages there are, in the order of a run."""

from hwprune.flow.stage import Stage
from hwprune.flow.stages import finetune, prune, report, sparsify, train

_WORK: tuple[Stage, ...] = (
    train.STAGE,
    sparsify.STAGE,
    prune.STAGE,
    finetune.STAGE,
)

STAGES: tuple[Stage, ...] = (*_WORK, report.stage(tuple(stage.name for stage in _WORK)))
