"""hwprune's StreamingDataWidthConverter_rtl (``width_converter.sv``).

Contract. Widths are counted in their greatest common divisor: IN and OUT; a(n) and h(k) are the handshakes of input n
and output k. What passes counts from the next cycle on.

- At most CAPACITY are held, where neither divides the other ``IN OUT``, from 1 to OUT ``2 OUT - 1``: input n is taken
  at ``max(offered, a(n - 1) + 1, h(k - 1) + 1)``, k being the least number of outputs with ``(n + 1) IN - k OUT <=
  CAPACITY``, and output k is offered at ``max(h(k - 1), a(n - 1)) + 1``, n being the least number of inputs with
  ``n IN - k OUT >= OUT``.
- From IN to 1 an input waits until the one before has left: it is taken at ``a(n) = max(offered, x(n - 1) + 1)``,
  passes at ``x(n) = max(a(n) + 1, h(n IN - 1))``, and its parts are offered from ``x(n) + 1`` on.
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
    recall,
    remember,
    take,
)
from hwprune.sim.cycle.timing import Ring, Streams, Timing, require

IN, OUT, CAPACITY = range(3)
TAKEN, SENT, LEAVE, OVER, COME, LACK = range(6)
"""Beats of both sides; outputs that have to leave before the next input, and by how much it is over the capacity with
one more still there (at most OUT); inputs that have to come for the next output, and by how much they are more."""
PASSED, LEFT, TAKEN_AT, PASSED_AT, SENT_AT = range(2, 7)
"""Of a converter to 1: inputs that have passed, parts of the last of them that have not left, and cycles."""
CAME, WENT = range(2)
"""Rings: a(n) and h(k)."""


def timing(operator: Operator, streams: Streams) -> Timing:
    """Of a converter."""
    width_in, width_out = operator.attributes["inWidth"], operator.attributes["outWidth"]
    require(operator, width_in != width_out, f"equal widths, inWidth={width_in} and outWidth={width_out}")
    unit = math.gcd(width_in, width_out)
    parts_in, parts_out = width_in // unit, width_out // unit
    capacity = 2 * parts_out - 1 if parts_in == 1 else parts_in * parts_out
    rings = Ring(capacity // parts_in + 2, TAKEN), Ring(capacity // parts_out + 2, SENT)
    return Timing((parts_in, parts_out, capacity), (parts_out,), (parts_in,), rings if parts_out > 1 else ())


@kernel
def advance(m, i):
    """See the module."""
    return _split(m, i) if m.parameters[i, OUT] == 1 else _ring(m, i)


@inlined
def _ring(m, i):
    """From 1, or where neither width divides the other."""
    p, s, source, sink = m.parameters[i], m.state[i], m.inputs[i, 0], m.outputs[i, 0]
    width_in, width_out = p[IN], p[OUT]
    taken, sent, leave, over, come, lack = s[TAKEN], s[SENT], s[LEAVE], s[OVER], s[COME], s[LACK]
    if come == 0:  # reset
        over = width_in - p[CAPACITY]
        come = (width_out + width_in - 1) // width_in
        lack = come * width_in - width_out
    while True:
        moved = False
        if sent >= leave:
            cycle = offered(m, source, taken)
            if cycle != UNKNOWN:
                if taken:
                    cycle = max(cycle, recall(m, i, CAME, taken - 1) + 1)
                if leave:
                    cycle = max(cycle, recall(m, i, WENT, leave - 1) + 1)
                take(m, source, taken, cycle)
                remember(m, i, CAME, taken, cycle)
                taken += 1
                over += width_in
                while over > 0:
                    leave += 1
                    over -= width_out
                moved = True
        if taken >= come:
            cycle = recall(m, i, CAME, come - 1)
            if sent:
                cycle = max(cycle, recall(m, i, WENT, sent - 1))
            cycle = push(m, sink, sent, cycle + 1)
            if cycle != UNKNOWN:
                remember(m, i, WENT, sent, cycle)
                sent += 1
                lack -= width_out
                while lack < 0:
                    come += 1
                    lack += width_in
                moved = True
        if not moved:
            break
    s[TAKEN], s[SENT], s[LEAVE], s[OVER], s[COME], s[LACK] = taken, sent, leave, over, come, lack
    _grant(m, i, source, width_in, width_out)
    return WAIT_OUTPUT if taken >= come else WAIT_INPUT


@inlined
def _grant(m, i, source, width_in, width_out):
    """Inputs for which there is room, whenever they come, without another output leaving."""
    q, s = m.queues[source], m.state[i]
    n, leave, over = s[TAKEN], s[LEAVE], s[OVER]
    if q[STYLE] != WIRE or q[OFFERED] > n:
        return
    while leave <= s[SENT] and n < s[TAKEN] + AHEAD:
        if n >= q[GRANTED]:
            grant(m, source, n, recall(m, i, WENT, leave - 1) + 1 if leave else 0)
        n += 1
        over += width_in
        while over > 0:
            leave += 1
            over -= width_out


@inlined
def _split(m, i):
    """To 1."""
    s, source, sink, parts = m.state[i], m.inputs[i, 0], m.outputs[i, 0], m.parameters[i, IN]
    taken, sent, passed, left = s[TAKEN], s[SENT], s[PASSED], s[LEFT]
    taken_at, passed_at, sent_at = s[TAKEN_AT], s[PASSED_AT], s[SENT_AT]
    while True:
        moved = False
        if taken == passed:
            cycle = offered(m, source, taken)
            if cycle != UNKNOWN:
                if taken:
                    cycle = max(cycle, passed_at + 1)
                take(m, source, taken, cycle)
                taken_at = cycle
                taken += 1
                moved = True
        if passed < taken and left == 0:
            passed_at = taken_at + 1
            if sent:
                passed_at = max(passed_at, sent_at)
            passed += 1
            left = parts
            moved = True
        if left:
            cycle = push(m, sink, sent, (passed_at if left == parts else sent_at) + 1)
            if cycle != UNKNOWN:
                sent_at = cycle
                sent += 1
                left -= 1
                moved = True
        if not moved:
            break
    s[TAKEN], s[SENT], s[PASSED], s[LEFT] = taken, sent, passed, left
    s[TAKEN_AT], s[PASSED_AT], s[SENT_AT] = taken_at, passed_at, sent_at
    q = m.queues[source]
    if taken == passed and q[STYLE] == WIRE and q[OFFERED] <= taken and q[GRANTED] <= taken:
        grant(m, source, taken, passed_at + 1 if taken else 0)
    return WAIT_OUTPUT if left else WAIT_INPUT
