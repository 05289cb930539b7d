"""compile: from the QONNX graph to one stitched RTL design."""

from hwprune.flow.stage import Outcome, Stage, StageContext
from hwprune.flow.stages.export import GRAPH


def run(context: StageContext) -> Outcome:
    """Lower, fold and generate with FINN, and stitch."""
    from qonnx.core.modelwrapper import ModelWrapper
    from rich.console import Console

    from hwprune.accel.compile import Goal, compile_accelerator
    from hwprune.accel.folding import Budget

    settings = context.recipe.compile
    goal = Goal(
        part=settings.part,
        clock_mhz=settings.clock_mhz,
        target_fps=settings.target_fps,
        budget=Budget(luts=settings.max_luts, dsps=settings.max_dsps, brams=settings.max_brams),
        fifo_depth=settings.fifo_depth,
    )
    with Console(stderr=True).status("compile") as status:
        accelerator = compile_accelerator(
            ModelWrapper(str(context.inputs["export"] / GRAPH)),
            context.folder,
            goal,
            progress=lambda step: status.update(f"compile: {step}"),
        )
    slowest = max(row["cycles"] for row in accelerator.operators)
    results = {
        "clock_mhz": settings.clock_mhz,
        "part": settings.part,
        "fps_estimate": settings.clock_mhz * 1e6 / slowest,
        "cycles_estimate": slowest,
        "resources": accelerator.resources,
        "layers": accelerator.operators,
        "fifos": len(accelerator.design.fifos),
    }
    return Outcome(tuple(accelerator.files()), results)


STAGE = Stage(
    name="compile",
    about="compiles the graph to RTL with FINN, without any Xilinx tool",
    makes="rtl/ (SystemVerilog and memory files; accelerator.sv is the top), accelerator.json, accelerator.onnx",
    reads=("export",),
    sections=("compile",),
    run=run,
)
