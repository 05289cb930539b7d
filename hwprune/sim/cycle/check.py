"""The level `cycle` against the level `rtl`: the cycle of every beat of every stream."""

from dataclasses import dataclass

import numpy as np

from hwprune.accel.design import Design
from hwprune.sim.cycle.model import CycleModel, Stalls
from hwprune.sim.simulator import SimResult


@dataclass(frozen=True)
class CycleDifference:
    """The first beat of a stream that does not pass in the same cycle; None where it never passes."""

    operator: str
    stream: str
    frame: int
    beat: int
    rtl: int | None
    model: int | None
    count: int
    """Beats of the stream that differ."""

    def __str__(self) -> str:
        return (
            f"operator {self.operator!r}, stream {self.stream!r}, frame {self.frame}, beat {self.beat}: RTL in cycle "
            f"{self.rtl}, model in cycle {self.model} ({self.count} beats differ)"
        )


def compare_cycles(
    design: Design, run: SimResult, model: CycleModel, frames: int, stalls: Stalls
) -> tuple[int, list[CycleDifference]]:
    """Every recorded stream of an RTL run against the model.

    Parameters
    ----------
    design
        Of both.
    run
        Of the RTL, with the streams to compare recorded. What happened after its last cycle is not compared.
    model
        Of the design.
    frames
        That were fed.
    stalls
        Of the RTL run.

    Returns
    -------
    tuple
        Beats compared, and the first difference of each stream that has one, in the order of the data flow.
    """
    found = {name: trace.cycles for name, trace in (*run.streams.items(), *run.outputs.items())} | run.input_cycles
    made = model.run(frames, stalls=stalls, record=found, progress=False)
    beats, differences = 0, []
    for stream in design.streams:
        if stream.name not in found:
            continue
        rtl, cycles = found[stream.name], made.cycles[stream.name]
        cycles = cycles[cycles < run.cycles]
        shorter = min(len(rtl), len(cycles))
        differ = rtl[:shorter] != cycles[:shorter]
        count = int(differ.sum()) + abs(len(rtl) - len(cycles))
        beats += max(len(rtl), len(cycles))
        if count:
            first = int(np.argmax(differ)) if differ.any() else shorter
            frame, beat = divmod(first, stream.beats)
            values = (int(of[first]) if first < len(of) else None for of in (rtl, cycles))
            differences.append(CycleDifference(stream.producer or "input", stream.name, frame, beat, *values, count))
    return beats, differences
