"""Our UpsampleNearestNeighbour_rtl (``upsample_nearest.sv``): a ring of two rows, whose words are read several times.

Contract. Input n is written at ``w(n) = max(offered, free(n - DEPTH) + 1)``, whatever the output waits for; free is
the cycle of a word's last reading. Output k is read at ``r(k) = max(a(k-1), w(n) + 1)``, the latter when it is word n's
first reading, into a register, from where it enters the skid buffer (`hwprune.sim.cycle.skid`) at a(k), ``r(k) + 1`` or
as soon as there is room.
"""

from numba import njit

from hwprune.accel.design import Operator
from hwprune.sim.cycle.machine import (
    POPPED,
    UNKNOWN,
    WAIT_INPUT,
    WAIT_OUTPUT,
    offered,
    recall,
    remember,
    take,
)
from hwprune.sim.cycle.skid import SKID_STATE, enter, flush, last_entry, room
from hwprune.sim.cycle.timing import Streams, Timing

FOLDS, WIDTH, FACTOR, DEPTH = range(4)
"""Beats of a pixel, pixels of a row, copies of each in both directions; words of the ring."""
SKID = 0
FOLD, PIXEL_COPY, COLUMN, ROW_COPY, VISITED, FREED, HELD, READ = range(SKID_STATE, SKID_STATE + 8)
"""The place of the next output; words read for the first and for the last time; whether the register holds an output
that has not yet entered the skid buffer, and the cycle in which it was read."""
WRITTEN, FREE = range(2)


def timing(operator: Operator, streams: Streams) -> Timing:
    """Of an upsampling."""
    attributes = operator.attributes
    folds, width = attributes["NumChannels"] // attributes["SIMD"], attributes["WI"]
    depth = 2 * width * folds
    return Timing((folds, width, attributes["HO"] // attributes["HI"], depth), rings=(depth, depth))


@njit
def advance(m, i):
    """See the module."""
    s, sink = m.state[i], m.outputs[i, 0]
    flush(m, sink, s, SKID)
    while True:
        starved = _read(m, i)
        if not _write(m, i) or not starved:
            return WAIT_INPUT if starved else WAIT_OUTPUT


@njit
def _write(m, i):
    """Take the words that there is room for; whether there were any."""
    p, s, source = m.parameters[i], m.state[i], m.inputs[i, 0]
    first = m.queues[source, POPPED]
    n, end = first, s[FREED] + p[DEPTH]
    while n < end:
        cycle = offered(m, source, n)
        if cycle == UNKNOWN:
            break
        if n >= p[DEPTH]:
            cycle = max(cycle, recall(m, i, FREE, n - p[DEPTH]) + 1)
        take(m, source, n, cycle)
        remember(m, i, WRITTEN, n, cycle)
        n += 1
    return n > first


@njit
def _read(m, i):
    """Read until the output is stuck (False), or there is no word (True)."""
    p, s, source, sink = m.parameters[i], m.state[i], m.inputs[i, 0], m.outputs[i, 0]
    written, last_copy = m.queues[source, POPPED], p[FACTOR] - 1
    while True:
        if s[HELD]:
            free = room(m, sink, s, SKID)
            if free == UNKNOWN:
                return False
            enter(s, SKID, max(s[READ] + 1, free))
            flush(m, sink, s, SKID)
            s[HELD] = 0
        cycle = last_entry(s, SKID)
        if s[ROW_COPY] == 0 and s[PIXEL_COPY] == 0:
            if s[VISITED] == written:
                return True
            cycle = max(cycle, recall(m, i, WRITTEN, s[VISITED]) + 1)
            s[VISITED] += 1
        elif s[ROW_COPY] == last_copy and s[PIXEL_COPY] == last_copy:
            remember(m, i, FREE, s[FREED], cycle)
            s[FREED] += 1
        s[READ] = cycle
        s[HELD] = 1
        s[FOLD] += 1
        if s[FOLD] == p[FOLDS]:
            s[FOLD] = 0
            s[PIXEL_COPY] += 1
            if s[PIXEL_COPY] == p[FACTOR]:
                s[PIXEL_COPY] = 0
                s[COLUMN] += 1
                if s[COLUMN] == p[WIDTH]:
                    s[COLUMN] = 0
                    s[ROW_COPY] += 1
                    if s[ROW_COPY] == p[FACTOR]:
                        s[ROW_COPY] = 0
