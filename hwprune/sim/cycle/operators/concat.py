"""Our StreamingConcat_rtl (``stream_concat.sv``): inputs take turns.

Contract. The input whose turn it is, and no other, gives a beat at ``a(k) = max(offered, a(k-1) + 1)``, when the skid
buffer behind it has room (`hwprune.sim.cycle.skid`): beat k enters it in the same cycle.
"""

from hwprune.accel.design import Operator
from hwprune.sim.cycle.compiled import kernel
from hwprune.sim.cycle.machine import POPPED, PORTS, UNKNOWN, WAIT_INPUT, WAIT_OUTPUT, offered, take
from hwprune.sim.cycle.skid import enter, flush, room
from hwprune.sim.cycle.timing import Streams, Timing, require

INPUTS, FOLDS = range(2)
"""Number of inputs; beats of a turn, of each input from here on."""
TURN, BEAT, NEXT, SKID = range(4)
"""Whose turn it is, and the place in it; the cycle after the last beat."""


def timing(operator: Operator, streams: Streams) -> Timing:
    """Of a concatenation."""
    channels, simd = operator.attributes["ChannelsPerStream"], operator.attributes["SIMD"]
    require(operator, len(channels) <= PORTS, f"{len(channels)} inputs, but for {PORTS}")
    folds = tuple(count // simd for count in channels)
    return Timing((len(channels), *folds), folds, (sum(folds),))


@kernel
def advance(m, i):
    """See the module."""
    p, s, sink = m.parameters[i], m.state[i], m.outputs[i, 0]
    flush(m, sink, s, SKID)
    while True:
        free = room(m, sink, s, SKID)
        if free == UNKNOWN:
            return WAIT_OUTPUT
        source = m.inputs[i, s[TURN]]
        n = m.queues[source, POPPED]
        cycle = offered(m, source, n)
        if cycle == UNKNOWN:
            return WAIT_INPUT + s[TURN]
        cycle = max(cycle, free, s[NEXT])
        take(m, source, n, cycle)
        s[NEXT] = cycle + 1
        enter(s, SKID, cycle)
        flush(m, sink, s, SKID)
        s[BEAT] += 1
        if s[BEAT] == p[FOLDS + s[TURN]]:
            s[BEAT] = 0
            s[TURN] += 1
            if s[TURN] == p[INPUTS]:
                s[TURN] = 0
