"""Sparsity training with SAM neurons against multiply-accumulates: what a step costs, which channels fall, and what the
pruned network reaches.

One detector is trained on digit scenes. From it each arm starts its sparsity training, with the same data, epochs and
penalty: multiply-accumulates (twice, the images in another order: how far two runs of the same agree), and the network
converted to each SAM form. Then channels go, and the trained network without them is fine-tuned with
multiply-accumulates; the sparse networks are also fine-tuned as they are. Controls choose the channels without sparsity
training: by the scales of the trained network, and at random.

Read the scores with care: one seed, 266 validation images. Penalty and learning rate were chosen on the arm of
multiply-accumulates, out of five settings, by these images; no SAM arm was tuned, and `signed_4` and `maxmin_whole` do
not train with them. All arms lose half of the channels, but not in the same layers, so they end with other numbers of
operations: compare ``macs`` before ``map50_mac``, and ``params_own`` before ``map50_own``.

The SAM networks are then quantised to 4 bits, and their dead connections counted, with the steps of a folded unit that
see nothing else. Of a network that did not train (see its mAP50) this says how it collapsed, not what hardware gains.
"""

import argparse
import contextlib
import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from common import conclude, say
from scipy.stats import spearmanr
from torch import nn

from hwprune.data.scenes import DigitScenes
from hwprune.detect.anchors import fit_head
from hwprune.detect.evaluate import collate, evaluate, predictor, to_pixels
from hwprune.detect.loss import detection_loss
from hwprune.models.cost import macs, parameters, sam_ops
from hwprune.models.network import Network
from hwprune.models.yolov3_tiny import STRIDES, yolov3_tiny
from hwprune.prune.balance import balance
from hwprune.prune.importance import slimming
from hwprune.prune.select import select
from hwprune.prune.settings import SlimmingSettings
from hwprune.prune.slimming import slimming_penalty
from hwprune.prune.surgery import prune
from hwprune.quant.calibrate import calibrate
from hwprune.quant.dead import dead_weights, idle_steps, layer_codes
from hwprune.quant.integer import freeze
from hwprune.quant.network import QuantNetwork
from hwprune.quant.precision import Precision
from hwprune.sam.convert import convert
from hwprune.sam.neuron import dead_distance
from hwprune.sam.settings import Sam
from hwprune.train.loop import fit
from hwprune.train.settings import TrainSettings
from hwprune.train.threads import suited_to

SIZE = (64, 64)
RATE = 1e-2  # of training and sparsity training; half of it in what follows
WIDTHS = (8, 16, 24, 32, 48, 64, 96, 32, 64, 24, 48)
SAM_LAYERS = [f"conv{i}" for i in (*range(2, 10), 11, 12)]  # neither the pixels' layer nor the heads
ARMS = {
    "mac": None,
    "difference_4": Sam(form="difference", group=4),
    "difference_4_floor": Sam(form="difference", group=4, floor=True),
    "signed_4": Sam(form="signed", group=4),
    "maxmin_whole": Sam(form="maxmin", group=0),
}
AGAIN = "mac_again"
PRUNING = SlimmingSettings(fraction=0.5)
QUANTISED = [("difference_4", 0), ("difference_4_floor", 0), *(("maxmin_whole", shift) for shift in (0, 1, 2))]
FOLDS = ((1, 1), (4, 1), (4, 4), (12, 4))  # SIMD, PE
ROUNDS = 5  # of timed steps, every arm in each


