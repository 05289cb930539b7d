"""What SAM neurons cost in accuracy: nets trained in 4 bits, alike but for the neuron of their inner layers.

First layer and classifier multiply and accumulate in 8 bits in every net. Accuracies are of held-out training images
(choose by these), and of the test set if ``--test`` is given. Rows are appended to ``--out``, and a row that is there
is not run again. Without ``--data`` the images are scikit-learn's handwritten digits.
"""

import argparse
import json
import platform
import statistics
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from common import conclude, say
from torch import Tensor, nn
from torch.nn import functional as F

from hwprune.errors import UserError
from hwprune.files import write_json
from hwprune.models.architecture import IMAGE, Architecture, Conv, MaxPool
from hwprune.models.cost import macs, sam_ops
from hwprune.quant.network import QuantNetwork
from hwprune.quant.precision import Precision
from hwprune.sam.layer import SamConv2d
from hwprune.sam.settings import Sam

NETS = {
    # (channels, pooled?) of each 3x3 layer; the classifier is a 1x1 layer, averaged over the positions that are left
    "digits": ((16, False), (32, True), (32, False)),
    "small": ((24, True), (32, False), (48, True), (64, False)),
    "vgg": ((32, True), (64, True), (96, False), (96, True), (128, False)),
}
LEARNING_RATE = 3e-3
VALIDATION = 5000
"""CIFAR-10 training images that are never trained on; a fifth of the digits."""


@dataclass(frozen=True)
class Variant:
    """What differs between two nets: the neuron of the inner layers, their width, and how they are trained."""

    sam: Sam | None = None
    width: float = 1.0
    bits: int = 4
    factor: float = 10.0
    """Learning rate of SAM weights, in that of the others."""


def _floor(form: str, group: int, **options) -> Sam:
    return Sam(form=form, group=group, floor=True, **options)


VARIANTS = {
    "mac": Variant(),
    "mac-2bit": Variant(bits=2),
    "binary": Variant(Sam(form="signed", group=1)),  # no floor, nobody to compare with: a sum of +x and -x
    "signed1-floor": Variant(_floor("signed", 1)),
    "signed2-floor": Variant(_floor("signed", 2)),
    "signed4-floor": Variant(_floor("signed", 4)),
    "signed1-floor-2bit": Variant(_floor("signed", 1, shift=2), bits=2),
    "signed1-floor-wide": Variant(_floor("signed", 1), width=1.5),
    "signed2-floor-wide": Variant(_floor("signed", 2), width=1.5),
    "signed2": Variant(Sam(form="signed", group=2)),
    "signed4": Variant(Sam(form="signed", group=4)),
    "difference1-floor": Variant(_floor("difference", 1)),
    "difference2-floor": Variant(_floor("difference", 2)),
    "difference2": Variant(Sam(form="difference", group=2)),
    "difference4": Variant(Sam(form="difference", group=4)),
    "difference8": Variant(Sam(form="difference", group=8)),
    "maxmin4": Variant(Sam(form="maxmin", group=4)),
}


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


def table(net: str, variant: Variant, images: Images) -> Architecture:
    """The layer table of a net; only inner layers change with the variant."""
    layers, before = [], IMAGE
    for i, (channels, pooled) in enumerate(NETS[net]):
        sam, width = (variant.sam, variant.width) if i else (None, 1)
        layers.append(Conv(name=f"conv{i}", inputs=(before,), out_channels=round(channels * width / 8) * 8, kernel=3,
                           padding=1, activation="relu", sam=sam))  # fmt: skip
        before = f"conv{i}"
        if pooled:
            layers.append(MaxPool(name=f"pool{i}", inputs=(before,)))
            before = f"pool{i}"
    layers.append(Conv(name="classes", inputs=(before,), out_channels=images.classes, kernel=1, norm=False,
                       activation="linear"))  # fmt: skip
    return Architecture(name=net, in_channels=images.shape[0], layers=tuple(layers), heads=("classes",))


def logits(network: nn.Module, images: Tensor) -> Tensor:
    """The classifier's outputs, averaged over the image."""
    (scores,) = network(images.float() / 255)
    return scores.mean((2, 3))


@torch.no_grad()
def accuracy(network: nn.Module, part: tuple[Tensor, Tensor]) -> float:
    """Per cent."""
    network.eval()
    right = sum(
        int((logits(network, x).argmax(1) == y).sum()) for x, y in zip(*(t.split(500) for t in part), strict=True)
    )
    return round(100 * right / len(part[0]), 2)


def augmented(images: Tensor, flip: bool) -> Tensor:
    """Each image mirrored or not, all of them shifted by up to a tenth (not at all where an image is that small)."""
    if flip:
        images = torch.where(torch.rand(len(images)).lt(0.5)[:, None, None, None], images.flip(3), images)
    reach = images.shape[-1] // 10
    if not reach:
        return images
    height, width = images.shape[2:]
    top, left = torch.randint(0, 2 * reach + 1, (2,)).tolist()
    return F.pad(images, (reach,) * 4)[:, :, top : top + height, left : left + width]


