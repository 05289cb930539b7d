"""What every operator does in the course of a run, in bins of cycles."""

from dataclasses import dataclass

import numpy as np

from hwprune.accel.design import Operator
from hwprune.sim.cycle.alone import alone
from hwprune.sim.cycle.model import CycleModel, Run
from hwprune.sim.cycle.observe import Blocked, finished, observe
from hwprune.sim.rate import frame_ends


@dataclass(frozen=True)
class Timeline:
    """Of a run from reset on.

    Attributes
    ----------
    edges
        int64 (bins + 1,): first cycle of each bin, and the one after the last.
    ends
        int64 (frames,): cycle of each frame's last beat, at the output that gives it last.
    operators
        Names, in the order of the data flow.
    working, blocked
        float32 (operators, bins): shares of each bin. The rest is starved.
    stops
        int64 (operators,): cycle of the last beat of these frames, at any stream.
    """

    edges: np.ndarray
    ends: np.ndarray
    operators: tuple[str, ...]
    working: np.ndarray
    blocked: np.ndarray
    stops: np.ndarray

    @property
    def latency(self) -> int:
        """Cycles up to the last beat of the first frame."""
        return int(self.ends[0]) + 1


def timeline(model: CycleModel, frames: int = 3, bins: int = 360, *, progress: bool = True) -> Timeline:
    """What every operator does while some frames pass, one behind the other without a gap.

    An operator's work is measured on the schedule that it has by itself, as in `hwprune.sim.cycle.work`: when its beats
    pass as far apart as they do there, it works all the time; where they come further apart, it works for as long as
    they would have taken, just before they come. Of several streams the one that is furthest along counts, for an
    operator may be filled before it gives anything. Blocked is defined as there.

    Parameters
    ----------
    model
        Of the accelerator.
    frames
        How many.
    bins
        That the run is cut into; fewer if it has fewer cycles.
    progress
        Show a bar if it takes long.

    Raises
    ------
    UserError
        If the accelerator hangs; the message says why.
    """
    run = finished(model, frames, progress=progress)
    ends = np.max([frame_ends(run.cycles[s.name], s.beats, frames) for s in model.design.outputs], axis=0)
    edges = np.unique(np.linspace(0, ends[-1] + 1, bins + 1).astype(np.int64))
    names, working, blocked, stops = [], [], [], []
    for operator, seen in observe(model, frames, progress=progress):
        names.append(operator.name)
        work, stop = _work(model, operator, seen, frames, edges)
        working.append(work)
        blocks = Blocked.at(seen, operator.outputs, [frames * model.streams[name].beats for name in operator.outputs])
        waits = np.diff(blocks.before(edges)) / np.diff(edges)
        blocked.append(np.minimum(waits, 1 - work))
        stops.append(stop)
    return Timeline(
        edges=edges,
        ends=ends,
        operators=tuple(names),
        working=np.array(working, np.float32),
        blocked=np.array(blocked, np.float32),
        stops=np.array(stops, np.int64),
    )


def _work(model: CycleModel, operator: Operator, run: Run, frames: int, edges: np.ndarray) -> tuple[np.ndarray, int]:
    """Share of each bin in which the operator works, and the cycle of its last beat."""
    own = finished(alone(model.design, operator), frames + 1).cycles
    done, last = np.zeros(len(edges)), 0
    for name in (*operator.inputs, *operator.outputs):
        beats = frames * model.streams[name].beats
        passed = run.cycles[name][:beats]
        done = np.maximum(done, _progress(passed, own[name][:beats], edges))
        last = max(last, int(passed[-1]))
    return np.clip(np.diff(done) / np.diff(edges), 0, 1), last


def _progress(passed: np.ndarray, own: np.ndarray, cycles: np.ndarray) -> np.ndarray:
    """How far a stream's operator is on its own schedule at some cycles."""
    beat = np.searchsorted(passed, cycles, "left")
    # Work for the next beat is done directly before it comes.
    following = np.minimum(beat, len(passed) - 1)
    ahead = np.where(beat < len(passed), own[following] + 1.0 - (passed[following] + 1.0 - cycles), 0)
    behind = np.where(beat > 0, own[np.maximum(beat, 1) - 1] + 1.0, 0)
    return np.maximum(ahead, behind)
