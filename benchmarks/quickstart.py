"""The main job, from data to report: seconds by stage, peak memory, and what quantisation and pruning cost.

Runs `hwprune run` with the quickstart recipe in a new folder, as a user would.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from common import conclude, say


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, help="run folder to make and keep (a temporary one otherwise)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="quickstart-") as temporary:
        folder = options.out or Path(temporary) / "run"
        if folder.exists() and any(folder.iterdir()):
            parser.error(f"{folder} is not empty: a run that goes on where another stopped measures nothing")
        say(f"hwprune run --out {folder}")
        start = time.monotonic()
        subprocess.run(
            [sys.executable, "-m", "hwprune.cli", "run", "--out", str(folder)], check=True, stdout=sys.stderr
        )
        seconds = time.monotonic() - start
        summary = json.loads((folder / "summary.json").read_text())
        memory = {
            stage: json.loads((folder / stage / "stage.json").read_text())["peak_memory_bytes"]
            for stage in summary["seconds"]
        }
    scores = summary["map50"]
    conclude(
        "quickstart",
        round(seconds, 1),
        "s",
        "float mAP50",
        scores["accelerator"] / scores["float"],
        {"params": summary["params"], "macs": summary["macs"]},
        seconds=summary["seconds"],
        peak_memory_bytes=memory,
        map50=scores,
        equivalence=summary["equivalence"],
        accelerator=summary["accelerator"],
        seed=summary["seed"],
    )


if __name__ == "__main__":
    main()
