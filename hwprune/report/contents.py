"""What the report says, gathered from a run folder: plain values for the template."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hwprune.detect.heads import METRICS
from hwprune.flow.detections import Detections, Prediction, load_detections
from hwprune.flow.summary import metric_of
from hwprune.recipe import ReportSettings

DRAWN_FROM = ("simulate", "quantize", "finetune", "sparsify", "train")
"""The latest of these stages that has left detections is drawn."""
BEST = 3
"""Classes that are told below an image."""


@dataclass(frozen=True)
class Card:
    """One figure at the head of the report."""

    value: str
    label: str
    note: str = ""
    good: bool | None = None


def cards(summary: Mapping[str, Any]) -> list[Card]:
    """The figures that matter most, as far as they are known."""
    found = []
    metric = metric_of([summary])
    scores = {level: value for level, value in summary[metric].items() if value is not None}
    if scores:
        level, value = list(scores.items())[-1]
        first = f"float {scores['float']:.3f}" if level != "float" and "float" in scores else ""
        found.append(Card(f"{value:.3f}", f"{METRICS[metric].name}, {level}", first))
    for key, label in (("params", "parameters"), ("macs", "multiply-accumulates")):
        before, after = summary[key]["before"], summary[key]["after"]
        if before and after:
            found.append(Card(f"{before / after:.1f}\N{MULTIPLICATION SIGN}", f"fewer {label}",
                              f"{count(before)} to {count(after)}"))  # fmt: skip
    accelerator, equivalence = summary["accelerator"], summary["equivalence"]
    if accelerator["fps"]:
        note = f"at {accelerator['clock_mhz']:g} MHz, simulated"
        found.append(Card(f"{accelerator['fps']:,.0f}", "frames a second", note))
    built = summary["build"]
    if built["fmax_mhz"]:
        fits = ", ".join(f"{use['used'] / use['available']:.0%} of {kind.upper()}" for kind, use in
                         (built["utilisation"] or {}).items() if use["available"])  # fmt: skip
        found.append(
            Card(f"{built['fmax_mhz']:.0f} MHz", f"highest clock, {built['backend']} on {built['board']}", fits)
        )
    if equivalence["mismatches"] is not None:
        wrong = equivalence["mismatches"]
        found.append(Card(f"{wrong:,}", "mismatches", f"in {equivalence['beats']:,} beats", good=wrong == 0))
    return found


def count(number: float) -> str:
    """12345678 as ``12.3 M``."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if number >= size:
            return f"{number / size:.3g} {letter}"
    return f"{number:g}"


@dataclass(frozen=True)
class Picture:
    """One image with its boxes, in pixels; or, where there are none, its class and the likeliest ones."""

    address: str
    width: int
    height: int
    truth: tuple[dict[str, Any], ...]
    predictions: tuple[dict[str, Any], ...]
    label: str = ""
    likeliest: tuple[dict[str, Any], ...] = ()


def pictures(folders: Mapping[str, Path], settings: ReportSettings) -> tuple[str, list[Picture]]:
    """(level, images) of the latest stage that has left detections; ("", []) where none has."""
    for stage in DRAWN_FROM:
        if stage in folders and (stored := load_detections(folders[stage])):
            return stored.level, [
                picture(stored, i, settings.confidence) for i in range(len(stored.images))[: settings.images]
            ]
    return "", []


def picture(stored: Detections, index: int, confidence: float) -> Picture:
    """One stored image for the template; the PNG goes into the page itself."""
    from PIL import Image

    example = stored.images[index]
    with Image.open(example.image) as image:
        width, height = image.size
    data = base64.b64encode(example.image.read_bytes()).decode()
    return Picture(
        address=f"data:image/png;base64,{data}",
        width=width,
        height=height,
        truth=tuple(_rectangle(thing.box) for thing in example.truth if thing.box),
        predictions=tuple(
            {**_rectangle(thing.box), "text": f"{stored.classes[thing.label]} {thing.score:.2f}"}
            for thing in example.predictions
            if thing.box and thing.score >= confidence
        ),
        label=", ".join(stored.classes[thing.label] for thing in example.truth if not thing.box),
        likeliest=tuple(_likely(stored, thing) for thing in example.predictions if not thing.box)[:BEST],
    )


def _likely(stored: Detections, thing: Prediction) -> dict[str, Any]:
    return {"name": stored.classes[thing.label], "score": thing.score}


def _rectangle(box: tuple[float, float, float, float]) -> dict[str, float]:
    x0, y0, x1, y1 = box
    return {"x": round(x0, 1), "y": round(y0, 1), "width": round(x1 - x0, 1), "height": round(y1 - y0, 1)}
