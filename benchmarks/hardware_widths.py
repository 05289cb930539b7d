"""Widths chosen for the accelerator (`prune.budget`) against a percentile of all channels, at one budget.

The digits detector of the quickstart, trained for a few epochs. By either rule it is pruned until the accelerator that
is predicted keeps to the same LUTs, DSP slices and block RAMs at the same speed; the percentile is the lowest one that
does. Both are fine-tuned, quantised and compiled alike. The importance that is left is also compared at other budgets,
without training.
"""

import argparse
import json
import tempfile
from pathlib import Path

from common import conclude, say
from rich.console import Console

from hwprune.accel.budget import Budget
from hwprune.flow.estimate import predictor
from hwprune.flow.pipeline import stages
from hwprune.flow.run_folder import RunFolder
from hwprune.flow.runner import Runner
from hwprune.flow.stages import common
from hwprune.prune.balance import balance
from hwprune.prune.groups import channel_groups
from hwprune.prune.importance import slimming
from hwprune.prune.select import select
from hwprune.prune.settings import SlimmingSettings
from hwprune.prune.widths import NoWidthsError, choose_widths
from hwprune.recipe import Recipe

CLOCK_MHZ, PART = 100, "xc7z020clg400-1"
FPS, LIMITS = 2000, Budget(luts=14_000, dsps=60, brams=70)
OTHERS = {500: Budget(9_500, 24, 40), 1000: Budget(11_000, 36, 50), 4000: Budget(20_000, 110, 100),
          8000: Budget(26_000, 180, 130)}  # fmt: skip
"""Further budgets, by frames a second."""
STEP = 0.005
"""From one percentile to the next."""


def settings(**prune) -> Recipe:
    short = {"accelerator": "cpu", "batch_size": 16}
    return Recipe.model_validate(
        {
            "name": "hardware_widths",
            "data": {"source": "digits", "image_size": [96, 96], "train": 400, "val": 100},
            "train": {"epochs": 10, "learning_rate": 1e-2, **short},
            "sparsify": {"epochs": 4, "learning_rate": 3e-3, "l1": 1e-3, **short},
            "prune": prune,
            "finetune": {"epochs": 4, "learning_rate": 5e-3, **short},
            "quantize": {"epochs": 2, "learning_rate": 3e-3, "activation": "relu", **short},
            "compile": {"part": PART, "clock_mhz": CLOCK_MHZ, "target_fps": FPS},
        }
    )


class Subject:
    """The trained network, its channels' importance, and the accelerators that are predicted for it."""

    def __init__(self, recipe: Recipe, checkpoint: Path):
        self.network, head = common.load_checkpoint(checkpoint)
        self.table = self.network.architecture
        self.groups, self.importance = channel_groups(self.table), slimming(self.network)
        self.predict = predictor(recipe, self.table, head.image_size)

    def cost(self, widths: dict[str, int], fps: float) -> dict[str, int]:
        design = self.predict.at(int(CLOCK_MHZ * 1e6 / fps), widths)
        return {**design.resources, "cycles": design.cycles}

    def left(self, kept: dict[str, tuple[int, ...]]) -> float:
        """The share of all importance that is left."""
        total = sum(float(scores.sum()) for scores in self.importance.values())
        return sum(float(scores[list(kept[name])].sum()) for name, scores in self.importance.items()) / total

    def widths(self, kept: dict[str, tuple[int, ...]]) -> dict[str, int]:
        return {name: sum(i in set(kept[group.name]) for i in numbers) for group in self.groups
                for name, numbers in group.members.items()}  # fmt: skip

    def percentile(self, limits: Budget, fps: float, multiple: int) -> tuple[float, float] | None:
        """The lowest percentile that keeps to a budget, and the importance that is left; None if none does."""
        for step in range(int(1 / STEP)):
            rule = SlimmingSettings(fraction=step * STEP, multiple=multiple, min_channels=4)
            kept = balance(self.table, self.importance, select(self.importance, rule), rule)
            cost = self.cost(self.widths(kept), fps)
            if limits.holds(cost) and cost["cycles"] <= CLOCK_MHZ * 1e6 / fps:
                return rule.fraction, self.left(kept)
        return None

    def jointly(self, limits: Budget, fps: float, multiple: int) -> float | None:
        """The importance that joint widths leave; None if none keep to the budget."""
        given = {**limits.limits, "cycles": int(CLOCK_MHZ * 1e6 / fps)}
        try:
            found = choose_widths(self.importance, self.groups, lambda widths: self.cost(widths, fps), given,
                                  min_channels=4, multiple=multiple)  # fmt: skip
        except NoWidthsError:
            return None
        return self.left(found.kept)


