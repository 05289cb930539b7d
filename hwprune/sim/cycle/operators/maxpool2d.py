"""hwprune's MaxPool2d_rtl (``maxpool2d.sv``): pairs along a row, pairs along a column, a skid buffer.

Contract. A stage (``pairwise_max.sv``) has one output register and moves in every cycle in which that is empty or being
read. It takes its next beat in the first such cycle from the offer on, and makes an output of it one cycle later if the
beat is the second of a pair; the register is free again in the cycle in which the next stage takes the output. With
stride 1 every item but the first makes a pair with the one before, and behind the last one the stage gives that item
again, a beat in every cycle in which it moves, whether or not beats of the next sequence are taken beside. Beats leave
the second stage for the skid buffer (`hwprune.sim.cycle.skid`) and are offered by it.
"""

from hwprune.accel.design import Operator
from hwprune.sim.cycle.compiled import kernel
from hwprune.sim.cycle.machine import UNKNOWN, WAIT_INPUT, WAIT_OUTPUT, offered, recall, remember, take
from hwprune.sim.cycle.skid import SKID_STATE, enter, flush, room
from hwprune.sim.cycle.timing import Streams, Timing

STRIDE, ITEMS, BEATS = 0, 1, 3
"""Items of a sequence and beats of an item, two numbers each: of the stage along rows and of that along columns."""
BEAT, ITEM, DRAIN, START, FREE, PENDING, MADE, DRAINS, LOOKED = range(9)
"""Of a stage: the place of its next beat; beats still to be given again, not before START; from when on the register is
free, unless an output is PENDING, made at MADE; beats given again since the last item, and those looked at."""
STAGE_STATE = 9
SKID = 0
ROW, COLUMN = SKID_STATE, SKID_STATE + STAGE_STATE
TAKEN = COLUMN + STAGE_STATE
ROW_DRAINS, COLUMN_DRAINS = 0, 1
"""Rings with the cycles in which a stage gave its last item again."""


def timing(operator: Operator, streams: Streams) -> Timing:
    """Of a max-pool of 2x2 pixels."""
    attributes = operator.attributes
    (height, width), stride = attributes["ifm_dim"], attributes["stride"]
    folds = attributes["Channels"] // attributes["PE"]
    beats = (folds, width // stride * folds)
    return Timing((stride, width, height, *beats), rings=beats)


@kernel
def advance(m, i):
    """See the module."""
    s, source = m.state[i], m.inputs[i, 0]
    while True:
        _settle_column(m, i)
        if s[ROW + PENDING]:
            cycle = _moves_at(m, i, COLUMN, COLUMN_DRAINS, s[ROW + MADE] + 1)
            if cycle != UNKNOWN:
                s[ROW + PENDING] = 0
                s[ROW + FREE] = cycle
                _accept(m, i, COLUMN, 1, cycle)
                continue
        elif s[ROW + DRAIN]:
            _give_again(m, i, ROW, ROW_DRAINS)
            continue
        cycle = offered(m, source, s[TAKEN])
        if cycle == UNKNOWN:
            return WAIT_OUTPUT if s[ROW + PENDING] else WAIT_INPUT
        cycle = _moves_at(m, i, ROW, ROW_DRAINS, cycle)
        if cycle == UNKNOWN:
            return WAIT_OUTPUT
        take(m, source, s[TAKEN], cycle)
        s[TAKEN] += 1
        _accept(m, i, ROW, 0, cycle)


@kernel
def _settle_column(m, i):
    """Hand the second stage's outputs to the skid buffer, as far as its handshakes are known."""
    s, sink = m.state[i], m.outputs[i, 0]
    while True:
        flush(m, sink, s, SKID)
        if s[COLUMN + PENDING]:
            free = room(m, sink, s, SKID)
            if free == UNKNOWN:
                return
            cycle = max(s[COLUMN + MADE] + 1, free)
            enter(s, SKID, cycle)
            s[COLUMN + PENDING] = 0
            s[COLUMN + FREE] = cycle
        elif s[COLUMN + DRAIN]:
            _give_again(m, i, COLUMN, COLUMN_DRAINS)
        else:
            return


@kernel
def _moves_at(m, i, stage, ring, cycle):
    """First cycle from ``cycle`` on in which a stage moves, or UNKNOWN."""
    s = m.state[i]
    while s[stage + LOOKED] < s[stage + DRAINS]:
        moved = recall(m, i, ring, s[stage + LOOKED])
        if moved >= cycle:
            return moved
        s[stage + LOOKED] += 1
    if s[stage + PENDING]:
        return UNKNOWN
    return max(cycle, s[stage + FREE])


@kernel
def _accept(m, i, stage, number, cycle):
    """A stage takes its next beat."""
    p, s = m.parameters[i], m.state[i]
    item = s[stage + ITEM]
    if item & 1 if p[STRIDE] == 2 else item != 0:
        s[stage + PENDING] = 1
        s[stage + MADE] = cycle
    s[stage + BEAT] += 1
    if s[stage + BEAT] == p[BEATS + number]:
        s[stage + BEAT] = 0
        s[stage + ITEM] = item + 1
        if item + 1 == p[ITEMS + number]:
            s[stage + ITEM] = 0
            if p[STRIDE] == 1:
                s[stage + DRAIN] = p[BEATS + number]
                s[stage + START] = cycle + 1
                s[stage + DRAINS] = 0
                s[stage + LOOKED] = 0


@kernel
def _give_again(m, i, stage, ring):
    """One beat of the last item by itself, in the cycle in which the register is free."""
    s = m.state[i]
    cycle = max(s[stage + FREE], s[stage + START])
    remember(m, i, ring, s[stage + DRAINS], cycle)
    s[stage + DRAINS] += 1
    s[stage + DRAIN] -= 1
    s[stage + PENDING] = 1
    s[stage + MADE] = cycle