def train(
    architecture: Architecture, variant: Variant, images: Images, epochs: int, seed: int, batch: int
) -> nn.Module:
    """Quantisation-aware training from the first step on: Adam, one cycle, no weight decay."""
    torch.manual_seed(seed)
    network = QuantNetwork(architecture, Precision(weight_bits=variant.bits, activation="relu"))
    layers = [m for m in network.modules() if isinstance(m, SamConv2d)]
    offsets = [p for m in layers for p in (m.positive, m.negative, m.polarity) if p is not None]
    known = {id(p) for p in offsets}
    groups = [{"params": [p for p in network.parameters() if id(p) not in known], "lr": LEARNING_RATE}]
    if offsets:
        groups.append({"params": offsets, "lr": LEARNING_RATE * variant.factor})
    optimizer = torch.optim.Adam(groups)
    x, y = images.train
    steps = len(x) // batch
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, [g["lr"] for g in groups], total_steps=epochs * steps, pct_start=0.2, cycle_momentum=False
    )
    for epoch in range(epochs):
        network.train()
        order, total = torch.randperm(len(x)), 0.0
        for i in range(steps):
            picked = order[i * batch : (i + 1) * batch]
            loss = F.cross_entropy(logits(network, augmented(x[picked], images.name != "digits")), y[picked])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            for layer in layers:
                layer.project()
            total += loss.item()
        say(f"  epoch {epoch + 1} of {epochs}: loss {total / steps:.3f}")
    return network


def measure(name: str, images: Images, options: argparse.Namespace, seed: int) -> dict:
    """One row: a variant with one seed."""
    variant = VARIANTS[name]
    architecture = table(options.net, variant, images)
    start = time.monotonic()
    network = train(architecture, variant, images, options.epochs, seed, options.batch)
    size = images.shape[1:]
    return {
        **key(name, images, options, seed),
        "neuron": variant.sam.model_dump() if variant.sam else "mac",
        "weight_bits": variant.bits,
        "width": variant.width,
        "macs": macs(architecture, *size),
        "sam_ops": sam_ops(architecture, *size),
        "validation": accuracy(network, images.validation),
        "test": accuracy(network, images.test) if options.test else None,
        "seconds": round(time.monotonic() - start, 1),
        "threads": torch.get_num_threads(),
        "hardware": f"CPU {platform.machine()}, {torch.backends.cpu.get_cpu_capability()}",
        "commit": commit(),
        "by": "benchmarks/sam_accuracy.py",
    }


def key(name: str, images: Images, options: argparse.Namespace, seed: int) -> dict:
    """What makes a row another one."""
    return {
        "variant": name,
        "net": options.net,
        "data": images.name,
        "images": len(images.train[0]),
        "epochs": options.epochs,
        "batch": options.batch,
        "seed": seed,
    }


def commit() -> str:
    """The checkout's, or ``unknown``."""
    run = subprocess.run(["git", "-C", str(Path(__file__).parent), "rev-parse", "--short", "HEAD"],
                         capture_output=True, text=True)  # fmt: skip
    return run.stdout.strip() or "unknown"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("variants", nargs="*", default=["mac", "signed1-floor"],
                        help=f"of {', '.join(VARIANTS)}; the first one is the one to compare with")  # fmt: skip
    parser.add_argument("--data", type=Path, help="folder with the PNG sheets of CIFAR-10")
    parser.add_argument("--half", action="store_true", help="CIFAR-10 at 16x16 pixels")
    parser.add_argument("--images", type=int, default=12800, help="CIFAR-10 images to train on")
    parser.add_argument("--net", choices=NETS, help="`digits` for digits, `small` for CIFAR-10 if not given")
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--test", action="store_true", help="measure the test accuracy too")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, help="JSON file of the rows")
    options = parser.parse_args()
    if unknown := [v for v in options.variants if v not in VARIANTS]:
        parser.error(f"no variant {', '.join(unknown)}; there are {', '.join(VARIANTS)}")
    if min(options.epochs, options.batch, options.threads) < 1:
        parser.error("--epochs, --batch and --threads are at least 1")
    options.net = options.net or ("small" if options.data else "digits")
    torch.set_num_threads(options.threads)
    try:
        images = cifar10(options.data, options.images, options.half) if options.data else digits()
        rows = json.loads(options.out.read_text()) if options.out and options.out.exists() else []
    except (UserError, ValueError) as error:
        parser.error(str(error))
    wanted = []
    for seed in options.seeds:
        for name in options.variants:
            of = key(name, images, options, seed)
            row = next((r for r in rows if of.items() <= r.items() and (r["test"] or not options.test)), None)
            if row is None:
                say(f"{name}, seed {seed}")
                row = measure(name, images, options, seed)
                rows = [r for r in rows if not of.items() <= r.items()] + [row]
                if options.out:
                    write_json(options.out, rows)
            say(f"{name}, seed {seed}: validation {row['validation']} %, test {row['test']}")
            wanted.append(row)
    which = "test" if options.test else "validation"
    means = {v: statistics.mean(r[which] for r in wanted if r["variant"] == v) for v in options.variants}
    spread = {v: statistics.pstdev([r[which] for r in wanted if r["variant"] == v]) for v in options.variants}
    first, last = options.variants[0], options.variants[-1]
    conclude("sam_accuracy", round(means[last], 2), f"% {which} accuracy of {last}", first,
             round(means[last] / means[first], 4),
             {k: v for k, v in key(last, images, options, 0).items() if k not in ("seed", "variant")},
             means={v: round(m, 2) for v, m in means.items()}, spread={v: round(s, 2) for v, s in spread.items()},
             seeds=options.seeds)  # fmt: skip


if __name__ == "__main__":
    main()
