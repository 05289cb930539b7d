"""compile: from the QONNX graph to one stitched RTL design."""

import math
from typing import TYPE_CHECKING

from hwprune.errors import UserError
from hwprune.flow.stage import Outcome, Stage, StageContext
from hwprune.flow.stages.export import GRAPH

if TYPE_CHECKING:
    from hwprune.accel.budget import Budget
    from hwprune.accel.design import Design
    from hwprune.accel.fifo_storage import FifoSize
    from hwprune.recipe import CompileSettings
    from hwprune.sim.cycle.model import CycleModel


def run(context: StageContext) -> Outcome:
    """Lower, fold and generate with FINN, and stitch."""
    from qonnx.core.modelwrapper import ModelWrapper
    from rich.console import Console

    from hwprune.accel.compile import Goal, compile_accelerator
    from hwprune.sim.cycle.sizing import TooFastError, size_fifos

    settings = context.recipe.compile
    budget, jointly = _budget(settings)
    goal = Goal(
        part=settings.part,
        clock_mhz=settings.clock_mhz,
        target_fps=settings.target_fps,
        budget=budget,
        fifo_depth=settings.fifo_depth,
        jointly=jointly,
    )
    interval = None if settings.fifo_fps is None else int(settings.clock_mhz * 1e6 / settings.fifo_fps)
    found = {}
    with Console(stderr=True).status("compile") as status:

        def tell(step: str) -> None:
            status.update(f"compile: {step}")

        def size(design: "Design") -> "dict[str, FifoSize]":
            try:
                sizing = size_fifos(_model(design), interval, lambda step: tell(f"size FIFOs: {step}"))
            except TooFastError as error:
                most = math.floor(settings.clock_mhz * 1e8 / error.fastest) / 100
                raise UserError(
                    f"compile.fifo_fps: {settings.fifo_fps:g} frames a second are more than the {most:.2f} of this "
                    "folding with FIFOs that are never full; lower it, leave it out, or raise the goal of the folding"
                ) from error
            found.update(fifo_sizing=sizing.as_json(), fps_model=settings.clock_mhz * 1e6 / sizing.rate.interval)
            return sizing.sizes

        graph = ModelWrapper(str(context.inputs["export"] / GRAPH))
        accelerator = compile_accelerator(graph, context.folder, goal, tell, size, _interval)
    slowest = max(row["cycles"] for row in accelerator.operators)
    results = {
        "clock_mhz": settings.clock_mhz,
        "part": settings.part,
        "fps_estimate": settings.clock_mhz * 1e6 / slowest,
        "cycles_estimate": slowest,
        "resources": accelerator.resources,
        "layers": accelerator.operators,
        "fifos": len(accelerator.design.fifos),
        **found,
    }
    return Outcome(tuple(accelerator.files()), results)


def _budget(settings: "CompileSettings") -> "tuple[Budget, bool]":
    """What the recipe names; or a share of its board, within which all is chosen jointly."""
    from hwprune.accel.budget import Budget
    from hwprune.board.board import load_board
    from hwprune.board.parts import budget

    given = Budget(luts=settings.max_luts, dsps=settings.max_dsps, brams=settings.max_brams)
    if settings.board is None or given.limits:
        return given, False
    return budget(load_board(settings.board), settings.share), True


def _interval(design: "Design") -> int:
    """Cycles between frames, with FIFOs that are never full."""
    from hwprune.sim.cycle.sizing import FRAMES
    from hwprune.sim.rate import rate

    model = _model(design)
    run = model.run(FRAMES, progress=False)
    if not run.finished:
        from hwprune.sim.cycle.deadlock import explain

        raise UserError(explain(model, run))
    return rate(design, run.cycles, FRAMES).interval


def _model(design: "Design") -> "CycleModel":
    """For sizing, with FIFOs that are never full: their own depths are generous, and too many for block RAM in some."""
    from hwprune.sim.cycle.model import CycleModel
    from hwprune.sim.cycle.sizing import UNBOUNDED

    try:
        return CycleModel(design, dict.fromkeys((fifo.name for fifo in design.fifos), UNBOUNDED))
    except UserError as error:
        raise UserError(f"{error}. Without the model, give every FIFO the same depth: compile.fifo_depth") from error


STAGE = Stage(
    name="compile",
    about="compiles the graph to RTL with FINN, without any Xilinx tool",
    makes="rtl/ (SystemVerilog and memory files; accelerator.sv is the top), accelerator.json, accelerator.onnx",
    reads=("export",),
    sections=("compile",),
    run=run,
)
