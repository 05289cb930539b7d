"""FINN's StreamingDataWidthConverter_rtl (``dwc_axi.sv``, ``vpc.sv``): a buffer of as much as an input and an output.

Contract. Widths are counted in their greatest common divisor: IN and OUT. An input is taken in every cycle in which at
most OUT are in the buffer, an output is offered in every cycle in which at least OUT are; what passes counts from the
next cycle on. So input n is taken at ``a(n) = max(offered, a(n - 1) + 1, h(k - 1) + 1)``, k being the least number of
outputs with ``n IN - k OUT <= OUT``, and output k is offered at ``max(h(k - 1), a(n - 1)) + 1``, n being the least
number of inputs with ``n IN - k OUT >= OUT``. The library's serialiser and deserialiser (to and from 1 bit) behave in
the same way. Between equal widths there is but a wire.
"""

import math

from hwprune.accel.design import Operator
from hwprune.sim.cycle.compiled import inlined, kernel
from hwprune.sim.cycle.machine import (
    AHEAD,
    GRANTED,
    OFFERED,
    STYLE,
    UNKNOWN,
    WAIT_INPUT,
    WAIT_OUTPUT,
    WIRE,
    grant,
    offered,
    push,
    take,
)
from hwprune.sim.cycle.timing import Streams, Timing

IN, OUT = range(2)
TAKEN, SENT, HELD, TAKEN_AT, TAKEN_BEFORE, SENT_AT, SENT_BEFORE = range(7)
"""Beats of both sides; what is in the buffer; cycles of the last two beats taken and sent."""


def timing(operator: Operator, streams: Streams) -> Timing:
    """Of a converter."""
    width_in, width_out = operator.attributes["inWidth"], operator.attributes["outWidth"]
    unit = math.gcd(width_in, width_out)
    parts_in, parts_out = width_in // unit, width_out // unit
    return Timing((parts_in, parts_out), (parts_out,), (parts_in,))


@kernel
def advance(m, i):
    """See the module."""
    p, s, source, sink = m.parameters[i], m.state[i], m.inputs[i, 0], m.outputs[i, 0]
    width_in, width_out = p[IN], p[OUT]
    if width_in == width_out:
        return _wire(m, i)
    taken, sent, held = s[TAKEN], s[SENT], s[HELD]
    taken_at, taken_before, sent_at, sent_before = s[TAKEN_AT], s[TAKEN_BEFORE], s[SENT_AT], s[SENT_BEFORE]
    while True:
        moved = False
        if held <= width_out:
            cycle = offered(m, source, taken)
            if cycle != UNKNOWN:
                if taken:
                    cycle = max(cycle, taken_at + 1)
                # With an empty buffer the last output need not have left.
                room = sent - 1 if held == 0 else sent
                if room > 0:
                    cycle = max(cycle, (sent_at if room == sent else sent_before) + 1)
                take(m, source, taken, cycle)
                taken_before, taken_at = taken_at, cycle
                taken += 1
                held += width_in
                moved = True
        if held >= width_out:
            # With an output more than needed the last input need not have come.
            cycle = taken_before if held >= width_in + width_out else taken_at
            if sent:
                cycle = max(cycle, sent_at)
            cycle = push(m, sink, sent, cycle + 1)
            if cycle != UNKNOWN:
                sent_before, sent_at = sent_at, cycle
                sent += 1
                held -= width_out
                moved = True
        if not moved:
            break
    _grant(m, source, taken, held, sent, sent_at, width_in, width_out)
    s[TAKEN], s[SENT], s[HELD] = taken, sent, held
    s[TAKEN_AT], s[TAKEN_BEFORE], s[SENT_AT], s[SENT_BEFORE] = taken_at, taken_before, sent_at, sent_before
    return WAIT_OUTPUT if held >= width_out else WAIT_INPUT


@inlined
def _grant(m, source, taken, held, sent, sent_at, width_in, width_out):
    """Inputs for which there is room, whenever they come, without another output leaving."""
    q = m.queues[source]
    if q[STYLE] != WIRE or q[OFFERED] > taken:
        return
    n = max(q[GRANTED], taken + (held == 0))  # with an empty buffer the last output need not have left
    held += (n - taken) * width_in
    while held <= width_out and n < taken + AHEAD:
        grant(m, source, n, sent_at + 1 if sent else 0)
        n += 1
        held += width_in


@kernel
def _wire(m, i):
    """A beat passes on both sides in the same cycle."""
    s, source, sink = m.state[i], m.inputs[i, 0], m.outputs[i, 0]
    while True:
        n = s[TAKEN]
        cycle = offered(m, source, n)
        if cycle == UNKNOWN:
            return WAIT_INPUT
        cycle = push(m, sink, n, cycle)
        if cycle == UNKNOWN:
            return WAIT_OUTPUT
        take(m, source, n, cycle)
        s[TAKEN] = n + 1
