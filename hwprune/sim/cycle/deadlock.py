"""Why an accelerator hangs, told as a person would: who waits for whom, which FIFO is full, and how deep it must be."""

import math
from dataclasses import dataclass

from hwprune.accel.fifo_storage import FifoSize
from hwprune.sim.cycle.model import CycleModel, Run
from hwprune.sim.cycle.occupancy import peak


@dataclass(frozen=True)
class Wait:
    """An operator that waits for a beat of a stream, or for room in it; ``fifo`` is the one on that stream, if any."""

    operator: str
    stream: str
    full: bool
    other: str | None
    """The operator at the other end; None for a port."""
    fifo: str | None

    def __str__(self) -> str:
        other = self.other or "the port"
        if not self.full:
            return f"{self.operator} waits for a beat from {other} (stream {self.stream})"
        where = f"FIFO {self.fifo} is full" if self.fifo else f"stream {self.stream} has no FIFO"
        return f"{self.operator} cannot hand a beat to {other}: {where}"


def circle(model: CycleModel, run: Run) -> list[Wait]:
    """The operators that wait for each other, in order; empty if the run did not hang in a circle."""
    waits = {}
    for name, reason in run.waiting.items():
        if reason is not None:
            waits[name] = _wait(model, name, *reason)
    for start in waits:
        path: list[Wait] = []
        name = start
        while name in waits and name not in [wait.operator for wait in path]:
            path.append(waits[name])
            name = waits[name].other
        if name in waits:
            names = [wait.operator for wait in path]
            found = path[names.index(name) :]
            if any(wait.full for wait in found):
                return found
    return []


def explain(model: CycleModel, run: Run, frames: int = 2) -> str:
    """A message on a run that did not finish.

    Parameters
    ----------
    model
        That ran.
    run
        What it gave.
    frames
        That are run again with deeper FIFOs, to say how deep they must be.
    """
    waits = circle(model, run)
    if not waits:
        return "the accelerator gives fewer beats than its outputs await, though no operators wait for each other"
    lines = [f"the accelerator hangs: {'; '.join(map(str, waits))}; and so on in a circle"]
    full = [wait.fifo for wait in waits if wait.full and wait.fifo]
    if not full:
        return f"{lines[0]}. There is no FIFO on that circle: put one behind the fork"
    for fifo in full:
        needed = _needed(model, [fifo], frames)
        if needed:
            lines.append(f"FIFO {fifo} has room enough with {needed[fifo]} beats (now {_depth(model, fifo)})")
            return ". ".join(lines)
    needed = _needed(model, full, frames)
    if needed:
        depths = ", ".join(f"{fifo} {beats} beats (now {_depth(model, fifo)})" for fifo, beats in needed.items())
        return f"{lines[0]}. Enough room for the FIFOs: {depths}"
    return f"{lines[0]}. Deeper FIFOs there do not help alone: another circle forms"


def _wait(model: CycleModel, name: str, stream: str, side: str) -> Wait:
    queue = next(q for q in model.queues if stream in (q.source, q.sink))
    fifo = next((f.name for f in model.design.fifos if f.source == queue.source and f.sink == queue.sink), None)
    if side == "output":
        return Wait(name, stream, True, model.streams[queue.sink].consumer, fifo)
    return Wait(name, stream, False, model.streams[queue.source].producer, fifo)


def _needed(model: CycleModel, fifos: list[str], frames: int) -> dict[str, int]:
    """Most beats that FIFOs hold when they are never full; empty if the accelerator hangs even so."""
    ends = {fifo.name: fifo for fifo in model.design.fifos}
    record = [name for fifo in fifos for name in (ends[fifo].source, ends[fifo].sink)]
    run = model.resized({**model.sizes, **dict.fromkeys(fifos, FifoSize(math.inf))}).run(
        frames, record=record, progress=False
    )
    if not run.finished:
        return {}
    return {fifo: int(peak(run.cycles[ends[fifo].source], run.cycles[ends[fifo].sink])) for fifo in fifos}


def _depth(model: CycleModel, name: str) -> int:
    size = model.sizes.get(name)
    return int(size.depth) if size else next(fifo.depth for fifo in model.design.fifos if fifo.name == name)
