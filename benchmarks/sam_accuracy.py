"""What SAM neurons cost in accuracy: nets trained in 4 bits, alike but for the neuron of their inner layers.

First layer and classifier multiply and accumulate in 8 bits in every net. With ``--twin`` every net, whatever its
neuron, starts from the weights of a float net of multiply-accumulates of its own widths and seed, which is trained
first (or taken from the folder beside ``--out``). Some variants are as wide as the LUTs or the weight memory of the
multiply-accumulates in 4 bits allow: units are synthesised for that, see `sam_logic.py`.

Accuracies are of held-out training images (choose by these), and of the test set if ``--test`` is given. Rows are
appended to ``--out``, and a row that is there is not run again. Without ``--data`` the images are scikit-learn's
handwritten digits.
"""

import argparse
import json
import platform
import statistics
import subprocess
import time
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

import torch
from common import conclude, say
from sam_logic import BINARY, HEADLINE, SIGNS_AND_ZERO, TERNARY, Kind, mac_design, sam_design
from small_images import Images, cifar10, digits
from torch import Tensor, nn
from torch.nn import functional as F

from hwprune.board.yosys import Unit, synthesise
from hwprune.errors import UserError
from hwprune.files import write_json
from hwprune.models.architecture import IMAGE, Architecture, Conv, MaxPool
from hwprune.models.cost import cost_table, macs, sam_ops
from hwprune.models.network import Network
from hwprune.models.store import load_model, save_model
from hwprune.quant.calibrate import calibrate
from hwprune.quant.network import QuantNetwork
from hwprune.quant.precision import Precision
from hwprune.sam.convert import convert
from hwprune.sam.layer import SamConv2d
from hwprune.sam.settings import Sam

NETS = {
    # (channels, pooled?) of each 3x3 layer; the classifier is a 1x1 layer, averaged over the positions that are left
    "digits": ((16, False), (32, True), (32, False)),
    "small": ((24, True), (32, False), (48, True), (64, False)),
    "vgg": ((32, True), (64, True), (96, False), (96, True), (128, False)),
}
LEARNING_RATE = 3e-3
"""Of the twins, and of the quantised nets unless ``--rate`` says another one."""
EDGE_BITS = 8
MEASURED = 256
"""Training images on which a SAM layer is fitted to the convolution that it replaces."""


@dataclass(frozen=True)
class Variant:
    """What differs between two nets: the neuron of the inner layers, their width, and how they are trained."""

    sam: Sam | None = None
    width: float | Literal["luts", "memory"] = 1.0
    """Of the inner layers, in the net's; or as wide as a net can be that takes no more LUTs, or no more weight memory,
    than multiply-accumulates in 4 bits do at width 1."""
    bits: int = 4
    factor: float = 10.0
    """Learning rate of SAM weights, in that of the others."""

    @property
    def unit(self) -> Kind | None:
        """Of `sam_logic.py`; None for multiply-accumulates in 4 bits."""
        if self.sam is None:
            # Codes do without the lowest one, so 2 bits are -1, 0 and 1.
            return {4: None, 2: SIGNS_AND_ZERO}[self.bits]
        if (self.sam.form, self.sam.group, self.sam.floor) == ("signed", 1, False):
            return BINARY
        return Kind(self.sam.form, self.sam.group, self.bits, self.sam.shift)

    @property
    def weight_bits(self) -> float:
        """Of a connection, signs included."""
        return self.unit.weight_bits if self.unit else self.bits


def _floor(form: str, group: int, shift: int = 0) -> Sam:
    return Sam(form=form, group=group, shift=shift, floor=True)


