"""A training set of coloured rectangles, a detector small enough for them, and a run of both as a command."""

import itertools
import os
import signal
import sys
from pathlib import Path

import torch
from torch import nn
from torch.utils.data import Dataset

from hwprune.detect.head import HeadSpec
from hwprune.models.architecture import Architecture, Conv, MaxPool
from hwprune.models.network import Network
from hwprune.train.loop import fit
from hwprune.train.settings import TrainSettings

HEAD = HeadSpec(
    classes=("red", "blue"),
    anchors=(((24.0, 24.0), (16.0, 28.0)), ((10.0, 10.0), (14.0, 8.0))),
    strides=(16, 8),
    image_size=(48, 64),
)


class Rectangles(Dataset):
    """One to three rectangles an image, red or blue, on grey noise; `set_epoch` changes the noise."""

    classes = HEAD.classes

    def __init__(self, count: int, seed: int = 0):
        self.count, self.seed, self.epoch = count, seed, 0

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int):
        places = torch.Generator().manual_seed(1000 * self.seed + index)
        noise = torch.Generator().manual_seed(10**6 * self.epoch + 1000 * self.seed + index)
        image = torch.randint(90, 130, (3, 48, 64), generator=noise, dtype=torch.uint8)
        boxes, labels = [], []
        for column in range(int(torch.randint(1, 4, (), generator=places))):
            w, h = torch.randint(8, 19, (2,), generator=places).tolist()
            x = 21 * column + int(torch.randint(0, 22 - w, (), generator=places))
            y = int(torch.randint(0, 48 - h, (), generator=places))
            label = int(torch.randint(2, (), generator=places))
            image[:, y : y + h, x : x + w] = torch.tensor([[230, 30, 30], [30, 30, 230]])[label][:, None, None]
            boxes.append([x, y, x + w, y + h])
            labels.append(label)
        return image, {"boxes": torch.tensor(boxes, dtype=torch.float32), "labels": torch.tensor(labels)}


def detector(seed: int = 0) -> Network:
    """Four convolutions of stride 2 and a head each at stride 16 and 8."""
    layers, source = [], "image"
    for i, width in enumerate((8, 16, 16, 24), start=1):
        layers.append(Conv(name=f"conv{i}", inputs=(source,), out_channels=width, kernel=3, padding=1))
        layers.append(MaxPool(name=f"pool{i}", inputs=(f"conv{i}",)))
        source = f"pool{i}"
    for name, source in (("coarse", "pool4"), ("fine", "pool3")):
        layers.append(Conv(name=name, inputs=(source,), out_channels=14, kernel=1, norm=False, activation="linear"))
    torch.manual_seed(seed)
    return Network(Architecture(name="toy", layers=tuple(layers), heads=("coarse", "fine")))


class Noisy(nn.Module):
    """A detector that draws random numbers while it trains; no `Network`, as a quantised one would not be."""

    def __init__(self):
        super().__init__()
        self.body = detector()

    def forward(self, x):
        return self.body(nn.functional.dropout(x, 0.1, self.training))


def three_epochs(folder: Path, after_backward=None) -> tuple[dict, list]:
    """Three epochs of five steps on one thread: the weights and the history."""
    network, threads = Noisy(), torch.get_num_threads()
    settings = TrainSettings(epochs=3, batch_size=4, validate_every=1, accelerator="cpu")
    torch.set_num_threads(1)
    try:
        result = fit(network, Rectangles(22), Rectangles(6, 1), HEAD, settings, folder, seed=5,
                     after_backward=after_backward)  # fmt: skip
    finally:
        torch.set_num_threads(threads)
    return network.state_dict(), result["history"]


def die_at(step: int):
    """A hook that kills its process at this step, from 1."""
    steps = itertools.count(1)
    return lambda network, progress: os.kill(os.getpid(), signal.SIGKILL) if next(steps) == step else None


if __name__ == "__main__":  # FOLDER STEP
    three_epochs(Path(sys.argv[1]), die_at(int(sys.argv[2])))
