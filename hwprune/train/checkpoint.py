"""``last.ckpt``: the state of a training run after its last finished epoch."""

import os
from pathlib import Path

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import Checkpoint

from hwprune.errors import UserError
from hwprune.train.task import TrainingTask

FILE = "last.ckpt"


class SaveLast(Checkpoint):
    """Writes ``last.ckpt`` after each epoch, whole or not at all.

    A `Checkpoint`, since Lightning calls those after the task's own hook: the epoch is in the history by then.
    """

    def __init__(self, folder: Path):
        self.path = folder / FILE

    def on_train_epoch_end(self, trainer: pl.Trainer, task: pl.LightningModule) -> None:
        partial = self.path.with_suffix(".tmp")
        trainer.save_checkpoint(partial)
        if trainer.is_global_zero:
            os.replace(partial, self.path)


def restore(path: Path, task: TrainingTask) -> int:
    """Take the weights and the history from a checkpoint of this very run.

    Optimizer, schedule and the place in the run are Lightning's to restore.

    Returns
    -------
    int
        Finished epochs.

    Raises
    ------
    UserError
        If the file is damaged, or written by something else or by another run.
    """
    way_out = "Delete it to train from the start, or train in another folder"
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # whatever a damaged file sets off in the reader
        raise UserError(f"{path}: damaged, or no checkpoint ({type(error).__name__}). {way_out}.") from error
    run = checkpoint.get(task.KEY) if isinstance(checkpoint, dict) else None
    if not (isinstance(run, dict) and run.keys() == {"run", "history"} and "state_dict" in checkpoint):
        raise UserError(f"{path}: a checkpoint, but none of hwprune's training. {way_out}.")
    if changed := _changed(run["run"], task.identity()):
        raise UserError(f"{path}: from a run with other {', '.join(changed)}. {way_out}.")
    try:
        task.load_state_dict(checkpoint["state_dict"])
    except RuntimeError as error:
        raise UserError(f"{path}: the weights of another network. {way_out}.") from error
    task.history = run["history"]
    return len(task.history)


def _changed(theirs: dict, mine: dict) -> list[str]:
    """The settings that differ, each as ``name (value there, value here)``."""
    return [
        f"{name} ({theirs.get(name)} there, {mine.get(name)} here)"
        for name in mine | theirs
        if theirs.get(name) != mine.get(name)
    ]
