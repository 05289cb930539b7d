"""hwprune's UpsampleNearestNeighbour_rtl (``upsample_nearest.sv``).

Contract. A ring of two rows: word n is written at ``a(n) = max(offered, r' + 1)``, where r' is the cycle in which the
word two rows before was read for the last time, whatever the output waits for. Read k is made at ``r(k) = max(s(k - 1),
a(n) + 1)``, the second for the first visit to word n only, and enters the skid buffer (`hwprune.sim.cycle.skid`) at
``s(k) = max(r(k) + 1, h(k - 2) + 1)``. Every pixel is read FACTOR times in a row, every row FACTOR times.
"""

from hwprune.accel.design import Operator
from hwprune.sim.cycle.compiled import kernel
from hwprune.sim.cycle.machine import UNKNOWN, WAIT_INPUT, WAIT_OUTPUT, offered, recall, remember, take
from hwprune.sim.cycle.skid import SKID_STATE, enter, flush, last_entry, room
from hwprune.sim.cycle.timing import Ring, Streams, Timing

FACTOR, FOLDS, WIDTH, WORDS = range(4)
"""Beats of a pixel, pixels of a row, words of the ring."""
SKID = 0
FOLD, COPY, COLUMN, ROW_COPY, TAKEN, VISITED, FREED, READ_AT, PENDING = range(SKID_STATE, SKID_STATE + 9)
"""The place of the next read; words written, visited and freed; the last read, and whether it waits in front of the
skid buffer."""
WRITTEN, FREE = 0, 1


def timing(operator: Operator, streams: Streams) -> Timing:
    """Of an upsampling."""
    attributes = operator.attributes
    factor, width = attributes["HO"] // attributes["HI"], attributes["WI"]
    folds = attributes["NumChannels"] // attributes["SIMD"]
    words, pixels = 2 * width * folds, attributes["HI"] * width * folds
    rings = Ring(words, TAKEN), Ring(words, FREED)
    return Timing((factor, folds, width, words), (pixels,), (factor**2 * pixels,), rings)


@kernel
def advance(m, i):
    """See the module."""
    p, s, source, sink = m.parameters[i], m.state[i], m.inputs[i, 0], m.outputs[i, 0]
    last = p[FACTOR] - 1
    flush(m, sink, s, SKID)
    while True:
        while s[TAKEN] < p[WORDS] or s[FREED] > s[TAKEN] - p[WORDS]:
            cycle = offered(m, source, s[TAKEN])
            if cycle == UNKNOWN:
                break
            if s[TAKEN] >= p[WORDS]:
                cycle = max(cycle, recall(m, i, FREE, s[TAKEN] - p[WORDS]) + 1)
            take(m, source, s[TAKEN], cycle)
            remember(m, i, WRITTEN, s[TAKEN], cycle)
            s[TAKEN] += 1
        if s[PENDING]:
            free = room(m, sink, s, SKID)
            if free == UNKNOWN:
                return WAIT_OUTPUT
            enter(s, SKID, max(s[READ_AT] + 1, free))
            flush(m, sink, s, SKID)
            s[PENDING] = 0
        cycle = last_entry(s, SKID)
        if s[ROW_COPY] == 0 and s[COPY] == 0:
            if s[VISITED] == s[TAKEN]:
                return WAIT_INPUT
            cycle = max(cycle, recall(m, i, WRITTEN, s[VISITED]) + 1)
            s[VISITED] += 1
        if s[ROW_COPY] == last and s[COPY] == last:
            remember(m, i, FREE, s[FREED], cycle)
            s[FREED] += 1
        s[READ_AT] = cycle
        s[PENDING] = 1
        s[FOLD] += 1
        if s[FOLD] == p[FOLDS]:
            s[FOLD] = 0
            s[COPY] += 1
            if s[COPY] > last:
                s[COPY] = 0
                s[COLUMN] += 1
                if s[COLUMN] == p[WIDTH]:
                    s[COLUMN] = 0
                    s[ROW_COPY] = s[ROW_COPY] + 1 if s[ROW_COPY] < last else 0
