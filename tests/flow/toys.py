"""Toy stages that do real file work in no time; run as a program, for tests that kill it."""

import os
import sys
import time
from pathlib import Path

from rich.console import Console

from hwprune.flow.run_folder import RunFolder
from hwprune.flow.runner import Runner
from hwprune.flow.stage import Outcome, Stage, StageContext
from hwprune.recipe import Recipe

EPOCHS = 5


def recipe(**sections) -> Recipe:
    return Recipe.model_validate({"data": {"source": "digits"}, **sections})


def train(context: StageContext) -> Outcome:
    """Counts to EPOCHS, remembers how far it is in last.ckpt, and notes each epoch outside of the run folder."""
    checkpoint = context.folder / "last.ckpt"
    done = int(checkpoint.read_text()) if checkpoint.exists() else 0
    for epoch in range(done, EPOCHS):
        _note(f"epoch {epoch}")
        if epoch == int(os.environ.get("HANG_IN_EPOCH", -1)):
            time.sleep(60)
        checkpoint.write_text(str(epoch + 1))
    model = context.folder / "model.txt"
    model.write_text(f"weights of {context.recipe.train.epochs} epochs")
    return Outcome((model,), {"map50": 0.5, "params": 100})


def prune(context: StageContext) -> Outcome:
    _note("prune")
    model = context.folder / "model.txt"
    # Like a real surgery, it may give the same files for different settings.
    model.write_text((context.inputs["train"] / "model.txt").read_text() + ", pruned")
    return Outcome((model,), {"map50": 0.4, "params": 50, "macs": 10})


def finetune(context: StageContext) -> Outcome:
    _note("finetune")
    model = context.folder / "model.txt"
    model.write_text((context.inputs["prune"] / "model.txt").read_text() + ", tuned")
    return Outcome((model,), {"map50": 0.45})


STAGES = (
    Stage("train", "trains", "model.txt", (), ("data", "train"), train),
    Stage("prune", "prunes", "model.txt", ("train",), ("prune",), prune),
    Stage("finetune", "tunes", "model.txt", ("prune",), ("data", "finetune"), finetune),
)


def _note(text: str) -> None:
    with Path(os.environ["NOTES"]).open("a") as file:
        file.write(text + "\n")


def run(folder: Path, stages=STAGES, last: str | None = None, **sections) -> None:
    Runner(recipe(**sections), RunFolder(folder), stages, Console(width=200)).run(last)


if __name__ == "__main__":
    run(Path(sys.argv[1]))
