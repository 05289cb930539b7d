"""A vector that is read once and given several times: FINN's ``replay_buffer.sv``, our ``vector_replay.sv``.

Contract. With one pass the words are given as they come. With more, a ring keeps them: word n is written at cycle
``w(n) = max(offered, free(n - CAPACITY) + 1)``, where free is the cycle of its last reading. Behind FINN's ring stands
an output register, filled when it is empty or being read (AHEAD = 1); ours has none (AHEAD = 0). A word can be given
from ``w(n) + 1 + AHEAD`` on for the first time, one in every cycle; it is read AHEAD of a beat: at the cycle of the
beat before. Words are taken as long as there is room, whatever the passes wait for.

A kernel asks `ready`, moves the cycle to when its own pipeline goes on, and tells `give`. Parameters and state begin
with those named here; so do the rings.
"""

from numba import njit

from hwprune.sim.cycle.machine import UNKNOWN, offered, recall, remember, take

BEATS, PASSES, CAPACITY, AHEAD, START = range(5)
"""Of a vector; how often each is given; words of the ring; 1 with an output register; first cycle for a beat."""
REPLAY_PARAMETERS = 5
TAKEN, FREED, FIRST, BEAT, PASS, LAST = range(6)
"""Words taken and freed; first word of the vector; place in it; cycle of the last beat given."""
REPLAY_STATE = 6
WRITTEN, FREE = range(2)
REPLAY_RINGS = 2


def ring_words(beats: int) -> int:
    """Of both modules' rings: a power of two, and two at least."""
    return max(2, 1 << (beats - 1).bit_length())


@njit
def fill(m, i):
    """Take the words that there is room for, as far as they are known."""
    p, s = m.parameters[i], m.state[i]
    if p[PASSES] == 1:
        return
    n, room = s[TAKEN], s[FREED] + p[CAPACITY]
    while n < room:
        cycle = offered(m, m.inputs[i, 0], n)
        if cycle == UNKNOWN:
            break
        if n >= p[CAPACITY]:
            cycle = max(cycle, recall(m, i, FREE, n - p[CAPACITY]) + 1)
        take(m, m.inputs[i, 0], n, cycle)
        remember(m, i, WRITTEN, n, cycle)
        n += 1
    s[TAKEN] = n


@njit
def ready(m, i):
    """First cycle in which the next beat can be given, and how many can follow it without a gap; UNKNOWN, 0 if unknown.

    The count includes the first; the beats are of one pass.
    """
    p, s = m.parameters[i], m.state[i]
    if p[PASSES] == 1:
        cycle = offered(m, m.inputs[i, 0], s[TAKEN])
        if cycle == UNKNOWN:
            return cycle, 0
        return max(cycle, p[START]), 1
    if s[PASS]:
        return s[LAST] + 1, p[BEATS] - s[BEAT]
    word = s[FIRST] + s[BEAT]
    if word == s[TAKEN]:
        fill(m, i)
        if word == s[TAKEN]:
            return UNKNOWN, 0
    return max(recall(m, i, WRITTEN, word) + 1 + p[AHEAD], s[LAST] + 1, p[START]), 1


@njit
def give(m, i, cycle, count):
    """Beats pass from ``cycle`` on, one a cycle; whether they end a pass."""
    p, s = m.parameters[i], m.state[i]
    if p[PASSES] == 1:
        take(m, m.inputs[i, 0], s[TAKEN], cycle)
        s[TAKEN] += 1
    elif s[PASS] == p[PASSES] - 1:
        n = s[FREED]
        remember(m, i, FREE, n, s[LAST] if p[AHEAD] else cycle)
        for k in range(1, count):
            remember(m, i, FREE, n + k, cycle + k - p[AHEAD])
        s[FREED] = n + count
    s[LAST] = cycle + count - 1
    s[BEAT] += count
    if s[BEAT] < p[BEATS]:
        return False
    s[BEAT] = 0
    s[PASS] += 1
    if s[PASS] == p[PASSES]:
        s[PASS] = 0
        s[FIRST] += p[BEATS]
    return True
