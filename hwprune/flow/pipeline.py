"""The stages there are, in the order of a run."""

from dataclasses import replace

from hwprune.flow.stage import Stage
from hwprune.flow.stages import (
    build,
    compile,
    deploy,
    export,
    finetune,
    prune,
    quantize,
    report,
    simulate,
    sparsify,
    train,
)

_ROUND: tuple[Stage, ...] = (sparsify.STAGE, prune.STAGE, finetune.STAGE)
_AFTER: tuple[Stage, ...] = (quantize.STAGE, export.STAGE, compile.STAGE, simulate.STAGE)
_BOARD: tuple[Stage, ...] = (build.STAGE, deploy.STAGE)


def stages(rounds: int = 1, *, board: bool = False) -> tuple[Stage, ...]:
    """All stages of a run that sparsifies, prunes and fine-tunes so many times; each round begins where the last ended.
    With a board it goes on to a bitstream and what is copied onto the board.

    The first round's stages have plain names, later ones a number: ``sparsify``, ..., ``sparsify-2``, ...
    """
    chain = [train.STAGE]
    for number in range(rounds):
        made = _names(number)
        if number:
            made["train"] = _names(number - 1)["finetune"]
        chain += [
            replace(stage, name=made[stage.name], round=number, final=number == rounds - 1,
                    played_by={read: made[read] for read in stage.reads if read in made})
            for stage in _ROUND
        ]  # fmt: skip
    last = {"finetune": _names(rounds - 1)["finetune"]}
    chain += [replace(stage, played_by={read: last[read] for read in stage.reads if read in last})
              for stage in (*_AFTER, *(_BOARD if board else ()))]  # fmt: skip
    return (*chain, report.stage(tuple(stage.name for stage in chain)))


def _names(number: int) -> dict[str, str]:
    """The names of a round's stages, by kind."""
    return {stage.name: f"{stage.name}-{number + 1}" if number else stage.name for stage in _ROUND}


STAGES = stages(board=True)
"""Of a run that prunes once; the kinds of stages that there are."""
