"""What SAM neurons cost a detector: the recipe `sam` with and without them, and with and without a teacher.

All arms of a seed share one run folder, and so one trained and pruned network; each is fine-tuned and quantised by
`hwprune quantize`, MAC arms with the same epochs, and under ``taught`` with the same teachers, as SAM ones. Rows are
appended to ``--out``, and a row that is there is not run again.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from importlib.resources import files
from pathlib import Path

import yaml
from common import conclude, say

from hwprune.files import write_json, write_text

ARMS = {"mac": (False, False), "mac-taught": (False, True), "sam": (True, False), "sam-taught": (True, True)}
"""SAM neurons? a teacher?"""


def recipe(arm: str, seed: int) -> str:
    """The recipe `sam`, as YAML, changed for an arm."""
    content = yaml.safe_load((files("hwprune") / "recipes" / "sam.yaml").read_text())
    sam, taught = ARMS[arm]
    content["seed"] = seed
    if not sam:
        content["model"]["neurons"] = {}
    for stage in ("finetune", "quantize"):
        content[stage] |= {"distillation": float(taught), "sam": {"distillation": float(taught)}}
    return yaml.safe_dump(content, sort_keys=False)


def measure(arm: str, seed: int, folder: Path) -> dict:
    """One row."""
    file = folder / f"{arm}-{seed}.yaml"
    write_text(file, recipe(arm, seed))
    run = folder / f"seed-{seed}"
    command = [sys.executable, "-m", "hwprune.cli", "quantize", str(file), "--out", str(run)]
    subprocess.run(command, check=True, stdout=sys.stderr)
    summary = json.loads((run / "summary.json").read_text())
    return {
        "arm": arm,
        "seed": seed,
        **{name: summary["map50"][name] for name in ("finetuned", "quantized")},
        "macs": summary["macs"],
        "sam_ops": summary["sam_ops"],
        "seconds": {stage: summary["seconds"][stage] for stage in ("finetune", "quantize")},
        "by": "benchmarks/sam_detector.py",
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("arms", nargs="*", default=["mac-taught", "sam-taught"],
                        help=f"of {', '.join(ARMS)}; the first one is the one to compare with")  # fmt: skip
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--runs", type=Path, help="folder of the run folders, to be kept")
    parser.add_argument("--out", type=Path, help="JSON file of the rows")
    options = parser.parse_args()
    if unknown := [arm for arm in options.arms if arm not in ARMS]:
        parser.error(f"no arm {', '.join(unknown)}; there are {', '.join(ARMS)}")
    try:
        rows = json.loads(options.out.read_text()) if options.out and options.out.exists() else []
    except ValueError as error:
        parser.error(f"{options.out}: {error}")
    wanted = []
    with tempfile.TemporaryDirectory(prefix="sam-detector-") as temporary:
        folder = options.runs or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        for seed in options.seeds:
            for arm in options.arms:
                row = next((r for r in rows if (r["arm"], r["seed"]) == (arm, seed)), None)
                if row is None:
                    row = measure(arm, seed, folder)
                    rows.append(row)
                    if options.out:
                        write_json(options.out, rows)
                say(f"{arm}, seed {seed}: mAP50 {row['finetuned']:.3f} fine-tuned, {row['quantized']:.3f} in 4 bits")
                wanted.append(row)
    scores = {arm: [r["quantized"] for r in wanted if r["arm"] == arm] for arm in options.arms}
    means = {arm: statistics.mean(values) for arm, values in scores.items()}
    first, last = options.arms[0], options.arms[-1]
    conclude("sam_detector", round(means[last], 4), f"mAP50 in 4 bits of {last}", first,
             round(means[last] / means[first], 4), {"seeds": options.seeds}, rows=wanted)  # fmt: skip


if __name__ == "__main__":
    main()
