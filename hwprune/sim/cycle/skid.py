"""Our ``skid_buffer.sv``: two words in front of an output, which most of our operators end in.

Contract. Beat k enters at a(k), when the spare word is empty: from ``h(k - 2) + 1`` on, where h is the handshake at
which a beat leaves. It is offered at ``max(a(k), h(k - 1)) + 1``.

A kernel keeps `SKID_STATE` counters for the buffer, from a place of its choice on; several buffers that are filled
together share them. What has left, the output's queue knows.
"""

from hwprune.sim.cycle.compiled import inlined
from hwprune.sim.cycle.machine import PUSHED, UNKNOWN, push

SKID_STATE = 3
ENTERED, _BEFORE, _LAST = range(SKID_STATE)
"""Beats that entered; the cycles of the last but one, and of the last."""


@inlined
def last_entry(s, place):
    """Cycle in which the last beat entered; 0 before there was one."""
    return s[place + _LAST]


@inlined
def enter(s, place, cycle):
    """The next beat enters; not before `room` says. The caller lets it out with `flush`."""
    s[place + _BEFORE] = s[place + _LAST]
    s[place + _LAST] = cycle
    s[place + ENTERED] += 1


@inlined
def room(m, queue, s, place, words=2):
    """First cycle from which the next beat may enter, or UNKNOWN; after `flush`. A register is a buffer of one word."""
    n = s[place + ENTERED]
    if n < words:
        return 0
    if m.queues[queue, PUSHED] <= n - words:
        return UNKNOWN
    return push(m, queue, n - words, 0) + 1


@inlined
def flush(m, queue, s, place):
    """Offer the beats inside, as far as the handshakes before them are known."""
    entered, n = s[place + ENTERED], m.queues[queue, PUSHED]
    while n < entered:
        cycle = s[place + (_LAST if n == entered - 1 else _BEFORE)]
        if n:
            cycle = max(cycle, push(m, queue, n - 1, 0))
        if push(m, queue, n, cycle + 1) == UNKNOWN:
            return
        n += 1
