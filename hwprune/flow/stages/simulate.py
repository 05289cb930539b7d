"""simulate: proves that the HLS C++ and the RTL compute what the network computes, and when."""

from typing import TYPE_CHECKING

from hwprune.errors import UserError
from hwprune.flow.stage import Outcome, Stage, StageContext

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import numpy as np
    from torch import Tensor
    from torch.utils.data import Dataset

    from hwprune.accel.accelerator import Accelerator
    from hwprune.models.architecture import Architecture
    from hwprune.quant.integer import IntegerNetwork
    from hwprune.sim.cycle.model import CycleModel
    from hwprune.sim.equivalence import Equivalence, Row

    Predict = Callable[[Tensor], list[Tensor]]


TIMING, CHART = "timing.json", "stalls.svg"
FRAMES = 4
"""That the cycle model runs for the interval."""


def run(context: StageContext) -> Outcome:
    """The levels of the recipe, each against the network; then the validation set through the RTL."""
    import numpy as np

    from hwprune.accel.accelerator import Accelerator
    from hwprune.data.dataset import open_dataset
    from hwprune.quant.store import load_integer
    from hwprune.sim.csim import check_csim

    settings = context.recipe.simulate
    network, head_json = load_integer(context.inputs["quantize"])
    accelerator = Accelerator.load(context.inputs["compile"])
    val = open_dataset(context.recipe.data).val
    pixels = np.stack([val[i][0].numpy() for i in range(min(settings.frames, len(val)))])
    made, results, model = [], {}, None
    if "cycle" in settings.levels:
        model, files, timing = _timing(context, accelerator, network, pixels)
        made += files
        results |= timing
    if "csim" in settings.levels:
        csim = check_csim(accelerator, network, pixels, context.folder / "csim")
        made.append(_proved(csim, context.folder / "csim.json", network.architecture))
        results["csim"] = csim.as_json()
    if "rtl" in settings.levels:
        files, measured = _rtl(context, accelerator, network, head_json, val, pixels, model)
        made += files
        results |= measured
    return Outcome(tuple(made), results)


def _timing(
    context: StageContext, accelerator: "Accelerator", network: "IntegerNetwork", pixels: "np.ndarray"
) -> "tuple[CycleModel, list[Path], dict]":
    """The cycle model's answer: comes first, for it is there in seconds and knows why an accelerator hangs."""
    from rich.console import Console

    from hwprune.files import write_json
    from hwprune.sim.cycle.chart import save_stall_chart
    from hwprune.sim.cycle.deadlock import explain
    from hwprune.sim.cycle.model import CycleModel
    from hwprune.sim.cycle.timeline import timeline
    from hwprune.sim.cycle.work import work
    from hwprune.sim.rate import rate

    clock = accelerator.clock_mhz
    try:
        model = CycleModel(accelerator.design)
    except UserError as error:
        raise UserError(f"{error}. simulate.levels: [csim, rtl] goes on without it") from error
    files = _traces(context, accelerator, network, pixels, model)
    run = model.run(FRAMES)
    if not run.finished:
        raise UserError(explain(model, run))
    found, shares = rate(accelerator.design, run.cycles, FRAMES), work(model)
    files.append(save_stall_chart(context.folder / CHART, shares, timeline(model), clock))
    timing = {
        "cycles_per_frame": found.interval,
        "latency_cycles": found.latency,
        "bottleneck": shares.bottleneck,
        "advice": shares.advice.text,
    }
    write_json(context.folder / TIMING, {**timing, "steady": found.steady, "work": shares.as_json()})
    Console(stderr=True).print(
        f"cycle model: {found.interval} cycles a frame = {clock * 1e6 / found.interval:.1f} fps at {clock:g} MHz, "
        f"latency {found.latency} cycles. {shares.advice.text}",
        soft_wrap=True,
    )
    return model, [*files, context.folder / TIMING], timing


