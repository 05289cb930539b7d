"""Where the time goes: how much of it each operator works, waits for beats, and waits to get rid of them.

Of the cycles that the accelerator takes for a frame in steady state (its interval), an operator is

working
    as many as it takes for a frame by itself, its inputs always offered and its outputs always taken: its **own
    interval**, which its fold decides. No accelerator is faster than the longest of these.
blocked
    in those in which it offers a beat, at any output, that is not taken: its consumer, or the FIFO behind it, has no
    room. They are those from TVALID on up to the handshake, that of the handshake not counted; on a wire and into a
    FIFO alike. An operator that goes on inside while its output waits counts as working; so blocked is at most what
    working leaves.
starved
    in the rest: it waits for beats, or has none left to do of this frame.

Both are measured in a run of the cycle model at full speed, between the last beats of the last two frames that the
operator gives.
"""

from dataclasses import asdict, dataclass

import numpy as np

from hwprune.data.progress import track_slow
from hwprune.sim.cycle.advice import Advice, advise
from hwprune.sim.cycle.alone import alone
from hwprune.sim.cycle.model import CycleModel
from hwprune.sim.cycle.observe import Blocked, finished, observe
from hwprune.sim.rate import frame_ends, rate

ATTEMPTS = (4, 8, 16)
"""Frames of a run: more if an operator has not settled, for those in front run ahead while FIFOs fill."""


@dataclass(frozen=True)
class OperatorWork:
    """Of one operator; the three shares of the accelerator's interval add up to 1."""

    name: str
    op_type: str
    interval: int
    """Its own, in cycles a frame."""
    working: float
    blocked: float
    starved: float


@dataclass(frozen=True)
class Work:
    """Of an accelerator.

    Attributes
    ----------
    interval
        Cycles a frame.
    steady
        Whether it had settled.
    bottleneck
        The operator with the longest own interval.
    operators
        All but FIFOs, in the order of the data flow.
    advice
        What to change next for more speed.
    """

    interval: int
    steady: bool
    bottleneck: str
    operators: tuple[OperatorWork, ...]
    advice: Advice

    def as_json(self) -> dict:
        """For a file or a report."""
        return asdict(self)


def work(model: CycleModel, *, progress: bool = True) -> Work:
    """Where the time of an accelerator goes, in steady state, and what limits it.

    Parameters
    ----------
    model
        Of the accelerator.
    progress
        Show bars if it takes long.

    Raises
    ------
    UserError
        If the accelerator hangs; the message says why.
    """
    own = own_intervals(model, progress=progress)
    for frames in ATTEMPTS:
        found = rate(model.design, finished(model, frames, progress=progress).cycles, frames)
        blocked, settled = _blocked(model, frames, found.interval, progress)
        if found.steady and settled:
            break
    rows = []
    for operator in model.operators:
        working = min(own[operator.name] / found.interval, 1.0)
        waits = min(blocked[operator.name] / found.interval, 1 - working)
        rows.append(
            OperatorWork(operator.name, operator.op_type, own[operator.name], working, waits, 1 - working - waits)
        )
    return Work(
        interval=found.interval,
        steady=found.steady and settled,
        bottleneck=max(own, key=own.get),
        operators=tuple(rows),
        advice=advise(model, own, blocked, found.interval, frames, progress),
    )


def own_intervals(model: CycleModel, *, progress: bool = True) -> dict[str, int]:
    """For each operator its cycles a frame when it never waits for others, in the order of the data flow."""
    operators = model.operators
    line = track_slow(operators, "operators alone", len(operators)) if progress else operators
    found = {}
    for operator in line:
        one = alone(model.design, operator)
        for frames in ATTEMPTS:
            by_itself = rate(one.design, finished(one, frames).cycles, frames)
            if by_itself.steady:
                break
        found[operator.name] = by_itself.interval
    return found


def _blocked(model: CycleModel, frames: int, interval: int, progress: bool) -> tuple[dict[str, int], bool]:
    """For each operator the blocked cycles of its last frame, and whether all give their frames at the interval."""
    blocked, settled = {}, True
    for operator, run in observe(model, frames, inputs=False, progress=progress):
        name = operator.outputs[0]
        ends = frame_ends(run.cycles[name], model.streams[name].beats, frames)[-3:]
        spans = Blocked.at(run, operator.outputs, [None] * len(operator.outputs))
        blocked[operator.name] = int(np.diff(spans.before(ends[-2:] + 1))[0])
        settled &= bool((np.diff(ends) == interval).all())
    return blocked, settled
