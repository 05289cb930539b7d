"""build: from the verified RTL to a bitstream."""

from collections.abc import Mapping
from typing import Any

from hwprune.errors import UserError
from hwprune.flow.stage import Outcome, Stage, StageContext


def run(context: StageContext) -> Outcome:
    """Let the recipe's backend work in a folder of its own, and see that what it made fits and is fast enough.

    Where a tool is missing that only another machine has, what was generated waits in that folder, and the stage is
    taken up again by the next run.
    """
    from rich.console import Console

    from hwprune.accel.accelerator import Accelerator
    from hwprune.board.backends import backend_for, builder
    from hwprune.board.board import load_board
    from hwprune.board.report import FILE

    recipe = context.recipe
    if recipe.compile.board is None:
        raise UserError("compile.board: a bitstream is for a board; name it in the recipe: compile: {board: pynq-z2}")
    board = load_board(recipe.compile.board)
    backend = backend_for(board, recipe.build.backend if recipe.build else None)
    accelerator = Accelerator.load(context.inputs["compile"])
    folder = context.folder / backend
    console = Console(stderr=True)
    with console.status(f"build with {backend}") as status:
        report = builder(backend)(
            accelerator.design,
            board,
            accelerator.clock_mhz,
            folder,
            lambda step: status.update(f"build with {backend}: {step}"),
        )
    report.require_sound()
    report.save(folder)
    if not report.complete:
        console.print(f"build: {folder.resolve()} is ready. {report.next_step}", highlight=False, soft_wrap=True)
    # Until there is a bitstream the folder is the user's to work in: a script that was touched up is no damage.
    files = (*report.files, FILE) if report.complete else (FILE,)
    return Outcome(tuple(folder / name for name in files), report.model_dump(mode="json", exclude={"files"}))


def _unfinished(results: Mapping[str, Any]) -> bool:
    return results.get("complete") is False


STAGE = Stage(
    name="build",
    about="makes a bitstream for the board, or all that Vivado needs where it is not on this machine",
    makes="BACKEND/ (vivado, finn, openxc7 or ecp5: sources, scripts, reports, bitstream; build.json)",
    reads=("compile", "simulate"),
    sections=("compile", "build"),
    run=run,
    unfinished=_unfinished,
)
