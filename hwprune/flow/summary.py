"""``summary.json``: a run in one small file, for scripts and tables."""

from collections.abc import Iterable, Mapping
from typing import Any

from hwprune.detect.heads import METRICS
from hwprune.flow.run_folder import StageRecord
from hwprune.flow.stage import kind

SUMMARY = "summary.json"
LEVELS = {"float": "train", "sparse": "sparsify", "pruned": "prune", "finetuned": "finetune", "quantized": "quantize",
          "accelerator": "simulate"}  # fmt: skip
"""Which stage measures each level's score; of several rounds of pruning the last counts."""

BUILT = (
    "backend",
    "board",
    "part",
    "complete",
    "bitstream",
    "clock_mhz",
    "fmax_mhz",
    "utilisation",
    "warnings",
    "tools",
)
"""Of the results of the stage build."""


def summarise(records: Mapping[str, StageRecord], seed: int) -> dict[str, Any]:
    """The summary of the stages that are finished; what is not known yet is None, and the keys are always the same.

    Parameters
    ----------
    records
        By stage, as `RunFolder.records` gives them.
    seed
        Of the recipe.

    Returns
    -------
    dict
        ``params``, and ``macs`` and ``sam_ops`` of one image, before and after pruning (and after layers became SAM);
        the score by level, 0 to 1, called as its metric, ``map50`` or ``accuracy``; ``rounds`` of pruning;
        ``equivalence`` (of the RTL) and ``csim``; ``accelerator`` (clock in MHz, frames a second from simulated
        cycles); ``build`` (the backend, whether there is a bitstream, what it takes of the board, its highest clock in
        MHz, and the package for the board); ``seconds`` by stage; ``versions``; ``seed``.
    """
    results = {name: record.results for name, record in of_last_round(records).items()}

    def of(stage: str, key: str) -> Any:
        return results.get(stage, {}).get(key)

    def latest(key: str) -> Any:
        known = (of(stage, key) for stage in ("quantize", "finetune", "prune"))
        return next((value for value in known if value is not None), None)

    metric = metric_of(results.values())
    equivalence, csim = (of("simulate", level) or {} for level in ("equivalence", "csim"))
    cycles, clock = of("simulate", "cycles_per_frame"), of("compile", "clock_mhz")
    versions: dict[str, str] = {}
    for record in records.values():
        versions |= record.versions
    return {
        **{key: {"before": of("train", key), "after": latest(key)} for key in ("params", "macs", "sam_ops")},
        metric: {level: of(stage, metric) for level, stage in LEVELS.items()},
        "rounds": rounds(records, metric),
        "equivalence": {key: equivalence.get(key) for key in ("levels", "streams", "beats", "mismatches")},
        "csim": {key: csim.get(key) for key in ("streams", "beats", "mismatches")},
        "accelerator": {
            "cycles_per_frame": cycles,
            "latency_cycles": of("simulate", "latency_cycles"),
            "clock_mhz": clock,
            "fps": clock * 1e6 / cycles if clock and cycles else None,
            "resources": of("compile", "resources") or total_resources(of("compile", "layers")),
        },
        "build": {
            **{key: of("build", key) for key in BUILT},
            "package": of("deploy", "package"),
        },
        "seconds": {name: record.seconds for name, record in records.items()},
        "versions": versions,
        "seed": seed,
    }


def of_last_round(records: Mapping[str, StageRecord]) -> dict[str, StageRecord]:
    """Records by kind of stage, given those by name in the order of the run."""
    return {kind(name): record for name, record in records.items()}


def metric_of(several: Iterable[Mapping[str, Any]]) -> str:
    """Which of the `METRICS` these mappings have for a key; ``map50`` where none has any."""
    keys = {key for mapping in several for key in mapping}
    return next((metric for metric in METRICS if metric in keys), "map50")


def rounds(records: Mapping[str, StageRecord], metric: str) -> list[dict[str, Any]]:
    """What each finished round of pruning came to: ``params``, ``macs``, and the score when pruned and fine-tuned."""
    found = []
    for name, record in records.items():
        if kind(name) == "prune":
            recovered = records.get(name.replace("prune", "finetune"))
            found.append({
                "round": len(found) + 1,
                "params": record.results.get("params"),
                "macs": record.results.get("macs"),
                "pruned": record.results.get(metric),
                "finetuned": recovered.results.get(metric) if recovered else None,
            })  # fmt: skip
    return found


def total_resources(layers: list[dict[str, Any]] | None) -> dict[str, float] | None:
    """Sum over the operators, for each kind of resource that they tell."""
    if not layers:
        return None
    kinds = [kind for kind in ("lut", "bram18", "dsp") if all(layer.get(kind) is not None for layer in layers)]
    return {kind: sum(layer[kind] for layer in layers) for kind in kinds}
