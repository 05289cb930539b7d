"""Frames that need no computation: once everything has shifted by the same time twice, it will do so for ever.

A run feeds frame after frame and lets each come to rest: nothing more can be computed without the next frame. What
happens from there on depends only on the last handshakes of each queue (as many as anybody looks back on) and on the
operators' own counters. If over a frame all those handshakes move by one and the same time T, and all counters by what
they moved by in the frame before, the next frame is this one, T later: every kernel is made of maxima and sums, to
which it makes no difference when the clock was started. Inputs must be free of stalls, or come at an even pace.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hwprune.sim.cycle.layout import Queue, look_back
from hwprune.sim.cycle.machine import IN_BASE, IN_MASK, OUT_BASE, OUT_MASK, POPPED, PUSHED, Machine


@dataclass(frozen=True)
class Rest:
    """What the future depends on, after a frame has come to rest."""

    state: np.ndarray
    pushed: list[np.ndarray]
    popped: list[np.ndarray]


def at_rest(machine: Machine, queues: Sequence[Queue]) -> Rest:
    """Now."""
    pushed, popped = [], []
    for row, queue in zip(machine.queues, queues, strict=True):
        held = int(row[PUSHED] - row[POPPED])
        pushed.append(_last(machine.memory, row[IN_BASE], row[IN_MASK], int(row[PUSHED]), held + look_back(queue)))
        popped.append(_last(machine.memory, row[OUT_BASE], row[OUT_MASK], int(row[POPPED]), look_back(queue)))
    return Rest(machine.state.copy(), pushed, popped)


def _last(memory: np.ndarray, base: int, mask: int, count: int, length: int) -> np.ndarray:
    """The last numbers of a ring, at most as many as it holds."""
    length = min(count, length, count if mask == -1 else int(mask) + 1)
    return memory[base + (np.arange(count - length, count) & mask)].astype(np.int64)


def shift(first: Rest, second: Rest, third: Rest) -> int | None:
    """By how many cycles everything moves a frame, if it does so for ever; else None."""
    if not np.array_equal(second.state - first.state, third.state - second.state):
        return None
    moved = set()
    for before, now in zip((*second.pushed, *second.popped), (*third.pushed, *third.popped), strict=True):
        if len(before) != len(now):
            return None
        if len(now):
            steps = now - before
            moved.update((int(steps.min()), int(steps.max())))
        if len(moved) > 1:
            return None
    return moved.pop() if moved else None


def continued(cycles: np.ndarray, beats: int, simulated: int, frames: int, period: int) -> np.ndarray:
    """Cycles of a stream over ``frames`` frames, of which the first ``simulated`` are known, with what ran ahead."""
    known, ahead = cycles[: simulated * beats], cycles[simulated * beats :]
    last = known[-beats:].astype(np.int64)
    steps = np.arange(1, frames - simulated + 1)[:, None] * period
    made = np.concatenate([known, (last + steps).reshape(-1), ahead + np.int64((frames - simulated) * period)])
    return made.astype(np.int32) if made.max(initial=0) < 2**31 else made
