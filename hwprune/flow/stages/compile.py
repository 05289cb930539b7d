"""compile: from the QONNX graph to one stitched RTL design."""

import math
from dataclasses import replace
from typing import TYPE_CHECKING

from hwprune.errors import UserError
from hwprune.flow.stage import Outcome, Stage, StageContext
from hwprune.flow.stages.export import GRAPH

if TYPE_CHECKING:
    from hwprune.accel.budget import Budget
    from hwprune.accel.compile import Goal
    from hwprune.accel.design import Design
    from hwprune.accel.fifo_storage import FifoSize
    from hwprune.accel.joint import OverBudgetError
    from hwprune.recipe import CompileSettings


def run(context: StageContext) -> Outcome:
    """Lower, fold and generate with FINN, and stitch."""
    from qonnx.core.modelwrapper import ModelWrapper
    from rich.console import Console

    from hwprune.accel.compile import Goal, compile_accelerator
    from hwprune.accel.joint import OverBudgetError
    from hwprune.sim.cycle.sizing import TooFastError, fastest_interval, size_fifos, unbounded_model

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
    found = {}
    with Console(stderr=True).status("compile") as status:

        def tell(step: str) -> None:
            status.update(f"compile: {step}")

        def size(design: "Design") -> "dict[str, FifoSize]":
            interval = None if settings.fifo_fps is None else int(goal.clock_mhz * 1e6 / settings.fifo_fps)
            try:
                sizing = size_fifos(unbounded_model(design), interval, lambda step: tell(f"size FIFOs: {step}"))
            except TooFastError as error:
                most = math.floor(goal.clock_mhz * 1e8 / error.fastest) / 100
                raise UserError(
                    f"compile.fifo_fps: {settings.fifo_fps:g} frames a second are more than the {most:.2f} of this "
                    "folding with FIFOs that are never full; lower it, leave it out, or raise the goal of the folding"
                ) from error
            found.update(fifo_sizing=sizing.as_json(), fps_model=goal.clock_mhz * 1e6 / sizing.rate.interval)
            return sizing.sizes

        graph = ModelWrapper(str(context.inputs["export"] / GRAPH))
        while True:
            try:
                accelerator = compile_accelerator(graph, context.folder, goal, tell, size, fastest_interval)
                break
            except OverBudgetError as error:
                goal = replace(goal, clock_mhz=_faster_clock(goal, settings.max_clock_mhz, error))
                tell(f"again, at {goal.clock_mhz:g} MHz")
    slowest = max(row["cycles"] for row in accelerator.operators)
    results = {
        "clock_mhz": goal.clock_mhz,
        "part": settings.part,
        "fps_estimate": goal.clock_mhz * 1e6 / slowest,
        "cycles_estimate": slowest,
        "resources": accelerator.resources,
        "layers": accelerator.operators,
        "fifos": len(accelerator.design.fifos),
        **found,
    }
    return Outcome(tuple(accelerator.files()), results)


def _faster_clock(goal: "Goal", most: float | None, error: "OverBudgetError") -> float:
    """The least whole clock at which the fastest design that fits reaches the goal; else the error again."""
    clock = max(math.ceil(goal.target_fps * error.fastest / 1e6), math.floor(goal.clock_mhz) + 1)
    if most is None or clock > most:
        raise error
    return float(clock)


def _budget(settings: "CompileSettings") -> "tuple[Budget, bool]":
    """What the recipe names; or a share of its board, within which all is chosen jointly."""
    from hwprune.accel.budget import Budget
    from hwprune.board.board import load_board
    from hwprune.board.parts import budget

    given = Budget(luts=settings.max_luts, dsps=settings.max_dsps, brams=settings.max_brams)
    if settings.board is None or given.limits:
        return given, False
    return budget(load_board(settings.board), settings.share), True


STAGE = Stage(
    name="compile",
    about="compiles the graph to RTL with FINN, without any Xilinx tool",
    makes="rtl/ (SystemVerilog and memory files; accelerator.sv is the top), accelerator.json, accelerator.onnx",
    reads=("export",),
    sections=("compile",),
    run=run,
)