def carried_through(recipe: Recipe, folder: RunFolder) -> dict:
    """Prune, fine-tune, quantise and compile; what comes of it."""
    Runner(recipe, folder, stages(), Console(stderr=True)).run("compile")
    of = {name: folder.record(name).results for name in ("prune", "finetune", "quantize", "compile")}
    rows = of["compile"]["layers"]
    return {
        "map50": {name: round(of[name]["map50"], 4) for name in ("prune", "finetune", "quantize")},
        "params": of["finetune"]["params"],
        "macs": of["finetune"]["macs"],
        "widths": {name: after for name, (_, after) in of["prune"]["widths"].items()},
        "fps": round(of["compile"].get("fps_model", of["compile"]["fps_estimate"]), 1),
        "fps_estimate": round(of["compile"]["fps_estimate"], 1),
        "operators": {key: sum(row[key] for row in rows) for key in ("lut", "dsp", "bram18")},
        "with_fifos": of["compile"]["resources"],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, help="run folder to make and keep (a temporary one otherwise)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="hardware-widths-") as temporary:
        folder = RunFolder(options.out or Path(temporary) / "run")
        Runner(settings(), folder, stages(), Console(stderr=True)).run("sparsify")
        subject = Subject(settings(), folder.stage("sparsify"))
        say("importance left, by budget")
        table = []
        for fps, limits in sorted({**OTHERS, FPS: LIMITS}.items()):
            row = {"fps": fps, **limits.limits}
            for multiple in (4, 1):
                plain = subject.percentile(limits, fps, multiple)
                joint = subject.jointly(limits, fps, multiple)
                row[f"multiple_{multiple}"] = {"percentile": plain and round(plain[1], 4),
                                               "fraction": plain and round(plain[0], 3),
                                               "joint": joint and round(joint, 4)}  # fmt: skip
            table.append(row)
            say(json.dumps(row))
        fraction, left = subject.percentile(LIMITS, FPS, 4)
        budget = {"fps": FPS, "part": PART, "clock_mhz": CLOCK_MHZ, "luts": LIMITS.luts, "dsps": LIMITS.dsps,
                  "brams": LIMITS.brams}  # fmt: skip
        designs = {}
        for name, prune in (("percentile", {"fraction": round(fraction, 6)}), ("joint", {"budget": budget})):
            say(f"{name}: {prune}")
            designs[name] = carried_through(settings(multiple=4, min_channels=4, **prune), folder)
            kept = json.loads((folder.stage("prune") / "kept.json").read_text())
            designs[name]["importance"] = round(subject.left(kept), 4)
            designs[name]["predicted"] = subject.cost(subject.widths(kept), FPS)
            say(json.dumps(designs[name]))
    joint = designs["joint"]["importance"]
    conclude(
        "hardware_widths",
        joint,
        "share of importance left",
        f"percentile: {left:.4f}",
        joint / left,
        {"image": [96, 96], "fps": FPS, "clock_mhz": CLOCK_MHZ, "part": PART, **LIMITS.limits},
        designs=designs,
        budgets=table,
    )


if __name__ == "__main__":
    main()
