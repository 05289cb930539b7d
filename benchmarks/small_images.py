"""Small images with labels: scikit-learn's handwritten digits, and CIFAR-10 from sheets."""

import json
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

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
    """CIFAR-10 from a folder of sheets: a PNG whose rows are images, and a JSON list of labels, for each part.

    ``half`` averages 2x2 pixels. Validation is the first `VALIDATION` images in a fixed random order, training the
    ``count`` after them.
    """
    from PIL import Image

    def sheets(*names: str) -> Tensor:
        parts = []
        for name in names:
            try:
                with Image.open(folder / name) as sheet:
                    parts.append(np.asarray(sheet.convert("RGB")).reshape(-1, 32, 32, 3))
            except (OSError, ValueError) as error:
                raise UserError(f"{folder / name}: {error}; --data takes the unpacked sheets of CIFAR-10") from None
        images = torch.from_numpy(np.concatenate(parts)).permute(0, 3, 1, 2)
        return F.avg_pool2d(images.float(), 2).round().to(torch.uint8) if half else images.contiguous()

    def labels(name: str) -> Tensor:
        try:
            return torch.tensor(json.loads((folder / name).read_text()), dtype=torch.int64)
        except (OSError, ValueError) as error:
            raise UserError(f"{folder / name}: {error}; --data takes the unpacked sheets of CIFAR-10") from None

    x, y = sheets(*(f"data_batch_{i}.png" for i in range(1, 6))), labels("train_lables.json")
    xt, yt = sheets("test_batch.png"), labels("test_lables.json")
    for name, images, its in (("train_lables.json", x, y), ("test_lables.json", xt, yt)):
        if len(images) != len(its):
            raise UserError(f"{folder / name}: {len(its)} labels for {len(images)} images")
    if not 0 < count <= len(x) - VALIDATION:
        raise UserError(f"--images {count}: there are {len(x) - VALIDATION} beside the validation images")
    order = torch.from_numpy(np.random.RandomState(123).permutation(len(x)))
    kept, taken = order[:VALIDATION], order[VALIDATION : VALIDATION + count]
    return Images("cifar10" + ("-16x16" if half else ""), (x[taken], y[taken]), (x[kept], y[kept]), (xt, yt))
