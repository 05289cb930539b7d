"""The arrays of `Machine`, from an accelerator's operators and queues."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hwprune.sim.cycle.machine import (
    AHEAD,
    BLOCK,
    CAPACITY,
    CONSUMER,
    DRAIN_BASE,
    DRAIN_MASK,
    IN_BASE,
    IN_MASK,
    LATEST,
    OFFERS,
    OUT_BASE,
    OUT_MASK,
    PARAMETERS,
    PORTS,
    PRODUCER,
    QUEUE_COLUMNS,
    STATE,
    STYLE,
    WIRE,
    Machine,
)
from hwprune.sim.cycle.storage import Storage
from hwprune.sim.cycle.timing import Timing

SLACK = 8
"""Beats that a queue remembers beyond those that anybody looks back on."""


@dataclass(frozen=True)
class Queue:
    """The stream that is written, the one that is read (the same where no FIFO lies between), and what lies between."""

    source: str
    sink: str
    storage: Storage
    beats: int
    """Of a frame."""


@dataclass(frozen=True)
class Member:
    """An operator or a port of the top: its kernel, its numbers, and its streams."""

    name: str | None
    """None for a port."""
    kind: int
    timing: Timing
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


def build_machine(
    members: Sequence[Member], queues: Sequence[Queue], frames: int, recorded: set[str], offers: set[str]
) -> Machine:
    """Everything at reset.

    Parameters
    ----------
    members
        Operators and ports.
    queues
        Between them.
    frames
        That the recorded streams have room for, and one more.
    recorded
        Streams all of whose cycles are kept.
    offers
        Streams, written by an operator or port, whose offers are kept.
    """
    space = _Space()
    rows = np.zeros((len(queues), QUEUE_COLUMNS), np.int64)
    for row, queue in zip(rows, queues, strict=True):
        beats = (frames + 1) * queue.beats + SLACK
        _place(row, queue, space, beats, recorded)
        if queue.source in offers:
            row[OFFERS], _ = space.room(beats, beats)
    count = len(members)
    inputs, outputs = np.full((count, PORTS), -1, np.int64), np.full((count, PORTS), -1, np.int64)
    parameters, rings = np.zeros((count, PARAMETERS), np.int64), np.zeros((count, 2 * PORTS), np.int64)
    tables, table, offset = np.zeros((count, PORTS), np.int64), [], 0
    by_source = {queue.source: i for i, queue in enumerate(queues)}
    by_sink = {queue.sink: i for i, queue in enumerate(queues)}
    for i, member in enumerate(members):
        for port, stream in enumerate(member.inputs):
            inputs[i, port] = by_sink[stream]
            rows[by_sink[stream], CONSUMER] = i
        for port, stream in enumerate(member.outputs):
            outputs[i, port] = by_source[stream]
            rows[by_source[stream], PRODUCER] = i
        parameters[i, : len(member.timing.parameters)] = member.timing.parameters
        for number, ring in enumerate(member.timing.rings):
            rings[i, 2 * number : 2 * number + 2] = space.room(ring.length, None)
        for number, entries in enumerate(member.timing.tables):
            tables[i, number] = offset
            table.append(np.asarray(entries, np.int32).reshape(-1))
            offset += table[-1].size
    return Machine(
        queues=rows,
        inputs=inputs,
        outputs=outputs,
        parameters=parameters,
        state=np.zeros((count, STATE), np.int64),
        rings=rings,
        tables=tables,
        memory=np.zeros(space.used, np.int32),
        table=np.concatenate([*table, np.zeros(1, np.int32)]),
    )


def edges(machine: Machine) -> tuple[np.ndarray, np.ndarray]:
    """For each operator its queues, the operators at their other ends, and whether they are wires; see `engine.run`."""
    starts, found = [0], []
    for inputs, outputs in zip(machine.inputs, machine.outputs, strict=True):
        for ports, end in ((inputs, PRODUCER), (outputs, CONSUMER)):
            for queue in ports[ports >= 0]:
                row = machine.queues[queue]
                found.append((queue, row[end], row[STYLE] == WIRE))
        starts.append(len(found))
    return np.array(starts), np.array(found, np.int64)


def look_back(queue: Queue) -> int:
    """Beats of a queue that its two ends may still ask for."""
    if queue.storage.style == WIRE:
        return AHEAD + SLACK
    return SLACK if math.isinf(queue.storage.capacity) else int(queue.storage.capacity) + SLACK


def _place(row: np.ndarray, queue: Queue, space: "_Space", beats: int, recorded: set[str]) -> None:
    endless, is_wire = math.isinf(queue.storage.capacity), queue.storage.style == WIRE
    row[STYLE], row[CAPACITY] = queue.storage.style, min(queue.storage.capacity, LATEST)
    kept = queue.sink in recorded or (is_wire and queue.source in recorded)
    row[OUT_BASE], row[OUT_MASK] = space.room(beats if kept else look_back(queue), beats)
    row[IN_BASE], row[IN_MASK] = row[OUT_BASE], row[OUT_MASK]  # of a wire, both are the same handshake
    if not is_wire:
        kept = queue.source in recorded or endless
        row[IN_BASE], row[IN_MASK] = space.room(beats if kept else look_back(queue), beats)
    if queue.storage.style == BLOCK:
        row[DRAIN_BASE], row[DRAIN_MASK] = space.room(look_back(queue), beats)


class _Space:
    """Hands out places in `Machine.memory`."""

    def __init__(self):
        self.used = 0

    def room(self, length: int, beats: int | None) -> tuple[int, int]:
        """Base and mask of a ring of at least ``length`` numbers; of an array if all ``beats`` fit into it."""
        base = self.used
        size = 1 << (int(length) - 1).bit_length()
        if beats is not None and size >= beats:
            self.used += beats
            return base, -1
        self.used += size
        return base, size - 1
