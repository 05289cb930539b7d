"""simulate: proves in Verilator that the RTL computes what the network computes, and measures it."""

from typing import TYPE_CHECKING

from hwprune.errors import UserError
from hwprune.flow.stage import Outcome, Stage, StageContext

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from hwprune.models.architecture import Architecture
    from hwprune.sim.equivalence import Equivalence, Row

    Predict = Callable[[Tensor], list[Tensor]]


def run(context: StageContext) -> Outcome:
    """Build the simulator, compare every stream, and run the validation set through the RTL."""
    import numpy as np
    from rich.console import Console
    from torch.utils.data import Subset

    from hwprune.accel.accelerator import Accelerator
    from hwprune.data.dataset import open_dataset
    from hwprune.detect.evaluate import evaluate
    from hwprune.detect.head import HeadSpec
    from hwprune.files import write_json
    from hwprune.flow.detections import save_detections
    from hwprune.quant.integer import integer_predictor
    from hwprune.quant.store import load_integer
    from hwprune.sim.accelerator import build_simulator, rtl_predictor
    from hwprune.sim.equivalence import check_equivalence

    settings = context.recipe.simulate
    network, head_json = load_integer(context.inputs["quantize"])
    head = HeadSpec.model_validate(head_json)
    accelerator = Accelerator.load(context.inputs["compile"])
    val = open_dataset(context.recipe.data).val
    simulator = build_simulator(accelerator.design, context.folder / "verilator")
    frames = min(settings.frames, len(val))
    equivalence = check_equivalence(
        simulator,
        accelerator.design,
        accelerator.origin,
        network,
        np.stack([val[i][0].numpy() for i in range(frames)]),
        stall_percent=settings.stall_percent,
        seeds=settings.seeds,
    )
    write_json(context.folder / "equivalence.json", equivalence.as_json())
    Console(stderr=True).print(_table(equivalence, network.architecture))
    if equivalence.mismatches:
        raise UserError(
            f"{equivalence.mismatches} of {equivalence.beats} beats differ between the network and the RTL; the "
            f"first, in the order of the data flow: {equivalence.differences[0]}. All of them are in "
            f"{context.folder / 'equivalence.json'}"
        )
    results = {
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
    return Outcome((context.folder / "equivalence.json", *drawn), results)


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

    table = Table("layer", "streams", "beats", "mismatches", title="network and rtl, stream by stream")
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
    about="proves in Verilator that the RTL computes what the network computes",
    makes="equivalence.json, detections.json",
    reads=("quantize", "compile"),
    sections=("data", "simulate"),
    run=run,
)
