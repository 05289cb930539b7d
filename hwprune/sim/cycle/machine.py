"""Time by beats: the queues between operators, and what an operator's kernel may ask of them.

Every stream has one number a beat, the cycle of its handshake (cycle 0 is the first one out of reset). A **queue** is
what lies between two operators: a wire, or a FIFO with the streams on both of its sides. A **kernel** is an operator's
timing: a compiled function that computes the handshakes of its streams in order, as far as its neighbours' are known,
and returns what it waits for. There is no global clock; operators run ahead of each other as far as the FIFOs between
them allow, which is what makes the model fast.

The result is the RTL's, to the cycle, if each kernel obeys one rule. **Wait for a number only if your own event cannot
come before it.** A kernel that waits for the handshake of output k although the RTL would meanwhile have taken an
input shuts out exactly that case of deadlock or stall which FIFO sizing is about. So an operator that can take an
input while its output is stuck has to do so here, too.
"""

from typing import NamedTuple

import numpy as np

from hwprune.sim.cycle.compiled import inlined, kernel

UNKNOWN = -1
"""In the place of a cycle: not known yet."""
LATEST = 2**31 - 2
"""Cycles are kept in 32 bits."""

# How a queue stores its beats
WIRE, SHIFT, BLOCK = 0, 1, 2
"""No FIFO; FINN's FIFO in shift registers or LUT-RAM (they differ in capacity only); its FIFO in block RAM."""

# Columns of Machine.queues
STYLE, CAPACITY, PUSHED, POPPED, OFFERED, OFFER, IN_BASE, IN_MASK, OUT_BASE, OUT_MASK = range(10)
DRAINED, DRAIN_BASE, DRAIN_MASK, PRODUCER, CONSUMER, OFFERS, GRANTED = range(10, 17)
"""OFFERS: where the producer's offers are recorded; 0 where they are not."""
QUEUE_COLUMNS = 17
AHEAD = 48
"""Beats that the consumer on a wire may grant ahead."""

PORTS = 8
"""Most streams on one side of an operator."""
PARAMETERS = 32
STATE = 64

# What a kernel returns: DONE_HERE, or WAIT_INPUT + port, or WAIT_OUTPUT + port
FINISHED = 0
WAIT_INPUT = 100
WAIT_OUTPUT = 200


class Machine(NamedTuple):
    """The whole accelerator in arrays, as the compiled kernels see it.

    Attributes
    ----------
    queues
        int64 (queues, QUEUE_COLUMNS).
    inputs, outputs
        int64 (operators, PORTS): the queues at an operator's ports.
    parameters
        int64 (operators, PARAMETERS): what the operator's `Timing` says.
    state
        int64 (operators, STATE), zero at reset: the kernel's own counters.
    rings
        int64 (operators, 2 * PORTS): base and mask of each ring that the operator asked for, in ``memory``.
    tables
        int64 (operators, PORTS): base of each table of the operator, in ``table``.
    memory
        int32: handshakes of all queues, and the operators' rings.
    table
        int32: the operators' tables, read only.
    """

    queues: np.ndarray
    inputs: np.ndarray
    outputs: np.ndarray
    parameters: np.ndarray
    state: np.ndarray
    rings: np.ndarray
    tables: np.ndarray
    memory: np.ndarray
    table: np.ndarray


@inlined
def _in(q, memory, n):
    return np.int64(memory[q[IN_BASE] + (n & q[IN_MASK])])


@inlined
def _out(q, memory, n):
    return np.int64(memory[q[OUT_BASE] + (n & q[OUT_MASK])])


@inlined
def offered(m, queue, n):
    """Cycle from which beat ``n`` is offered to the consumer, or UNKNOWN; beats before ``n`` have been taken."""
    q = m.queues[queue]
    if q[STYLE] == WIRE:
        if q[PUSHED] > n:
            return _in(q, m.memory, n)
        return q[OFFER] if q[OFFERED] > n else np.int64(UNKNOWN)
    if q[PUSHED] <= n:
        return np.int64(UNKNOWN)
    if q[STYLE] == SHIFT:
        # Into the store, out of it into the output register, which is free at the handshake of the beat before.
        arrival = _in(q, m.memory, n) + 2
        if n:
            arrival = max(arrival, _out(q, m.memory, n - 1) + 1)
        return arrival
    _drain(m, queue, n)
    arrival = _drained(q, m.memory, n) + 1
    if n:
        arrival = max(arrival, _out(q, m.memory, n - 1))
    return arrival + 1


