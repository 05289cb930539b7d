"""hwprune's MaxPool2d_rtl (``maxpool2d.sv``): pairs along a row, pairs along a column, a skid buffer.

Contract. A stage (``pairwise_max.sv``) has one output register and moves in every cycle in which that is empty or being
read. It takes its next beat in the first such cycle from the offer on, and makes an output of it one cycle later if the
beat is the second of a pair, or of an item that leaves as it is; the register is free again in the cycle in which the
next stage takes the output. With stride 1 every item but the first makes a pair with the one before. If the last one
leaves once more, the stage gives it behind the sequence, a beat in every cycle in which it moves, whether or not beats
of the next sequence are taken beside. Beats leave the last stage for the skid buffer (`hwprune.sim.cycle.skid`) and are
offered by it.
"""

from hwprune.accel.design import Operator
from hwprune.accel.operators.pooling import pool_stages
from hwprune.sim.cycle.compiled import kernel
from hwprune.sim.cycle.machine import UNKNOWN, WAIT_INPUT, WAIT_OUTPUT, offered, recall, remember, take
from hwprune.sim.cycle.skid import SKID_STATE, enter, flush, room
from hwprune.sim.cycle.timing import Ring, Streams, Timing, require

STAGES = 0
"""How many; then for each one:"""
ITEMS, BEATS, STRIDE, FIRST, LAST = range(5)
STAGE_PARAMETERS = 5
BEAT, ITEM, DRAIN, START, FREE, PENDING, MADE, DRAINS, LOOKED = range(9)
"""Of a stage: the place of its next beat; beats still to be given again, not before START; from when on the register is
free, unless an output is PENDING, made at MADE; beats given again since the last item, and those looked at."""
STAGE_STATE = 9
SKID = 0
TAKEN = SKID_STATE
FIRST_STAGE = SKID_STATE + 1
"""Where the states of the stages begin. Ring k holds the cycles in which stage k gave its last item again."""


def timing(operator: Operator, streams: Streams) -> Timing:
    """Of a max-pool."""
    attributes = operator.attributes
    require(operator, "Padding" in attributes, "a pool compiled before pools had padding; compile anew")
    folds = attributes["Channels"] // attributes["PE"]
    window = attributes["kernel"], attributes["stride"], attributes["Padding"]
    stages = pool_stages(attributes["ifm_dim"], folds, *window)
    numbers = [n for s in stages for n in (s.items, s.beats, s.stride, s.first, s.last)]
    counts = (FIRST_STAGE + k * STAGE_STATE + DRAINS for k in range(len(stages)))
    rings = (Ring(s.beats if s.drains else 0, count) for s, count in zip(stages, counts, strict=True))
    height, width = attributes["ifm_dim"]
    takes, gives = height * width * folds, stages[-1].outputs * stages[-1].beats
    return Timing((len(stages), *numbers), (takes,), (gives,), tuple(rings))


@kernel
def advance(m, i):
    """See the module."""
    s, source = m.state[i], m.inputs[i, 0]
    while True:
        _settle(m, i)
        cycle = offered(m, source, s[TAKEN])
        if cycle == UNKNOWN:
            return WAIT_OUTPUT if s[FIRST_STAGE + PENDING] else WAIT_INPUT
        cycle = _moves_at(m, i, 0, cycle)
        if cycle == UNKNOWN:
            return WAIT_OUTPUT
        take(m, source, s[TAKEN], cycle)
        s[TAKEN] += 1
        _accept(m, i, 0, cycle)


@kernel
def _settle(m, i):
    """Hand outputs on from stage to stage and to the skid buffer, as far as its handshakes are known.

    A stage's own moves are known up to what it waits for only after those of the stage behind it.
    """
    s, sink, last = m.state[i], m.outputs[i, 0], m.parameters[i, STAGES] - 1
    stage = last
    flush(m, sink, s, SKID)
    while stage >= 0:
        place = FIRST_STAGE + stage * STAGE_STATE
        if s[place + PENDING]:
            made = s[place + MADE] + 1
            if stage == last:
                cycle = room(m, sink, s, SKID)
                if cycle != UNKNOWN:
                    cycle = max(made, cycle)
                    enter(s, SKID, cycle)
                    flush(m, sink, s, SKID)
            else:
                cycle = _moves_at(m, i, stage + 1, made)
            if cycle == UNKNOWN:
                stage -= 1
                continue
            s[place + PENDING] = 0
            s[place + FREE] = cycle
            if stage < last:
                stage += 1
                _accept(m, i, stage, cycle)
        elif s[place + DRAIN]:
            _give_again(m, i, stage)
        else:
            stage -= 1


@kernel
def _moves_at(m, i, stage, cycle):
    """First cycle from ``cycle`` on in which a stage moves, or UNKNOWN."""
    s, place = m.state[i], FIRST_STAGE + stage * STAGE_STATE
    while s[place + LOOKED] < s[place + DRAINS]:
        moved = recall(m, i, stage, s[place + LOOKED])
        if moved >= cycle:
            return moved
        s[place + LOOKED] += 1
    if s[place + PENDING]:
        return UNKNOWN
    return max(cycle, s[place + FREE])


@kernel
def _accept(m, i, stage, cycle):
    """A stage takes its next beat."""
    p, s = m.parameters[i, 1 + stage * STAGE_PARAMETERS :], m.state[i, FIRST_STAGE + stage * STAGE_STATE :]
    item = s[ITEM]
    second = (item & 1) != p[FIRST] if p[STRIDE] == 2 else item != 0 or p[FIRST]
    if second or (item == 0 and p[FIRST]) or (p[STRIDE] == 2 and p[LAST] and item + 1 == p[ITEMS]):
        s[PENDING] = 1
        s[MADE] = cycle
    s[BEAT] += 1
    if s[BEAT] == p[BEATS]:
        s[BEAT] = 0
        s[ITEM] = item + 1
        if item + 1 == p[ITEMS]:
            s[ITEM] = 0
            if p[STRIDE] == 1 and p[LAST]:
                s[DRAIN] = p[BEATS]
                s[START] = cycle + 1
                s[DRAINS] = 0
                s[LOOKED] = 0


@kernel
def _give_again(m, i, stage):
    """One beat of the last item by itself, in the cycle in which the register is free."""
    s = m.state[i, FIRST_STAGE + stage * STAGE_STATE :]
    cycle = max(s[FREE], s[START])
    remember(m, i, stage, s[DRAINS], cycle)
    s[DRAINS] += 1
    s[DRAIN] -= 1
    s[PENDING] = 1
    s[MADE] = cycle