def _traces(
    context: StageContext,
    accelerator: "Accelerator",
    network: "IntegerNetwork",
    pixels: "np.ndarray",
    model: "CycleModel",
) -> "list[Path]":
    wanted = context.recipe.simulate.traces
    if wanted is None:
        return []
    from hwprune.sim.cycle.traces import Values, write_traces

    return write_traces(
        context.folder,
        model,
        wanted.streams,
        wanted.frames,
        wanted.formats,
        values=Values(network, accelerator.origin, pixels) if wanted.values else None,
        clock_mhz=accelerator.clock_mhz,
        limit=wanted.max_mib << 20,
    )


def _rtl(
    context: StageContext,
    accelerator: "Accelerator",
    network: "IntegerNetwork",
    head_json: dict,
    val: "Dataset",
    pixels: "np.ndarray",
    model: "CycleModel | None",
) -> "tuple[list[Path], dict]":
    """Every stream of the RTL against the network and the cycle model, and the validation set through the RTL."""
    from torch.utils.data import Subset

    from hwprune.detect.evaluate import evaluate
    from hwprune.detect.heads import METRICS, parse_head
    from hwprune.flow.detections import save_detections
    from hwprune.quant.integer import integer_predictor
    from hwprune.sim.accelerator import build_simulator, rtl_predictor
    from hwprune.sim.equivalence import check_equivalence

    settings, head = context.recipe.simulate, parse_head(head_json)
    simulator = build_simulator(accelerator.design, context.folder / "verilator")
    equivalence = check_equivalence(
        simulator,
        accelerator.design,
        accelerator.origin,
        network,
        pixels,
        stall_percent=settings.stall_percent,
        seeds=settings.seeds,
        model=model,
    )
    made = [_proved(equivalence, context.folder / "equivalence.json", network.architecture)]
    results = {
        "equivalence": equivalence.as_json(),
        "cycles_per_frame": equivalence.cycles_per_frame,
        "latency_cycles": equivalence.latency_cycles,
    }
    predict = _remembering(rtl_predictor(simulator, accelerator))
    wanted_images = len(val) if settings.validation_images is None else settings.validation_images
    images = Subset(val, range(min(wanted_images or len(pixels), len(val))))
    if wanted_images:
        found, wanted = (evaluate(p, images, head)[head.metric] for p in (predict, integer_predictor(network)))
        if found != wanted:
            raise UserError(
                f"the accelerator's {METRICS[head.metric].name} is {found}, the quantised network's {wanted} on the "
                f"same {len(images)} images, though their streams agree: this is a defect of hwprune, please report it "
                "with the recipe"
            )
        results |= {head.metric: found, "images": len(images)}
    return [*made, *save_detections(context.folder, "accelerator", predict, images, head)], results


def _proved(equivalence: "Equivalence", path: "Path", architecture: "Architecture") -> "Path":
    """Write and show what a level's check found; UserError if anything differs."""
    from rich.console import Console

    from hwprune.files import write_json

    write_json(path, equivalence.as_json())
    console = Console(stderr=True)
    console.print(_table(equivalence, architecture))
    if equivalence.cycle_beats:
        console.print(
            f"cycles against the cycle model: {equivalence.cycle_beats} beats, {equivalence.cycle_mismatches} differ",
            soft_wrap=True,
        )
    if equivalence.mismatches:
        raise UserError(
            f"{equivalence.mismatches} of {equivalence.beats} beats differ between the network and the level "
            f"{equivalence.level}; the first, in the order of the data flow: {equivalence.differences[0]}. All of them "
            f"are in {path}"
        )
    if equivalence.cycle_mismatches:
        raise UserError(
            f"{equivalence.cycle_mismatches} of {equivalence.cycle_beats} beats pass in another cycle than the cycle "
            f"model says; the first: {equivalence.cycle_differences[0]}. This is a defect of hwprune, please report it "
            f"with the recipe; all of them are in {path}. simulate.levels: [csim, rtl] goes on without the model"
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
    about="proves that the HLS C++ (g++) and the RTL (Verilator) compute what the network computes, and when",
    makes="timing.json, stalls.svg, csim.json, equivalence.json, detections.json",
    reads=("quantize", "compile"),
    sections=("data", "simulate"),
    run=run,
)
