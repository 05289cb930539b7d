"""The one training loop: float training, sparsity training, fine-tuning and quantisation-aware training."""

import signal
import sys
from pathlib import Path

import lightning.pytorch as pl
import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.utilities.seed import isolate_rng
from torch import nn
from torch.utils.data import Dataset

from hwprune.detect.heads import Head
from hwprune.errors import UserError
from hwprune.train.checkpoint import FILE, SaveLast, restore
from hwprune.train.console import Bar, epoch_line, quiet_lightning
from hwprune.train.gradual import advance
from hwprune.train.settings import TrainSettings
from hwprune.train.task import AfterBackward, TrainingTask
from hwprune.train.threads import suited_to


def fit(
    network: nn.Module,
    train_set: Dataset,
    val_set: Dataset,
    head: Head,
    settings: TrainSettings,
    folder: Path | str,
    *,
    seed: int,
    after_backward: AfterBackward | None = None,
    name: str = "train",
    teacher: nn.Module | None = None,
) -> dict:
    """Train a network in place; its weights at the end are those of the last epoch, and it is left in eval mode.

    After each epoch ``last.ckpt`` is written to `folder`, and TensorBoard's events to ``tensorboard/`` in it. Called
    again on a folder with the checkpoint of the same run, `fit` goes on after the last finished epoch and ends, on a
    CPU with the same number of threads, with the same weights bit for bit as a run without a break.

    Parameters
    ----------
    network
        From float pixels (N, 3, H, W) in 0..1 to the list of raw head outputs; any module, quantised ones included.
    train_set, val_set
        Of (uint8 image, target) samples. What is random in the training set may depend on (seed, epoch) alone:
        `train_set.set_epoch(epoch)` is called before each epoch where it exists.
    head
        How to read the outputs.
    settings
        Length, optimizer and schedule.
    folder
        For the checkpoint and the logs; made if it is missing.
    seed
        Of the order of the images, and of random numbers in the network. Not negative.
    after_backward
        ``after_backward(network, progress)``, called after each backward pass and before the gradient is clipped;
        may change the gradients. `progress` is the fraction of the steps that are done, 0 at the first.
    name
        Of the run in what is printed.
    teacher
        A trained network with the same outputs, for `TrainSettings.distillation`, or `SamTraining.distillation` where
        the network has SAM layers; it is frozen. Not used where that is 0.

    Returns
    -------
    dict
        The head's metric (`map50` or `accuracy`), on the validation set after the last epoch, and `history`: for each
        epoch a dict of `epoch` (from 1), the mean `loss` and its parts (such as `box` and `class`, and
        `distillation`), `learning_rate` at the end, and where the validation set was evaluated its figures.

    Raises
    ------
    UserError
        If a data set is empty or has other classes than the head, the checkpoint in the folder is damaged or of
        another run, the accelerator does not exist, or training diverges.
    """
    folder = Path(folder)
    _check_data(train_set, val_set, head)
    folder.mkdir(parents=True, exist_ok=True)

    terminal = sys.stdout.isatty()

    def report(record: dict) -> None:
        if not terminal:
            print(epoch_line(name, settings.epochs, record), flush=True)

    task = TrainingTask(network, train_set, val_set, head, settings, seed, after_backward, report, teacher)
    checkpoint = folder / FILE
    network.to(memory_format=torch.channels_last)  # on CPUs a training step takes little more than half the time
    resumes = checkpoint.exists()
    if not (resumes and restore(checkpoint, task) == settings.epochs):
        network.train()
        with isolate_rng(), quiet_lightning(), suited_to(head.image_size):
            trainer = _trainer(settings, folder, terminal)
            handler = signal.getsignal(signal.SIGINT)
            try:
                trainer.fit(task, ckpt_path=checkpoint if resumes else None, weights_only=True)
            except SystemExit as stop:  # Lightning's answer to Ctrl-C, which it then ignores for good
                signal.signal(signal.SIGINT, handler)
                raise KeyboardInterrupt from stop
    advance(network, settings.sam, 1.0)
    network.to(memory_format=torch.contiguous_format).eval()
    return {head.metric: task.history[-1][head.metric], "history": task.history}


def _check_data(train_set: Dataset, val_set: Dataset, head: Head) -> None:
    for kind, dataset in (("training", train_set), ("validation", val_set)):
        if not len(dataset):
            raise UserError(f"the {kind} set has no images; check the folder and the split that it names")
        if tuple(dataset.classes) != head.classes:
            raise UserError(f"the {kind} set has classes {', '.join(dataset.classes)}, but the network "
                            f"{', '.join(head.classes)}; train a network for this data, or name its own")  # fmt: skip


def _trainer(settings: TrainSettings, folder: Path, terminal: bool) -> pl.Trainer:
    try:
        return pl.Trainer(
            accelerator=settings.accelerator,
            devices=settings.devices,
            max_epochs=settings.epochs,
            gradient_clip_val=settings.gradient_clip,
            reload_dataloaders_every_n_epochs=1,
            callbacks=[SaveLast(folder), *([Bar()] if terminal else [])],
            logger=TensorBoardLogger(folder, name=None, version="tensorboard"),
            enable_progress_bar=terminal,
            enable_model_summary=False,
        )
    except MisconfigurationException as error:
        raise UserError(f"accelerator: {settings.accelerator}: {error} Choose auto or cpu.") from error