class Bench:
    """The data and the trainings."""

    def __init__(self, options: argparse.Namespace, folder: Path):
        self.options, self.folder, self.runs = options, folder, 0
        self.train = DigitScenes("train", options.images, SIZE)
        self.val = DigitScenes("val", options.images // 3, SIZE)
        boxes = np.concatenate([self.train[i][1]["boxes"].numpy() for i in range(len(self.train))])
        self.head = fit_head(boxes[:, 2:] - boxes[:, :2], self.train.classes, STRIDES, SIZE, seed=0)

    def fit(self, network: nn.Module, name: str, epochs: int, rate: float, seed: int = 0, penalty=None) -> float:
        """Train in place; mAP50 afterwards."""
        settings = TrainSettings(epochs=epochs, learning_rate=rate, warmup_epochs=0.5, validate_every=epochs,
                                 accelerator="cpu")  # fmt: skip
        self.runs += 1
        start = time.monotonic()
        with contextlib.redirect_stdout(sys.stderr):
            result = fit(network, self.train, self.val, self.head, settings, self.folder / str(self.runs), seed=seed,
                         after_backward=penalty, name=name)  # fmt: skip
        say(f"{name}: mAP50 {result['map50']:.3f}, {time.monotonic() - start:.0f} s")
        return result["map50"]

    def finetune(self, network: Network, kept: dict, name: str) -> tuple[float, float, Network]:
        """Prune and let recover; mAP50 before and after, and what is left."""
        small = prune(network.eval(), kept)
        pruned = evaluate(predictor(small), self.val, self.head, progress=False)["map50"]
        return pruned, self.fit(small, f"fine-tune {name}", self.options.finetune, RATE / 2), small

    def step(self, network: Network) -> float:
        """Seconds of one step of sparsity training, without loading images."""
        batch = [self.train[i] for i in range(16)]
        images, targets = collate(batch)
        optimizer, penalty = torch.optim.AdamW(network.parameters(), 1e-6), slimming_penalty(1e-3)
        start = time.perf_counter()
        loss = sum(detection_loss(network(to_pixels(images)), targets, self.head).values())
        optimizer.zero_grad()
        loss.backward()
        penalty(network, 0.0)
        torch.nn.utils.clip_grad_norm_(network.parameters(), 10.0)
        optimizer.step()
        return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=800, help="of the training set")
    parser.add_argument("--epochs", type=int, default=20, help="of the first training")
    parser.add_argument("--sparsify", type=int, default=8, help="epochs of each sparsity training")
    parser.add_argument("--finetune", type=int, default=5, help="epochs of each fine-tuning")
    parser.add_argument("--l1", type=float, default=3e-2, help="of the sparsity penalty")
    options = parser.parse_args()
    torch.manual_seed(0)
    with tempfile.TemporaryDirectory(prefix="sam-sparsify-") as temporary:
        run(Bench(options, Path(temporary)), options)


