"""What a training run says while it runs."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import lightning.pytorch as pl
from lightning.pytorch.callbacks import RichProgressBar

from hwprune.detect.heads import METRICS

CHATTY = ("lightning.pytorch", "lightning.fabric")


class Bar(RichProgressBar):
    """Lightning's bar, without the version of the logger's folder among the figures."""

    def get_metrics(self, trainer: pl.Trainer, task: pl.LightningModule) -> dict:
        metrics = super().get_metrics(trainer, task)
        metrics.pop("v_num", None)
        return metrics


def epoch_line(name: str, epochs: int, record: dict) -> str:
    """One finished epoch in a line: ``train 3/20: loss 1.234, mAP50 0.567``."""
    line = f"{name} {record['epoch']}/{epochs}: loss {record['loss']:.3f}"
    return line + "".join(f", {metric.name} {record[key]:.3f}" for key, metric in METRICS.items() if key in record)


@contextmanager
def quiet_lightning() -> Iterator[None]:
    """Without Lightning's notes on hardware, its tips, and its advice on workers and logging intervals."""
    loggers = [logging.getLogger(name) for name in CHATTY]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module="lightning")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
