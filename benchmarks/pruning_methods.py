"""The pruning methods side by side: one detector, cut to the same number of parameters by each, then fine-tuned.

Every method's own knob (a share, a width, the multi-layer framework's threshold) is searched until the network has no
more than the wanted parameters. Methods that press channels towards zero train on for it; the others get the same
epochs of plain training, so that all have seen the images as often. Digit scenes, the compact tiny-YOLOv3; the score is
mAP50 on the validation scenes.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import yaml
from common import conclude, say

from hwprune.files import write_text
from hwprune.models.cost import macs, parameters
from hwprune.models.network import Network
from hwprune.models.store import load_model
from hwprune.prune.methods import method
from hwprune.prune.surgery import prune
from hwprune.recipe import COMPACT_WIDTHS, Recipe

SIZE = (96, 96)
WHOLE = {"multiple": 4, "min_channels": 4}
Settings = Callable[[float], dict]
"""``prune`` of a recipe, for a knob that removes the more the greater it is; 0 to 1."""

METHODS: dict[str, Settings] = {
    "slimming": lambda knob: {"method": "slimming", "fraction": 0.99 * knob, **WHOLE},
    "multilayer": lambda knob: {"method": "multilayer", "phases": [["conv1", "conv12"]], "threshold": 3 * knob,
                                "filter_sparsity": 0.8, "weak_filter_sparsity": 0.6, "next_sparsity": 0.6, **WHOLE},
    "l1_norm": lambda knob: {"method": "l1_norm", "fraction": 0.99 * knob, **WHOLE},
    "uniform": lambda knob: {"method": "uniform", "width": 1 - 0.99 * knob, **WHOLE},
    "random": lambda knob: {"method": "random", "fraction": 0.99 * knob, **WHOLE},
}  # fmt: skip
L1 = {"slimming": 1e-3, "multilayer": 1e-4}
STEPS = 8
"""Halvings of the knob's range."""


def recipe(seed: int, epochs: tuple[int, int, int], wanted: dict, l1: float | None) -> dict:
    """Of a run up to ``finetune``; ``l1`` None trains on without a penalty."""
    train, further, recover = epochs
    model = {"widths": list(COMPACT_WIDTHS)}
    return {
        "seed": seed,
        "data": {"source": "digits", "image_size": list(SIZE), "train": 1500, "val": 200},
        "model": model,
        "train": {"epochs": train if l1 is not None else train + further, "learning_rate": 1e-2},
        "sparsify": {"epochs": further, "learning_rate": 3e-3, **({"l1": l1} if l1 is not None else {})},
        "prune": wanted,
        "finetune": {"epochs": recover, "learning_rate": 5e-3},
    }


def run(content: dict, stage: str, out: Path) -> dict:
    """The results of a stage."""
    file = out.parent / "recipe.yaml"
    write_text(file, yaml.safe_dump(content, sort_keys=False))
    command = [sys.executable, "-m", "hwprune.cli", stage, str(file), "--out", str(out)]
    subprocess.run(command, check=True, stdout=sys.stderr)
    return json.loads((out / stage / "stage.json").read_text())["results"]


def cut(network: Network, settings: Settings, knob: float, content: dict) -> int:
    """Parameters that a knob leaves."""
    chosen = Recipe.model_validate(content | {"prune": settings(knob)}).prune
    kept = method(chosen, content["seed"]).choose(network, 0, lambda _: 0.0)
    return parameters(prune(network, kept))


def knob_for(network: Network, settings: Settings, most: float, content: dict) -> float:
    """The least knob that leaves no more than ``most`` parameters, to `STEPS` halvings."""
    low, high = 0.0, 1.0
    for _ in range(STEPS):
        middle = (low + high) / 2
        low, high = (low, middle) if cut(network, settings, middle, content) <= most else (middle, high)
    return high


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--share", type=float, default=0.25, help="of the parameters that stay, at most")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1])
    parser.add_argument("--epochs", type=int, nargs=3, default=(8, 3, 3), metavar=("TRAIN", "FURTHER", "RECOVER"))
    parser.add_argument("--only", nargs="+", choices=METHODS, default=list(METHODS))
    options = parser.parse_args()
    rows = []
    for seed in options.seeds:
        with tempfile.TemporaryDirectory(prefix="pruning-methods-") as temporary:
            for name in options.only:
                settings = METHODS[name]
                # Methods that press and those that do not start from networks of their own, each in its own run folder.
                out = Path(temporary, "pressed" if name in L1 else "plain", "run")
                out.parent.mkdir(exist_ok=True)
                content = recipe(seed, tuple(options.epochs), settings(0.5), L1.get(name))
                say(f"{name}, seed {seed}")
                before = run(content, "sparsify", out)
                network = load_model(out / "sparsify")[0].eval()
                knob = knob_for(network, settings, options.share * parameters(network), content)
                after = run(content | {"prune": settings(knob)}, "finetune", out)
                pruned = json.loads((out / "prune" / "stage.json").read_text())["results"]
                small = load_model(out / "finetune")[0]
                rows.append({
                    "method": name, "seed": seed, "map50_before": before["map50"], "map50_pruned": pruned["map50"],
                    "map50": after["map50"], "parameters": parameters(small), "macs": macs(small.architecture, *SIZE),
                    "share": parameters(small) / parameters(network), "knob": knob,
                })  # fmt: skip
                say(json.dumps(rows[-1]))
    scores = {name: statistics.mean(row["map50"] for row in rows if row["method"] == name) for name in options.only}
    best = max(scores, key=scores.get)
    baseline = "random" if "random" in scores else min(scores, key=scores.get)
    conclude(
        "pruning_methods", scores[best], f"mAP50 of {best}", baseline, scores[best] / scores[baseline],
        {"share": options.share, "epochs": list(options.epochs), "seeds": options.seeds, "train": 1500, "val": 200,
         "image": list(SIZE)},
        scores=scores, rows=rows,
    )  # fmt: skip


if __name__ == "__main__":
    main()
