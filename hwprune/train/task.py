"""What Lightning trains: a network with its loss, its data by epoch, its optimizer and its schedule."""

import math
from collections.abc import Callable

import lightning.pytorch as pl
import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from hwprune.detect.evaluate import collate, evaluate, predictor, to_pixels
from hwprune.detect.heads import Head
from hwprune.detect.kinds import kind_of
from hwprune.errors import UserError
from hwprune.sam.layer import SamConv2d
from hwprune.train.gradual import advance
from hwprune.train.settings import TrainSettings

AfterBackward = Callable[[nn.Module, float], None]


def one_cycle(step: int, warmup: float, total: int) -> float:
    """Fraction of the peak learning rate at a step: linearly up to 1 over `warmup` steps, then to 0 along a cosine."""
    if step < warmup:
        return (step + 1) / (warmup + 1)
    return (1 + math.cos(math.pi * (step - warmup) / (total - warmup))) / 2


class TrainingTask(pl.LightningModule):
    """One training run.

    Order, augmentation and the network's own random numbers depend on the seed and the number of the epoch alone, so
    that a run taken up after any epoch goes on as if it had never stopped.

    Parameters
    ----------
    network
        From float pixels (N, 3, H, W) in 0..1 to the list of raw head outputs.
    train_set, val_set
        Of (uint8 image, target) samples; `train_set.set_epoch(epoch)` is called before each epoch where it exists.
    head
        How to read the outputs.
    settings
        Of the training.
    seed
        Not negative.
    after_backward
        Called with the network and the fraction of the steps that are done, after each backward pass and before the
        gradient is clipped.
    report
        Called with the record of each finished epoch.
    teacher
        A network with the same outputs, from which to learn besides; it is frozen. See `SamTraining.distillation`.
    """

    KEY = "hwprune"
    """Of the run's identity and history in a checkpoint."""

    def __init__(self, network: nn.Module, train_set: Dataset, val_set: Dataset, head: Head,
                 settings: TrainSettings, seed: int, after_backward: AfterBackward | None,
                 report: Callable[[dict], None], teacher: nn.Module | None = None):  # fmt: skip
        super().__init__()
        self.network, self.head, self.settings, self.seed = network, head, settings, seed
        self.train_set, self.val_set = train_set, val_set
        self.after_backward, self.report = after_backward, report
        # In a list, so that it is no part of what is trained and stored.
        has_sam = any(isinstance(module, SamConv2d) for module in network.modules())
        self._weight = settings.sam.distillation if has_sam else settings.distillation
        self._teachers = [teacher.eval().requires_grad_(False)] if teacher is not None and self._weight else []
        self.history: list[dict] = []
        self._sums: dict[str, Tensor] = {}

    def identity(self) -> dict:
        """What two runs must share for one to go on from the other's checkpoint, in plain values."""
        settings = self.settings.model_dump(mode="json", exclude={"accelerator", "devices", "workers"})
        return {**settings, "seed": self.seed, "head": self.head.model_dump(mode="json"), "images": len(self.train_set)}

    def train_dataloader(self) -> DataLoader:
        """The batches of the current epoch. A last batch that is not full is left out, unless it is the only one."""
        size = self.settings.batch_size
        if hasattr(self.train_set, "set_epoch"):
            self.train_set.set_epoch(self.current_epoch)
        # A list, not a generator: Lightning may start to iterate twice.
        order = torch.randperm(len(self.train_set), generator=torch.Generator().manual_seed(self._epoch_seed()))
        return DataLoader(self.train_set, size, sampler=order.tolist(), num_workers=self.settings.workers,
                          collate_fn=collate, drop_last=len(order) > size)  # fmt: skip

    def configure_optimizers(self) -> dict:
        s = self.settings
        weights = [m.weight for m in self.network.modules() if isinstance(m, (nn.Conv2d, nn.Linear))]
        offsets = [
            p for m in self.network.modules() if isinstance(m, SamConv2d)
            for p in (m.positive, m.negative, m.polarity) if p is not None
        ]  # fmt: skip
        known = {id(p) for p in (*weights, *offsets)}
        others = [p for p in self.network.parameters() if id(p) not in known]
        groups = [{"params": weights}, {"params": others, "weight_decay": 0.0}]
        if offsets:
            rate = s.learning_rate * s.sam.learning_rate_factor
            groups.append({"params": offsets, "weight_decay": 0.0, "lr": rate})
        if s.optimizer == "adamw":
            optimizer = torch.optim.AdamW(groups, s.learning_rate, weight_decay=s.weight_decay)
        else:
            optimizer = torch.optim.SGD(groups, s.learning_rate, momentum=0.9, weight_decay=s.weight_decay,
                                        nesterov=True)  # fmt: skip
        total = self.trainer.estimated_stepping_batches
        warmup = total * s.warmup_epochs / s.epochs
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: one_cycle(step, warmup, total))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def on_train_batch_start(self, batch: tuple, batch_idx: int) -> None:
        if batch_idx == 0:
            torch.manual_seed(self._epoch_seed())  # for dropout and the like in the network
        advance(self.network, self.settings.sam, self.global_step / self.trainer.estimated_stepping_batches)

    def training_step(self, batch: tuple, batch_idx: int) -> Tensor:
        images, targets = batch
        pixels = to_pixels(images)
        outputs = self.network(pixels)
        kind = kind_of(self.head)
        parts = kind.loss(outputs, targets, self.head)
        for teacher in self._teachers:
            with torch.no_grad():
                taught = teacher.to(pixels.device)(pixels)
            parts["distillation"] = self._weight * kind.distillation(outputs, taught, self.head)
        loss = sum(parts.values())
        for name, value in {"loss": loss, **parts}.items():
            self._sums[name] = self._sums.get(name, 0.0) + value.detach()
        return loss

    def on_after_backward(self) -> None:
        if self.after_backward:
            self.after_backward(self.network, self.global_step / self.trainer.estimated_stepping_batches)

    def on_train_epoch_end(self) -> None:
        s, record = self.settings, {"epoch": self.current_epoch + 1}
        record |= {name: (total / self.trainer.num_training_batches).item() for name, total in self._sums.items()}
        self._sums = {}
        if not np.isfinite(record["loss"]):
            raise UserError(f"training diverged: the loss of epoch {record['epoch']} is {record['loss']}. Lower "
                            f"learning_rate (it is {s.learning_rate:g})")  # fmt: skip
        record["learning_rate"] = self.optimizers().param_groups[0]["lr"]
        advance(self.network, s.sam, self.global_step / self.trainer.estimated_stepping_batches)
        if record["epoch"] % s.validate_every == 0 or record["epoch"] == s.epochs:
            result = evaluate(predictor(self.network), self.val_set, self.head, batch_size=s.batch_size, progress=False)
            record |= {name: value for name, value in result.items() if isinstance(value, float)}
        for name, value in record.items():
            self.log(name, float(value), prog_bar=name in ("loss", self.head.metric))
        self.history.append(record)
        self.report(record)

    def on_save_checkpoint(self, checkpoint: dict) -> None:
        checkpoint[self.KEY] = {"run": self.identity(), "history": self.history}

    def _epoch_seed(self) -> int:
        """A seed of 63 bits from the run's and the epoch, well mixed."""
        state = np.random.SeedSequence([self.seed, self.current_epoch]).generate_state(1, np.uint64)
        return int(state[0] >> 1)