_SIGNED, _BINARY = _floor("signed", 1), Sam(form="signed", group=1)
VARIANTS = {
    "mac": Variant(),
    "ternary": Variant(bits=2),
    "ternary-luts": Variant(bits=2, width="luts"),
    "ternary-memory": Variant(bits=2, width="memory"),
    "binary": Variant(_BINARY),  # no floor, nobody to compare with: a sum of +x and -x
    "binary-luts": Variant(_BINARY, width="luts"),
    "signed1-floor": Variant(_SIGNED),
    "signed1-floor-luts": Variant(_SIGNED, width="luts"),
    "signed1-floor-wide": Variant(_SIGNED, width=1.5),
    "signed1-floor-3bit": Variant(_floor("signed", 1, 1), bits=3),
    "signed1-floor-3bit-luts": Variant(_floor("signed", 1, 1), bits=3, width="luts"),
    "signed1-floor-2bit": Variant(_floor("signed", 1, 2), bits=2),
    "signed1-floor-2bit-luts": Variant(_floor("signed", 1, 2), bits=2, width="luts"),
    "signed1-floor-2bit-memory": Variant(_floor("signed", 1, 2), bits=2, width="memory"),
    "signed2-floor": Variant(_floor("signed", 2)),
    "signed2-floor-wide": Variant(_floor("signed", 2), width=1.5),
    "signed4-floor": Variant(_floor("signed", 4)),
    "signed2": Variant(Sam(form="signed", group=2)),
    "signed4": Variant(Sam(form="signed", group=4)),
    "difference1-floor": Variant(_floor("difference", 1)),
    "difference2-floor": Variant(_floor("difference", 2)),
    "difference2": Variant(Sam(form="difference", group=2)),
    "difference4": Variant(Sam(form="difference", group=4)),
    "difference8": Variant(Sam(form="difference", group=8)),
    "maxmin4": Variant(Sam(form="maxmin", group=4)),
}


@cache
def unit_luts(unit: Kind | None) -> int:
    """LUTs of a unit of 16 connections a cycle, by synthesis."""
    design: Unit = sam_design(unit, HEADLINE) if unit else mac_design(TERNARY, HEADLINE)
    (cost,) = synthesise([design]).values()
    say(f"{design.name}: {cost.lut} LUT")
    return cost.lut


def cost(architecture: Architecture, variant: Variant, size: tuple[int, int]) -> dict[str, float]:
    """``luts``: a million connections of the inner layers in an image times the LUTs of a unit, to which the LUTs are
    proportional at one number of images a second. ``weight_bits_total``: of all layers, but no thresholds."""
    rows = {row.layer: row for row in cost_table(architecture, *size)}
    weights = {n: r.in_channels * r.out_channels * architecture[n].kernel ** 2 for n, r in rows.items()}
    changed = inner(architecture)
    connections = sum(weights[name] * rows[name].height * rows[name].width for name in changed)
    bits = sum(count * (variant.weight_bits if name in changed else EDGE_BITS) for name, count in weights.items())
    return {"luts": connections / 1e6 * unit_luts(variant.unit), "weight_bits_total": round(bits)}


def budget(net: str, images: Images) -> dict[str, float]:
    """What the net of multiply-accumulates in 4 bits costs."""
    plain = Variant()
    return cost(table(net, plain, images, channels(net, plain, images)), plain, images.shape[1:])


def channels(net: str, variant: Variant, images: Images) -> tuple[int, ...]:
    """Of each 3x3 layer; all but the first are multiples of 4."""

    def scaled(width: float) -> tuple[int, ...]:
        return tuple(max(4, round(c * width / 4) * 4) if i else c for i, (c, _) in enumerate(NETS[net]))

    if not isinstance(variant.width, str):
        return scaled(variant.width)
    purse = "luts" if variant.width == "luts" else "weight_bits_total"
    limit = budget(net, images)[purse]
    widths = [scaled(step / 200) for step in range(1, 1000)]
    return [w for w in widths if cost(table(net, variant, images, w), variant, images.shape[1:])[purse] <= limit][-1]


def table(net: str, variant: Variant, images: Images, channels: tuple[int, ...]) -> Architecture:
    """The layer table of a net; only inner layers change with the variant."""
    layers, before = [], IMAGE
    for i, (count, (_, pooled)) in enumerate(zip(channels, NETS[net], strict=True)):
        layers.append(Conv(name=f"conv{i}", inputs=(before,), out_channels=count, kernel=3, padding=1,
                           activation="relu", sam=variant.sam if i else None))  # fmt: skip
        before = f"conv{i}"
        if pooled:
            layers.append(MaxPool(name=f"pool{i}", inputs=(before,)))
            before = f"pool{i}"
    layers.append(Conv(name="classes", inputs=(before,), out_channels=images.classes, kernel=1, norm=False,
                       activation="linear"))  # fmt: skip
    return Architecture(name=net, in_channels=images.shape[0], layers=tuple(layers), heads=("classes",))


