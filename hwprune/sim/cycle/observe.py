"""What operators do in a run: the beats of their streams, recorded for as many of them at a time as memory takes."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from hwprune.accel.design import Operator
from hwprune.data.progress import track_slow
from hwprune.errors import UserError
from hwprune.sim.cycle.deadlock import explain
from hwprune.sim.cycle.model import CycleModel, Run

MEMORY = 1 << 30
"""Bytes that the records of one run may take; more operators are seen in more runs."""
NUMBER = 2 * 4
"""Bytes of a beat's cycle: in the machine, and read from it."""


@dataclass(frozen=True)
class Blocked:
    """The cycles in which an operator offers a beat that is not taken, at any output: spans, apart and in order.

    Attributes
    ----------
    starts, ends
        int64 (spans,): first cycle of each, and the one after its last, which is that of the handshake.
    """

    starts: np.ndarray
    ends: np.ndarray

    @classmethod
    def at(cls, run: Run, outputs: Sequence[str], beats: Sequence[int | None]) -> "Blocked":
        """Of an operator that writes these streams, up to so many beats of each; None for all."""
        starts, ends = [], []
        for name, count in zip(outputs, beats, strict=True):
            cycles = run.cycles[name][:count]
            offers = run.offers[name][: len(cycles)]  # on a wire some may be known that have not been taken
            held = np.flatnonzero(cycles > offers)
            starts.append(offers[held])
            ends.append(cycles[held])
        first, last = np.concatenate(starts).astype(np.int64), np.concatenate(ends).astype(np.int64)
        if len(outputs) == 1:
            return cls(first, last)  # one beat is offered after the other
        order = np.argsort(first, kind="stable")
        first, last = first[order], np.maximum.accumulate(last[order])
        fresh = np.append(True, first[1:] > last[:-1])[: len(first)]
        return cls(first[fresh], last[np.append(fresh[1:], True)[: len(last)]])

    def before(self, cycles: np.ndarray) -> np.ndarray:
        """How many blocked cycles lie before each of some cycles; int64."""
        if not len(self.starts):
            return np.zeros(len(cycles), np.int64)
        total = np.append(0, np.cumsum(self.ends - self.starts))
        span = np.searchsorted(self.starts, cycles, "right")
        beyond = np.maximum(self.ends[np.maximum(span, 1) - 1] - cycles, 0)
        return total[span] - np.where(span > 0, beyond, 0)


def observe(
    model: CycleModel, frames: int, *, inputs: bool = True, progress: bool = True
) -> Iterator[tuple[Operator, Run]]:
    """Every operator with a run of one frame more, which keeps its outputs, their offers and its inputs, if wanted.

    Raises
    ------
    UserError
        If the accelerator hangs; the message says why.
    """
    groups = list(_groups(model, frames, inputs))
    for group in track_slow(groups, "watch operators", len(groups)) if progress else groups:
        written = {name for operator in group for name in operator.outputs}
        read = {name for operator in group for name in operator.inputs} if inputs else set()
        # A frame more: what the last one leaves behind in padding and windows passes with the next.
        run = finished(model, frames + 1, record=read, offers=written)
        for operator in group:
            yield operator, run


def finished(model: CycleModel, frames: int, *, progress: bool = False, **options) -> Run:
    """`CycleModel.run`, or a `UserError` that explains why it did not finish."""
    run = model.run(frames, progress=progress, **options)
    if not run.finished:
        raise UserError(explain(model, run))
    return run


def _groups(model: CycleModel, frames: int, inputs: bool) -> Iterator[list[Operator]]:
    group, taken = [], 0
    for operator in model.operators:
        numbers = 2 * sum(model.streams[name].beats for name in operator.outputs)
        if inputs:
            numbers += sum(model.streams[name].beats for name in operator.inputs)
        size = numbers * (frames + 2) * NUMBER
        if group and taken + size > MEMORY:
            yield group
            group, taken = [], 0
        group.append(operator)
        taken += size
    yield group
