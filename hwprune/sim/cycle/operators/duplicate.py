"""Our DuplicateStreams_rtl (``stream_duplicate.sv``): a stream for several consumers.

Contract. A beat is taken as soon as it is offered and the skid buffers of all copies (`hwprune.sim.cycle.skid`) have
room; it enters all of them in that cycle. So a copy may lag behind another by two beats.
"""

from hwprune.accel.design import Operator
from hwprune.sim.cycle.compiled import kernel
from hwprune.sim.cycle.machine import POPPED, PORTS, UNKNOWN, WAIT_INPUT, WAIT_OUTPUT, offered, take
from hwprune.sim.cycle.skid import enter, flush, room
from hwprune.sim.cycle.timing import Streams, Timing, require

OUTPUTS = 0
SKID = 0


def timing(operator: Operator, streams: Streams) -> Timing:
    """Of a fork."""
    outputs = len(operator.outputs)
    require(operator, outputs <= PORTS, f"{outputs} outputs, but for {PORTS}")
    return Timing((outputs,), (1,), (1,) * outputs)


@kernel
def advance(m, i):
    """See the module."""
    p, s, source = m.parameters[i], m.state[i], m.inputs[i, 0]
    while True:
        for port in range(p[OUTPUTS]):
            flush(m, m.outputs[i, port], s, SKID)
        free = 0
        for port in range(p[OUTPUTS]):
            one = room(m, m.outputs[i, port], s, SKID)
            if one == UNKNOWN:
                return WAIT_OUTPUT + port
            free = max(free, one)
        n = m.queues[source, POPPED]
        cycle = offered(m, source, n)
        if cycle == UNKNOWN:
            return WAIT_INPUT
        cycle = max(cycle, free)
        take(m, source, n, cycle)
        enter(s, SKID, cycle)
