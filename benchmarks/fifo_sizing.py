"""Every FIFO of the reference network sized by the cycle model: time, memory, and the memory of other rules.

The rule of the most beats held is FINN's ``largefifo_rtlsim``: unbounded FIFOs, frames at the interval at which they
can go out. Its rule of characteristic functions (each operator alone; the consumer shifted until it never runs dry)
knows no joins; it is applied as published. FINN's own code for both needs Vivado's simulator. On small graphs the
memory is set beside a lower bound and the optimum, found by search. The sizes are checked once in Verilator. Run from
the repository.
"""

import argparse
import heapq
import itertools
import statistics
import sys
import tempfile
from pathlib import Path

import numpy as np
from common import conclude, say
from full_size import random_network
from networks import REFERENCE, reference

sys.path.insert(0, str(Path(__file__).parents[1]))
from hwprune.accel.compile import Goal, compile_accelerator
from hwprune.accel.fifo_storage import FifoSize, Memory, fifo_choices, fifo_memory
from hwprune.accel.outline import outline
from hwprune.quant.export import export_qonnx
from hwprune.sim.accelerator import build_simulator
from hwprune.sim.cycle.alone import alone
from hwprune.sim.cycle.check import compare_cycles
from hwprune.sim.cycle.model import CycleModel, Stalls
from hwprune.sim.cycle.sizing import FRAMES, UNBOUNDED, size_fifos
from hwprune.sim.equivalence import run_frames
from hwprune.sim.rate import rate
from tests.accel.finn_graphs import fork_and_join, with_fifos


def memory(model: CycleModel, sizes: dict[str, FifoSize]) -> Memory:
    """Of all FIFOs."""
    bits = {fifo.name: model.streams[fifo.source].bits for fifo in model.design.fifos}
    return sum((fifo_memory(size, bits[name]) for name, size in sizes.items()), Memory())


def keeps(model: CycleModel, sizes: dict[str, FifoSize], interval: int) -> bool:
    """Whether these sizes keep the interval."""
    return model.resized(sizes).run(FRAMES, progress=False, give_up=interval).finished


def by_characteristic(model: CycleModel) -> dict[str, FifoSize]:
    """For each FIFO the most beats between what its producer and its consumer would do alone, over two periods."""
    ports, own = {}, []
    for operator in model.operators:
        single = alone(model.design, operator)
        run = single.run(FRAMES, progress=False)
        period = rate(single.design, run.cycles, FRAMES).interval
        own.append(period)
        for name in (*operator.inputs, *operator.outputs):
            beats = model.streams[name].beats
            ports[name] = run.cycles[name][(FRAMES - 3) * beats :].astype(np.int64)
    longest, sizes = max(own), {}
    for fifo in model.design.fifos:
        choices = fifo_choices(model.streams[fifo.source].bits)
        depth = 2
        if fifo.source in ports and fifo.sink in ports:  # else a port of the top is at one end
            made, used = (_spread(ports[name], model.streams[name].beats, longest) for name in (fifo.source, fifo.sink))
            shift = max(0, int((made - used[: len(made)]).max()))
            depth = int(np.max(np.arange(1, len(made) + 1) - np.searchsorted(used + shift, made, "right")))
        sizes[fifo.name] = next(size for size in choices if size.depth > depth)
    return sizes


def _spread(cycles: np.ndarray, beats: int, period: int) -> np.ndarray:
    """Two frames' beats from cycle 0 on, each frame within the period."""
    frame = cycles[beats : 2 * beats] - cycles[beats]
    return np.concatenate([frame, frame + period])


