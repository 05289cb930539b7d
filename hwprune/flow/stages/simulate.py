"""simulate: proves that the HLS C++ and the RTL compute what the network computes, and measures the RTL."""

from typing import TYPE_CHECKING

from hwprune.errors import UserError
from hwprune.flow.stage import Outcome, Stage, StageContext

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from torch import Tensor

    from hwprune.models.architecture import Architecture
    from hwprune.sim.equivalence import Equivalence, Row

    Predict = Callable[[Tensor], list[Tensor]]


def run(context: StageContext) -> Outcome:
    """Compare every stream of the C++ and of the RTL, and run the validation set through the RTL."""
    import numpy as np
    from torch.utils.data import Subset

    from hwprune.accel.accelerator import Accelerator
    from hwprune.data.dataset import open_dataset
    from hwprune.detect.evaluate import evaluate
    from hwprune.detect.head import HeadSpec
    from hwprune.flow.detections import save_detections
    from hwprune.quant.integer import integer_predictor
    from hwprune.quant.store import load_integer
    from hwprune.sim.accelerator import build_simulator, rtl_predictor
    from hwprune.sim.csim import check_csim
    from hwprune.sim.equivalence import check_equivalence

    settings = context.recipe.simulate
    network, head_json = load_integer(context.inputs["quantize"])
    head = HeadSpec.model_validate(head_json)
    accelerator = Accelerator.load(context.inputs["compile"])
    val = open_dataset(context.recipe.data).val
    frames = min(settings.frames, len(val))
    pixels = np.stack([val[i][0].numpy() for i in range(frames)])
    made, results = [], {}
    if settings.csim:
        csim = check_csim(accelerator, network, pixels, context.folder / "csim")
        made.append(_proved(csim, context.folder / "csim.json", network.architecture))
        results["csim"] = csim.as_json()
    simulator = build_simulator(accelerator.design, context.folder / "verilator")
    equivalence = check_equivalence(
        simulator,
        accelerator.design,
        accelerator.origin,
        network,
        pixels,
        stall_percent=settings.stall_percent,
        seeds=settings.seeds,
    )
    made.append(_proved(equivalence, context.folder / "equivalence.json", network.architecture))
    results |= {
        "equivalence": equivalence.as_json(),
        "cycles_per_frame": equivalence.cycles_per_frame,
        "latency_cycles": equivalence.latency_cycles,
    }
    predict = _remembering(rtl_predictor(simulator, accelerator))
    wanted_images = len(val) if settings.validation_images is None else settings.validation_images
    images = Subset(val, range(min(wanted_images or frames, len(val))))
    if wanted_images:
        found, wanted = (evaluate(p, images, head)["map50"] for p in (predict, integer_predictor(network)))
        if found != wanted:
            raise UserError(
                f"the accelerator's mAP50 is {found}, the quantised network's {wanted} on the same {len(images)} "
                "images, though their streams agree: this is a defect of hwprune, please report it with the recipe"
            )
        results |= {"map50": found, "images": len(images)}
    drawn = save_detections(context.folder, "accelerator", predict, images, head)
    return Outcome((*made, *drawn), results)


def _proved(equivalence: "Equivalence", path: "Path", architecture: "Architecture") -> "Path":
    """Write and show what a level's check found; UserError if anything differs."""
    from rich.console import Console

    from hwprune.files import write_json

    write_json(path, equivalence.as_json())
    Console(stderr=True).print(_table(equivalence, architecture))
    if equivalence.mismatches:
        raise UserError(
            f"{equivalence.mismatches} of {equivalence.beats} beats differ between the network and the level "
            f"{equivalence.level}; the first, in the order of the data flow: {equivalence.differences[0]}. All of them "
            f"are in {path}"
        )
    return path


def _remembering(predict: "Predict") -> "Predict":
    """The same, but no image is simulated twice: a large frame takes many seconds."""
    import torch

    known: dict[bytes, list[torch.Tensor]] = {}

    def answer(images: "Tensor") -> "list[Tensor]":
        keys = [image.numpy().tobytes() for image in images]
        new = [i for i, key in enumerate(keys) if key not in known]
        if new:
            for i, *heads in zip(new, *predict(images[new]), strict=True):
                known[keys[i]] = heads
        return [torch.stack(head) for head in zip(*(known[key] for key in keys), strict=True)]

    return answer


def _table(equivalence: "Equivalence", architecture: "Architecture"):
    """One line a layer, all of its operators and all runs together; the report has the operators."""
    from rich.table import Table

    from hwprune.models.architecture import IMAGE

    names = (IMAGE, *(layer.name for layer in architecture.layers))

    def origin(row: "Row") -> str:
        return max((name for name in names if row.operator.startswith(f"{name}_")), key=len, default=row.operator)

    table = Table("layer", "streams", "beats", "mismatches", title=f"network and {equivalence.level}, stream by stream")
    for layer in dict.fromkeys(map(origin, equivalence.rows)):
        rows = [row for row in equivalence.rows if origin(row) == layer]
        streams = len({row.stream for row in rows})
        beats, wrong = sum(row.beats for row in rows), sum(row.mismatches for row in rows)
        table.add_row(layer, str(streams), str(beats), str(wrong), style="red" if wrong else "")
    table.add_section()
    table.add_row("all", str(equivalence.streams), str(equivalence.beats), str(equivalence.mismatches), style="bold")
    return table


STAGE = Stage(
    name="simulate",
    about="proves that the HLS C++ (g++) and the RTL (Verilator) compute what the network computes",
    makes="csim.json, equivalence.json, detections.json",
    reads=("quantize", "compile"),
    sections=("data", "simulate"),
    run=run,
)