def run(bench: Bench, options: argparse.Namespace) -> None:
    """All arms, one after the other; their steps are timed in turns."""
    trained = Network(yolov3_tiny(len(bench.train.classes), WIDTHS, activation="relu"))
    first = bench.fit(trained, "train", options.epochs, RATE)
    pixels = [to_pixels(collate([bench.train[i] for i in range(min(64, options.images))])[0])]
    networks = {}
    for arm, sam in {**ARMS, AGAIN: None}.items():
        networks[arm] = convert(trained, dict.fromkeys(SAM_LAYERS, sam) if sam else {}, pixels)
    seconds = timed(bench, {arm: networks[arm] for arm in ARMS})
    rows: dict[str, dict[str, float]] = {}
    scores = {}
    for arm, network in networks.items():
        seed = 1 if arm == AGAIN else 0
        rows[arm] = {"map50_sparse": bench.fit(network, f"sparsify {arm}", options.sparsify, RATE, seed,
                                               slimming_penalty(options.l1))}  # fmt: skip
        scores[arm] = slimming(network)
    scores["trained_scales"] = slimming(trained)
    generator = torch.Generator().manual_seed(0)
    scores["random"] = {name: torch.rand(len(s), generator=generator).double() for name, s in scores["mac"].items()}
    small = {}
    for arm, importance in scores.items():
        kept = select(importance, PRUNING)
        row = rows.setdefault(arm, {})
        row |= against_mac(scores["mac"], importance)
        _, row["map50_mac"], network = bench.finetune(trained, kept, f"multiply-accumulates, channels of {arm}")
        row |= {"params": parameters(network), "macs": macs(network.architecture, *SIZE)}
        if arm in ARMS:
            kept = balance(networks[arm].architecture, importance, kept, PRUNING)
            result = bench.finetune(networks[arm], kept, f"{arm} as it is")
            row["map50_own_pruned"], row["map50_own"], small[arm] = result
            row |= {"params_own": parameters(small[arm]), "sam_ops_own": sam_ops(small[arm].architecture, *SIZE)}
    for arm, row in rows.items():
        say(f"{arm:>16}: " + ", ".join(f"{key} {value:.3g}" for key, value in row.items()))
    dead = [dead_row(bench, arm, small[arm], shift) for arm, shift in QUANTISED]
    steps = -(-options.images // 16)
    epoch = {arm: round(value * steps, 3) for arm, value in seconds.items()}
    conclude(
        "sam_sparsify",
        epoch["difference_4"],
        "s per epoch of sparsity training, difference in groups of 4",
        "multiply-accumulates",
        epoch["difference_4"] / epoch["mac"],
        {"images": options.images, "image_size": SIZE, "widths": WIDTHS, "fraction": PRUNING.fraction,
         "l1": options.l1, "epochs": [options.epochs, options.sparsify, options.finetune]},
        epoch_seconds=epoch,
        map50_trained=first,
        arms=rows,
        dead=dead,
    )  # fmt: skip


def dead_row(bench: Bench, arm: str, network: Network, shift: int) -> dict:
    """What is dead in a network of 4 bits whose distances have steps of 2**shift activations."""
    table = network.architecture
    neurons = {layer.name: layer.sam.model_copy(update={"shift": shift})
               for layer in table.layers if layer.op == "conv" and layer.sam}  # fmt: skip
    quantised = QuantNetwork(table.with_neurons(neurons), Precision()).start_from(network)
    with contextlib.redirect_stdout(sys.stderr):
        calibrate(quantised, bench.train)
    score = bench.fit(quantised, f"quantise {arm}, shift {shift}", 2, RATE / 2)
    integer = freeze(quantised)
    rows = dead_weights(integer)
    total = sum(len(row.dead) * row.connections for row in rows)
    idle = {}
    for simd, pe in FOLDS:
        counts = []
        for row in rows:
            codes = layer_codes(integer.layers[row.layer].conv)
            if codes[0].shape[0] % pe == 0 and codes[0].shape[1] % simd == 0:
                counts.append(idle_steps(codes, dead_distance(row.span, shift), simd, pe))
        idle[f"simd {simd}, pe {pe}"] = sum(i for i, _ in counts) / sum(n for _, n in counts) if counts else None
    found = {
        "arm": arm,
        "shift": shift,
        "map50": score,
        "dead": sum(sum(row.dead) for row in rows) / total,
        "bits": [max(row.bits_before for row in rows), max(row.bits_after for row in rows)],
        "weight_memory_saved": sum(row.saved_bits for row in rows)
        / sum(row.bits_before * len(row.dead) * row.connections for row in rows),
        "idle_steps": idle,
    }
    say(", ".join(f"{key} {value}" for key, value in found.items()))
    return found


def timed(bench: Bench, networks: dict[str, Network]) -> dict[str, float]:
    """Median seconds of a step of each network, measured in turns; a first round warms up."""
    copies = {arm: network.to(memory_format=torch.channels_last) for arm, network in networks.items()}
    seconds: dict[str, list[float]] = {arm: [] for arm in networks}
    states = {arm: {k: v.clone() for k, v in network.state_dict().items()} for arm, network in networks.items()}
    with suited_to(SIZE):
        for _ in range(ROUNDS + 1):
            for arm, network in copies.items():
                seconds[arm].append(bench.step(network))
    for arm, network in networks.items():
        network.load_state_dict(states[arm])
    medians = {arm: statistics.median(values[1:]) for arm, values in seconds.items()}
    say("a step: " + ", ".join(f"{arm} {1e3 * value:.0f} ms" for arm, value in medians.items()))
    return medians


def against_mac(scores: dict, others: dict) -> dict[str, float]:
    """How much another choice is like that of multiply-accumulates.

    ``overlap`` is the share of the channels fallen there that fall here too, ``overlap_by_chance`` what would be with
    the same numbers in each layer, drawn at random; ``rank`` is Spearman's correlation of the scores over all channels,
    ``rank_in_layers`` its mean over the layers.
    """
    # Without the floor and the multiple, which bring some back.
    plain = SlimmingSettings(fraction=PRUNING.fraction, min_channels=1, multiple=1)
    fallen, others_fallen = (
        {name: set(range(len(score))) - set(kept[name]) for name, score in choice.items()}
        for choice, kept in ((scores, select(scores, plain)), (others, select(others, plain)))
    )
    common = sum(len(fallen[name] & others_fallen[name]) for name in fallen)
    chance = sum(len(fallen[name]) * len(others_fallen[name]) / len(scores[name]) for name in fallen)
    total = sum(map(len, fallen.values()))
    everything = (torch.cat(list(choice.values())) for choice in (scores, others))
    layers = [spearmanr(scores[name], others[name]).statistic for name in scores]
    return {
        "overlap": common / total,
        "overlap_by_chance": chance / total,
        "rank": float(spearmanr(*everything).statistic),
        "rank_in_layers": float(np.nanmean(layers)),  # no rank where all scales of a layer are zero
    }


if __name__ == "__main__":
    main()
