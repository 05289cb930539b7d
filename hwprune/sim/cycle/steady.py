"""Frames that need no computation: once everything has shifted by the same time twice, it will do so for ever.

A run feeds frame after frame and lets each come to rest: nothing more can be computed without the next frame. What
happens from there on depends only on the last cycles that the queues and the operators' rings hold (as many as anybody
looks back on) and on the counters of both. If over a frame all those cycles move by one and the same time T, and all
counters by what they moved by in the frame before, the next frame is this one, T later: every kernel is made of maxima
and sums, to which it makes no difference when the clock was started. A cycle that a kernel keeps among its counters is
one of the others, or too old to matter. Inputs must be free of stalls, or come at an even pace.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hwprune.sim.cycle.layout import Member, Queue, look_back
from hwprune.sim.cycle.machine import (
    BLOCK,
    DRAIN_BASE,
    DRAIN_MASK,
    DRAINED,
    GRANTED,
    IN_BASE,
    IN_MASK,
    OFFER,
    OFFERED,
    OUT_BASE,
    OUT_MASK,
    POPPED,
    PUSHED,
    STYLE,
    Machine,
)

COUNTERS = [PUSHED, POPPED, OFFERED, DRAINED, GRANTED]
"""Of a queue."""


@dataclass(frozen=True)
class Rest:
    """What the future depends on, after a frame has come to rest."""

    counters: np.ndarray
    cycles: list[np.ndarray]


def at_rest(machine: Machine, queues: Sequence[Queue], members: Sequence[Member]) -> Rest:
    """Now."""
    memory, cycles = machine.memory, []
    for row, queue in zip(machine.queues, queues, strict=True):
        seen, held = look_back(queue), int(row[PUSHED] - row[POPPED])
        cycles.append(_last(memory, row[IN_BASE], row[IN_MASK], int(row[PUSHED]), held + seen))
        cycles.append(_last(memory, row[OUT_BASE], row[OUT_MASK], int(max(row[POPPED], row[GRANTED])), seen))
        cycles.append(row[OFFER : OFFER + int(row[OFFERED] > row[PUSHED])].copy())
        if row[STYLE] == BLOCK:
            cycles.append(_last(memory, row[DRAIN_BASE], row[DRAIN_MASK], int(row[DRAINED]), seen))
    for places, state, member in zip(machine.rings, machine.state, members, strict=True):
        for number, ring in enumerate(member.timing.rings):
            base, mask = places[2 * number : 2 * number + 2]
            count = int(state[ring.count])
            kept = _last(memory, base, mask, count, min(ring.length, max(count - ring.first, 0)))
            cycles.append(kept if ring.lag is None else kept + state[ring.lag])
    counters = np.concatenate([machine.state.reshape(-1), machine.queues[:, COUNTERS].reshape(-1)])
    return Rest(counters, cycles)


def _last(memory: np.ndarray, base: int, mask: int, count: int, length: int) -> np.ndarray:
    """The last numbers of a ring, at most as many as it holds."""
    length = min(count, length, count if mask == -1 else int(mask) + 1)
    return memory[base + (np.arange(count - length, count) & mask)].astype(np.int64)


def shift(first: Rest, second: Rest, third: Rest) -> int | None:
    """By how many cycles everything moves a frame, if it does so for ever; else None."""
    if not np.array_equal(second.counters - first.counters, third.counters - second.counters):
        return None
    moved = set()
    for before, now in zip(second.cycles, third.cycles, strict=True):
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