@inlined
def take(m, queue, n, cycle):
    """The consumer takes beat ``n``; ``cycle`` is not before `offered` says."""
    q = m.queues[queue]
    m.memory[q[OUT_BASE] + (n & q[OUT_MASK])] = cycle
    q[POPPED] = n + 1
    if q[STYLE] == WIRE and q[PUSHED] <= n:
        q[PUSHED] = n + 1
        if q[OFFERS]:
            m.memory[q[OFFERS] + n] = q[OFFER]


@inlined
def grant(m, queue, n, cycle):
    """The consumer on a wire will be ready for beat ``n`` from ``cycle`` on, whenever it is offered.

    So the producer need not ask, and the two take turns by many beats. At most AHEAD beats beyond those taken.
    """
    q = m.queues[queue]
    m.memory[q[OUT_BASE] + (n & q[OUT_MASK])] = cycle
    q[GRANTED] = n + 1


@inlined
def push(m, queue, n, cycle):
    """The producer offers beat ``n`` from ``cycle`` on: the cycle of its handshake, or UNKNOWN. May be asked again."""
    q = m.queues[queue]
    if q[PUSHED] > n:
        return _in(q, m.memory, n)
    offer = cycle
    if q[STYLE] == WIRE:
        if q[GRANTED] <= n:
            q[OFFER] = cycle
            q[OFFERED] = n + 1
            return np.int64(UNKNOWN)
        cycle = max(cycle, _out(q, m.memory, n))
    freed = n - q[CAPACITY]  # the beat that has to have left the store
    if freed >= 0 and q[STYLE] != WIRE:
        if q[STYLE] == SHIFT:
            if q[POPPED] < freed:
                return np.int64(UNKNOWN)
            room = _in(q, m.memory, freed) + 2
            if freed:
                room = max(room, _out(q, m.memory, freed - 1) + 1)
        else:
            _drain(m, queue, freed)
            if q[DRAINED] <= freed:
                return np.int64(UNKNOWN)
            room = _drained(q, m.memory, freed) + 1
        cycle = max(cycle, room)
    m.memory[q[IN_BASE] + (n & q[IN_MASK])] = cycle
    q[PUSHED] = n + 1
    if q[OFFERS]:
        m.memory[q[OFFERS] + n] = offer
    return cycle


@inlined
def _drained(q, memory, n):
    return np.int64(memory[q[DRAIN_BASE] + (n & q[DRAIN_MASK])])


@kernel
def _drain(m, queue, n):
    """When beats up to ``n`` leave the block RAM for its two output registers, as far as it is known.

    The registers move together, and only while the last one is empty or being read.
    """
    q = m.queues[queue]
    while q[DRAINED] <= n:
        k = q[DRAINED]
        if q[PUSHED] <= k or q[POPPED] < k - 1:
            return
        cycle = _in(q, m.memory, k) + 1
        if k:
            cycle = max(cycle, _drained(q, m.memory, k - 1) + 1)
            shown = _drained(q, m.memory, k - 1) + 2  # when beat k - 1 comes to stand in the last register
            if k > 1:
                before = _out(q, m.memory, k - 2)
                cycle = max(cycle, before)
                shown = max(shown, before + 1)
            if cycle >= shown:
                if q[POPPED] < k:
                    return
                cycle = max(cycle, _out(q, m.memory, k - 1))
        m.memory[q[DRAIN_BASE] + (k & q[DRAIN_MASK])] = cycle
        q[DRAINED] = k + 1


@inlined
def remember(m, operator, ring, n, cycle):
    """Keep a number in one of the operator's own rings."""
    m.memory[m.rings[operator, 2 * ring] + (n & m.rings[operator, 2 * ring + 1])] = cycle


@inlined
def recall(m, operator, ring, n):
    """A number from one of the operator's own rings; it holds as many of the last ones as the operator asked for."""
    return np.int64(m.memory[m.rings[operator, 2 * ring] + (n & m.rings[operator, 2 * ring + 1])])


@inlined
def look_up(m, operator, table, n):
    """Entry ``n`` of one of the operator's tables."""
    return np.int64(m.table[m.tables[operator, table] + n])
