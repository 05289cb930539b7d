"""The ports of the top, as the harness drives them.

Contract. An input offers its next beat in the first cycle without a stall after the last one was accepted, and keeps it
until it is accepted. An output takes a beat in the first cycle without a stall in which it is offered.
"""

from hwprune.sim.cycle.compiled import kernel
from hwprune.sim.cycle.machine import FINISHED, UNKNOWN, WAIT_INPUT, WAIT_OUTPUT, offered, push, take
from hwprune.sim.cycle.stalls import next_free

BEATS, PERCENT, SEED, PORT, PACE, FRAME = range(6)
COUNT, CYCLE = range(2)


@kernel
def advance_input(m, i):
    """Parameters: BEATS to feed, and the stalls; with PACE, beats come evenly, a FRAME of them in so many cycles."""
    p, s, queue = m.parameters[i], m.state[i], m.outputs[i, 0]
    while s[COUNT] < p[BEATS]:
        if p[PERCENT]:
            s[CYCLE] = next_free(p[PERCENT], p[SEED], p[PORT], s[CYCLE])
        if p[PACE]:
            s[CYCLE] = max(s[CYCLE], s[COUNT] * p[PACE] // p[FRAME])
        cycle = push(m, queue, s[COUNT], s[CYCLE])
        if cycle == UNKNOWN:
            return WAIT_OUTPUT
        s[CYCLE] = cycle + 1
        s[COUNT] += 1
    return FINISHED


@kernel
def advance_output(m, i):
    """Parameters: BEATS awaited (more are taken, too), and the stalls."""
    p, s, queue = m.parameters[i], m.state[i], m.inputs[i, 0]
    while True:
        cycle = offered(m, queue, s[COUNT])
        if cycle == UNKNOWN:
            return FINISHED if s[COUNT] >= p[BEATS] else WAIT_INPUT
        if p[PERCENT]:
            cycle = next_free(p[PERCENT], p[SEED], p[PORT], cycle)
        take(m, queue, s[COUNT], cycle)
        s[COUNT] += 1
