"""The cycle model against Verilator on the reference network: tiny-YOLOv3 at 416x416, the same design and frames.

Both runs are checked to agree on the cycle of every beat at the ports; neither records inner streams while it is timed.
"""

import argparse
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from common import conclude, say
from full_size import random_network
from networks import REFERENCE, reference

from hwprune.accel.compile import Goal, compile_accelerator
from hwprune.quant.export import export_qonnx
from hwprune.sim.accelerator import build_simulator
from hwprune.sim.cycle.model import CycleModel
from hwprune.sim.equivalence import run_frames
from hwprune.sim.rate import rate

FIRST_ANSWER = """
import sys
from hwprune.sim.cycle.model import CycleModel
CycleModel.load(sys.argv[1]).run(1, progress=False)
"""


def first_answer(folder: Path, cache: Path | None = None) -> float:
    """Seconds of a new process from its start to the first frame; with an empty ``cache``, compilation by Numba too."""
    environment = os.environ | ({"XDG_CACHE_HOME": str(cache)} if cache else {})
    start = time.monotonic()
    subprocess.run([sys.executable, "-c", FIRST_ANSWER, str(folder)], check=True, env=environment)
    return time.monotonic() - start


def timed(action) -> tuple[float, object]:
    start = time.monotonic()
    result = action()
    return time.monotonic() - start, result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--fps", type=float, default=100, help="goal of the folding at 100 MHz")
    parser.add_argument("--frames", type=int, default=14, help="of a run")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each, one after the other")
    options = parser.parse_args()
    example = reference()
    integer = random_network(example.table, example.size)
    with TemporaryDirectory(prefix="cycle-speed-") as temporary:
        folder = Path(temporary)
        say("compile")
        graph = export_qonnx(integer, example.size, folder / "network.onnx")
        goal = Goal("xc7z020clg400-1", clock_mhz=100, target_fps=options.fps)
        design = compile_accelerator(graph, folder / "compile", goal).design
        say("build Verilator's model")
        build, simulator = timed(lambda: build_simulator(design, folder / "verilator", optimise="-O3"))
        say("first answers of the cycle model")
        cold = first_answer(design.folder, folder / "cache")
        warm = first_answer(design.folder, folder / "cache")
        model = CycleModel(design)
        images = np.random.default_rng(1).integers(0, 256, (options.frames, 3, *example.size), np.uint8)
        rtl, cycle, single, more = [], [], [], []
        model.run(2 * options.frames, progress=False)  # memory that the system gives at first use
        for _ in range(options.rounds):
            run = run_frames(simulator, design, images)
            rtl.append(run.seconds)
            seconds, made = timed(lambda: model.run(options.frames, progress=False))
            cycle.append(seconds)
            single.append(timed(lambda: model.run(1, progress=False))[0])
            more.append(timed(lambda: model.run(2 * options.frames, progress=False))[0] - seconds)
            ports = {name: trace.cycles for name, trace in run.outputs.items()} | run.input_cycles
            differ = [name for name, cycles in ports.items() if not np.array_equal(made.cycles[name], cycles)]
            say(f"{options.frames} frames: Verilator {run.seconds:.2f} s, cycle model {seconds:.3f} s")
            if differ:
                raise SystemExit(f"cycles differ at {', '.join(differ)}")
    rtl_time, cycle_time = statistics.median(rtl), statistics.median(cycle)
    found = rate(design, made.cycles, options.frames)
    conclude(
        "cycle_speed",
        statistics.median(single),
        "s for one frame from reset",
        "Verilator, its build not counted",
        rtl_time / cycle_time,
        {"widths": REFERENCE, "image": example.size, "frames": options.frames, "streams": len(design.streams),
         "beats_a_frame": sum(stream.beats for stream in design.streams)},
        frames_computed=made.simulated,
        steady_seconds_a_frame=statistics.median(more) / options.frames,
        model_seconds_a_frame=cycle_time / options.frames,
        verilator_seconds_a_frame=rtl_time / options.frames,
        ratio_with_build=(build + rtl_time) / warm,
        verilator_build_seconds=build,
        first_answer_seconds=warm,
        first_answer_seconds_uncompiled=cold,
        cycles_per_frame=found.interval,
        latency_cycles=found.latency,
    )  # fmt: skip


if __name__ == "__main__":
    main()