def lower_bound(model: CycleModel, interval: int) -> dict[str, FifoSize]:
    """For each FIFO the cheapest size that does when all others are never full: no set of sizes can have less."""
    least = {}
    for fifo in model.design.fifos:
        others = {other.name: UNBOUNDED for other in model.design.fifos}
        choices = fifo_choices(model.streams[fifo.source].bits)
        low, high = -1, len(choices) - 1
        while high - low > 1:
            middle = max((low + high) // 2, 0)
            if keeps(model, {**others, fifo.name: choices[middle]}, interval):
                high = middle
            else:
                low = middle
        least[fifo.name] = choices[high]
    return least


def optimum(model: CycleModel, interval: int, least: dict[str, FifoSize], trials: int) -> dict[str, FifoSize] | None:
    """The cheapest set of sizes by best-first search from the lower bound; None if it takes too many trials."""
    names = list(least)
    choices = {name: fifo_choices(model.streams[next(f.source for f in model.design.fifos if f.name == name)].bits)
               for name in names}  # fmt: skip
    start = tuple(choices[name].index(least[name]) for name in names)
    number = itertools.count()
    waiting = [(memory(model, least).bits, next(number), start, 0)]
    while waiting and trials:
        _, _, at, first = heapq.heappop(waiting)
        sizes = {name: choices[name][i] for name, i in zip(names, at, strict=True)}
        trials -= 1
        if keeps(model, sizes, interval):
            return sizes
        for k in range(first, len(names)):  # each set of steps once, in the order of the names
            if at[k] + 1 < len(choices[names[k]]):
                step = (*at[:k], at[k] + 1, *at[k + 1 :])
                made = {name: choices[name][i] for name, i in zip(names, step, strict=True)}
                heapq.heappush(waiting, (memory(model, made).bits, next(number), step, k))
    return None


def small_graphs(count: int) -> list[dict]:
    """Forks whose branches meet again, sized, bounded and searched."""
    rows = []
    for seed in range(count):
        rng = np.random.default_rng(seed)
        graph = fork_and_join(int(rng.integers(10, 17)), 4, rng, layers=int(rng.integers(1, 4)))
        with tempfile.TemporaryDirectory() as folder:
            model = CycleModel(outline(with_fifos(graph, Path(folder))))
        found = size_fifos(model)
        least = lower_bound(model, found.fastest)
        best = optimum(model, found.fastest, least, 400)
        rows.append({
            "fifos": len(found.sizes),
            "bits": found.memory.bits,
            "lower_bound_bits": memory(model, least).bits,
            "optimum_bits": None if best is None else memory(model, best).bits,
            "peak_bits": found.peak_memory.bits,
        })  # fmt: skip
        say(f"small graph {seed}: {rows[-1]}")
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--fps", type=float, default=100, help="goal of the folding at 100 MHz")
    parser.add_argument("--rounds", type=int, default=1, help="times that the reference network is sized")
    parser.add_argument("--small", type=int, default=4, help="small graphs that are searched")
    options = parser.parse_args()
    small = small_graphs(options.small)
    example = reference()
    integer = random_network(example.table, example.size)
    sizings, designs = [], []
    with tempfile.TemporaryDirectory(prefix="fifo-sizing-") as temporary:
        folder = Path(temporary)

        def size(design):
            designs.append(design)
            for _ in range(options.rounds):
                sizings.append(size_fifos(CycleModel(design), progress=say))
            return sizings[-1].sizes

        say("compile")
        graph = export_qonnx(integer, example.size, folder / "network.onnx")
        goal = Goal("xc7z020clg400-1", clock_mhz=100, target_fps=options.fps)
        accelerator = compile_accelerator(graph, folder / "compile", goal, size=size)
        found, model = sizings[-1], CycleModel(accelerator.design)
        say("other rules")
        characteristic = by_characteristic(CycleModel(designs[0]))
        holds = model.resized(characteristic).run(FRAMES, progress=False)
        say("check in Verilator")
        simulator = build_simulator(accelerator.design, folder / "verilator")
        images = np.random.default_rng(1).integers(0, 256, (3, 3, *example.size), np.uint8)
        run = run_frames(simulator, accelerator.design, images, record=[s.name for s in accelerator.design.inner])
        beats, differences = compare_cycles(accelerator.design, run, model, 3, Stalls())
    if differences:
        raise SystemExit(f"the model is not the RTL: {differences[0]}")
    ports = {name: trace.cycles for name, trace in run.outputs.items()} | run.input_cycles
    conclude(
        "fifo_sizing",
        statistics.median(sizing.seconds for sizing in sizings),
        "s",
        "the most beats that each FIFO held, at the same interval",
        found.memory.bits / found.peak_memory.bits,
        {"widths": REFERENCE, "image": example.size, "fifos": len(found.sizes)},
        interval=found.rate.interval,
        interval_unbounded=found.fastest,
        interval_in_verilator=rate(accelerator.design, ports, 3).interval,
        beats_compared=beats,
        trials=found.trials,
        memory={"luts": found.memory.luts, "bram18": found.memory.bram18, "bits": found.memory.bits},
        peak={"luts": found.peak_memory.luts, "bram18": found.peak_memory.bram18, "bits": found.peak_memory.bits},
        characteristic={
            "bits": memory(model, characteristic).bits,
            "interval": rate(accelerator.design, holds.cycles, FRAMES).interval if holds.finished else None,
            "hangs": not holds.finished,
        },
        small_graphs=small,
    )


if __name__ == "__main__":
    main()