def inner(architecture: Architecture) -> list[str]:
    """The layers that differ between variants."""
    return [layer.name for layer in architecture.layers if layer.op == "conv"][1:-1]


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


def twin(architecture: Architecture, images: Images, options: argparse.Namespace, seed: int) -> Network:
    """A trained float net of multiply-accumulates; from the folder beside ``--out``, where it is there."""
    widths = "-".join(str(layer.out_channels) for layer in architecture.layers if layer.name.startswith("conv"))
    named = key("twin", images, options, seed)
    name = "_".join(str(named[k]) for k in ("net", "data", "images", "twin_epochs", "batch", "seed")) + f"_{widths}"
    folder = options.out and options.out.with_name(f"{options.out.stem}-twins") / name
    if folder and folder.exists():
        return load_model(folder)[0]
    say(f" twin, {widths} channels")
    torch.manual_seed(seed)
    network = Network(architecture)
    train(network, Variant(), images, options.twin, seed, options.batch, LEARNING_RATE)
    if folder:
        save_model(folder, network)
    return network


def start(
    variant: Variant, architecture: Architecture, images: Images, options: argparse.Namespace, seed: int
) -> nn.Module:
    """The quantised net before its training."""
    precision = Precision(weight_bits=variant.bits, edge_bits=EDGE_BITS, activation="relu")
    mac = architecture.with_neurons(dict.fromkeys(inner(architecture)))
    source = twin(mac, images, options, seed) if options.twin else None
    torch.manual_seed(seed)
    if source is None:
        return QuantNetwork(architecture, precision)
    if variant.sam:
        pixels = images.train[0][:MEASURED].float() / 255
        source = convert(source, dict.fromkeys(inner(architecture), variant.sam), pixels.split(64))
    network = QuantNetwork(architecture, precision).start_from(source)
    calibrate(network, [(image, {}) for image in images.train[0][:MEASURED]])
    return network


def train(
    network: nn.Module, variant: Variant, images: Images, epochs: int, seed: int, batch: int, rate: float
) -> None:
    """In place: Adam, one cycle, no weight decay."""
    torch.manual_seed(seed)
    layers = [m for m in network.modules() if isinstance(m, SamConv2d)]
    offsets = [p for m in layers for p in (m.positive, m.negative, m.polarity) if p is not None]
    known = {id(p) for p in offsets}
    groups = [{"params": [p for p in network.parameters() if id(p) not in known], "lr": rate}]
    if offsets:
        groups.append({"params": offsets, "lr": rate * variant.factor})
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


def measure(name: str, images: Images, options: argparse.Namespace, seed: int) -> dict:
    """One row: a variant with one seed."""
    variant, size = VARIANTS[name], images.shape[1:]
    architecture = table(options.net, variant, images, channels(options.net, variant, images))
    taken = cost(architecture, variant, size)
    began = time.monotonic()
    network = start(variant, architecture, images, options, seed)
    train(network, variant, images, options.epochs, seed, options.batch, options.rate)
    return {
        **key(name, images, options, seed),
        "neuron": variant.sam.model_dump() if variant.sam else "mac",
        "weight_bits": variant.weight_bits,
        "channels": [layer.out_channels for layer in architecture.layers if layer.op == "conv"],
        "macs": macs(architecture, *size),
        "sam_ops": sam_ops(architecture, *size),
        "luts": round(taken["luts"] / budget(options.net, images)["luts"], 3),
        "weight_bits_total": taken["weight_bits_total"],
        "validation": accuracy(network, images.validation),
        "test": accuracy(network, images.test) if options.test else None,
        "seconds": round(time.monotonic() - began, 1),
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
        "twin_epochs": options.twin,
        "epochs": options.epochs,
        "batch": options.batch,
        "learning_rate": options.rate,
        "seed": seed,
    }


@cache
def commit() -> str:
    """The checkout's when it is first asked, or ``unknown``."""
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
    parser.add_argument("--twin", type=int, default=0, help="epochs of a float twin to start from; 0: from scratch")
    parser.add_argument(
        "--rate", type=float, default=LEARNING_RATE, help="greatest learning rate of the quantised nets"
    )
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
    if options.twin < 0 or not 0 < options.rate < 1:
        parser.error("--twin is not negative, --rate between 0 and 1")
    options.net = options.net or ("small" if options.data else "digits")
    torch.set_num_threads(options.threads)
    commit()  # before others change it
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
