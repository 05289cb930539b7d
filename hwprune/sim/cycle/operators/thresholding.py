"""FINN's Thresholding_rtl (``thresholding_axi.sv``): a search through a pipeline that never stops.

Contract. A beat is taken as soon as it is offered, but at most CAPACITY = depth + 3 are inside: ``a(n) = max(offered,
h(n - CAPACITY) + 1)``, where h is the handshake at which a beat leaves. It is in front of the output register ``depth +
1`` cycles later and offered from ``max(a(n) + depth + 2, h(n - 1) + 1)`` on. Of N thresholds a search has
``ceil(log2(N + 1))`` steps, of a cycle each, of two where the pipeline is deep, as FINN makes it unless told otherwise.
"""

from hwprune.accel.design import Operator
from hwprune.sim.cycle.compiled import kernel
from hwprune.sim.cycle.machine import (
    POPPED,
    UNKNOWN,
    WAIT_INPUT,
    WAIT_OUTPUT,
    offered,
    push,
    recall,
    remember,
    take,
)
from hwprune.sim.cycle.timing import Ring, Streams, Timing, require

DEPTH, CAPACITY = range(2)
SENT, TAKEN = range(2)
TIMES = 0
"""Ring: of a beat inside, the cycle in which it came; of one that has left, the cycle in which it did."""
OFF = ("runtime_writeable_weights", "bodies", "mlo_max_iter")


def timing(operator: Operator, streams: Streams) -> Timing:
    """Of a thresholding."""
    attributes = operator.attributes
    for name in OFF:
        require(operator, not attributes.get(name, 0), f"{name}={attributes.get(name, 0)}")
    depth = attributes["numSteps"].bit_length() * (2 if attributes.get("deep_pipeline", 1) else 1)
    return Timing((depth, depth + 3), (1,), (1,), rings=(Ring(depth + 3, TAKEN),))


@kernel
def advance(m, i):
    """See the module."""
    p, source, sink = m.parameters[i], m.inputs[i, 0], m.outputs[i, 0]
    taken, sent = m.queues[source, POPPED], m.state[i, SENT]
    while True:
        while sent < taken:
            cycle = recall(m, i, TIMES, sent) + p[DEPTH] + 2
            if sent:
                cycle = max(cycle, recall(m, i, TIMES, sent - 1) + 1)
            cycle = push(m, sink, sent, cycle)
            if cycle == UNKNOWN:
                break
            remember(m, i, TIMES, sent, cycle)
            sent += 1
        m.state[i, SENT], m.state[i, TAKEN] = sent, taken
        if taken == sent + p[CAPACITY]:
            return WAIT_OUTPUT
        cycle = offered(m, source, taken)
        if cycle == UNKNOWN:
            return WAIT_INPUT
        if taken >= p[CAPACITY]:
            cycle = max(cycle, recall(m, i, TIMES, taken - p[CAPACITY]) + 1)
        take(m, source, taken, cycle)
        remember(m, i, TIMES, taken, cycle)
        taken += 1
