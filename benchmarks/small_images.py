"""Small images with labels: scikit-learn's handwritten digits, and CIFAR-10."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from hwprune.data.cifar10 import read_cifar10
from hwprune.errors import UserError

VALIDATION = 5000
"""CIFAR-10 training images that are never trained on; a fifth of the digits."""


@dataclass
class Images:
    """Of one data set: uint8 (N, C, H, W), with int64 labels."""

    name: str
    train: tuple[Tensor, Tensor]
    validation: tuple[Tensor, Tensor]
    test: tuple[Tensor, Tensor]
    classes: int = 10
    shape: tuple[int, ...] = field(init=False)

    def __post_init__(self):
        self.shape = tuple(self.train[0].shape[1:])


def digits() -> Images:
    """8x8 pixels, one channel; a fifth each for validation and test. Their order is a fixed random one."""
    from sklearn.datasets import load_digits

    data = load_digits()
    images = torch.from_numpy(data.images * 255 / 16).round().to(torch.uint8)[:, None]
    labels = torch.from_numpy(data.target).long()
    order = torch.from_numpy(np.random.RandomState(0).permutation(len(images)))
    part = len(order) // 5
    pick = [(images[i], labels[i]) for i in (order[2 * part :], order[:part], order[part : 2 * part])]
    return Images("digits", *pick)


def cifar10(folder: Path, count: int, half: bool) -> Images:
    """CIFAR-10 from an unpacked archive, or sheets.

    ``half`` averages 2x2 pixels. Validation is the first `VALIDATION` images in a fixed random order, training the
    ``count`` after them.
    """
    train, test = ((_tensor(images, half), torch.from_numpy(labels)) for images, labels in read_cifar10(folder))
    left = len(train[1]) - VALIDATION
    if not 0 < count <= left:
        raise UserError(f"--images {count}: there are {left} beside the validation images")
    order = torch.from_numpy(np.random.RandomState(123).permutation(len(train[1])))
    kept, taken = order[:VALIDATION], order[VALIDATION : VALIDATION + count]
    parts = [tuple(values[picked] for values in train) for picked in (taken, kept)]
    return Images("cifar10" + ("-16x16" if half else ""), *parts, test)


def _tensor(images: np.ndarray, half: bool) -> Tensor:
    pixels = torch.from_numpy(images)
    return F.avg_pool2d(pixels.float(), 2).round().to(torch.uint8) if half else pixels
