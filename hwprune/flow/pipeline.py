"""The stages there are, in the order of a run."""

from hwprune.flow.stage import Stage
from hwprune.flow.stages import compile, export, finetune, prune, quantize, report, simulate, sparsify, train

_WORK: tuple[Stage, ...] = (
    train.STAGE,
    sparsify.STAGE,
    prune.STAGE,
    finetune.STAGE,
    quantize.STAGE,
    export.STAGE,
    compile.STAGE,
    simulate.STAGE,
)

STAGES: tuple[Stage, ...] = (*_WORK, report.stage(tuple(stage.name for stage in _WORK)))
