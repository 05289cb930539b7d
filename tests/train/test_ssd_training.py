"""An SSD learns to detect, through the common loop, from default boxes fitted to the training set."""

import torch

from hwprune.detect.kinds import KINDS
from hwprune.models.architecture import Architecture, Conv, L2Norm, MaxPool
from hwprune.models.network import Network
from hwprune.train.loop import fit
from hwprune.train.settings import TrainSettings
from tests.train.toys import Rectangles


def small_ssd() -> Architecture:
    """Detection layers at stride 8, behind a norm over channels, and 16."""
    layers, source = [], "image"
    for i, width in enumerate((8, 16, 16, 24), start=1):
        layers.append(Conv(name=f"conv{i}", inputs=(source,), out_channels=width, kernel=3, padding=1))
        layers.append(MaxPool(name=f"pool{i}", inputs=(f"conv{i}",)))
        source = f"pool{i}"
    layers.append(L2Norm(name="norm", inputs=("pool3",)))
    for k, source in ((1, "norm"), (2, "pool4")):
        layers += [
            Conv(name=f"{kind}{k}", inputs=(source,), out_channels=4 * channels, kernel=3, padding=1, norm=False,
                 activation="linear")
            for kind, channels in (("offsets", 4), ("classes", 3))
        ]  # fmt: skip
    heads = ("offsets1", "classes1", "offsets2", "classes2")
    return Architecture(name="small_ssd", layers=tuple(layers), heads=heads)


def test_an_ssd_learns(tmp_path):
    train, table = Rectangles(96), small_ssd()
    shapes = table.shapes(48, 64)
    head = KINDS["ssd"].fit(train, [shapes[name] for name in table.heads], (48, 64), 0)
    torch.manual_seed(0)
    network = Network(table)
    settings = TrainSettings(epochs=12, batch_size=8, learning_rate=1e-2, accelerator="cpu")
    result = fit(network, train, Rectangles(32, 1), head, settings, tmp_path, seed=0)
    assert result["map50"] > 0.8
    assert {"box", "class"} <= set(result["history"][0])
