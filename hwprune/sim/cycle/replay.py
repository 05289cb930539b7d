"""A vector that is read once and given several times: FINN's ``replay_buffer.sv``, our ``vector_replay.sv``.

Contract. With one pass the words are given as they come. With more, a ring keeps them: word n is written at cycle
``w(n) = max(offered, free(n - CAPACITY) + 1)``, where free is the cycle of its last reading. Behind FINN's ring stands
an output register, filled when it is empty or being read (AHEAD = 1); ours has none (AHEAD = 0). A word can be given
from ``w(n) + 1 + AHEAD`` on for the first time, one in every cycle; it is read AHEAD of a beat: at the cycle of the
beat before. Words are taken as long as there is room, whatever the passes wait for.

A kernel calls `give` for a pass, and says from when to when its own pipeline takes beats. Its parameters, state and
rings begin with those named here.
"""

from hwprune.sim.cycle.compiled import inlined, kernel
from hwprune.sim.cycle.machine import UNKNOWN, offered, recall, remember, take
from hwprune.sim.cycle.timing import Ring

BEATS, PASSES, CAPACITY, AHEAD = range(4)
"""Of a vector; how often each is given; words of the ring; 1 with an output register."""
REPLAY_PARAMETERS = 4
TAKEN, FREED, FIRST, BEAT, PASS, LAST = range(6)
"""Words taken and freed; first word of the vector; place in it; cycle of the last beat given."""
REPLAY_STATE = 6
WRITTEN, FREE = range(2)
REPLAY_RINGS = 2

ENDED, STARVED, STOPPED = range(3)
"""A pass is over, its last beat at LAST; the next word is not known; the next beat would come at STOP or later."""


def ring_words(beats: int) -> int:
    """Of both modules' rings: a power of two, and two at least."""
    return max(2, 1 << (beats - 1).bit_length())


def replay_rings(beats: int, passes: int) -> tuple[Ring, ...]:
    """For a vector of so many beats."""
    words = ring_words(beats) if passes > 1 else 0
    return Ring(words, TAKEN), Ring(words, FREED)


@inlined
def give(m, i, start, stop):
    """Give beats of one pass, none before cycle ``start``, none from ``stop`` on: ENDED, STARVED or STOPPED."""
    p, s = m.parameters[i], m.state[i]
    beat, last, beats = s[BEAT], s[LAST], p[BEATS]
    reason = ENDED
    if p[PASSES] == 1:
        n = s[TAKEN]
        while beat < beats:
            cycle = offered(m, m.inputs[i, 0], n)
            if cycle == UNKNOWN:
                reason = STARVED
                break
            cycle = max(cycle, start)
            if cycle >= stop:
                reason = STOPPED
                break
            take(m, m.inputs[i, 0], n, cycle)
            last = cycle
            n += 1
            beat += 1
        s[TAKEN] = n
    elif s[PASS] == 0:
        first, ahead = s[FIRST], 1 + p[AHEAD]
        while beat < beats:
            if first + beat == s[TAKEN]:
                fill(m, i)
                if first + beat == s[TAKEN]:
                    reason = STARVED
                    break
            cycle = max(recall(m, i, WRITTEN, first + beat) + ahead, last + 1, start)
            if cycle >= stop:
                reason = STOPPED
                break
            last = cycle
            beat += 1
    else:
        cycle = max(last + 1, start)
        count = min(beats - beat, stop - cycle)
        if count > 0:
            if s[PASS] == p[PASSES] - 1:
                n, ahead = s[FREED], p[AHEAD]
                remember(m, i, FREE, n, last if ahead else cycle)
                for k in range(1, count):
                    remember(m, i, FREE, n + k, cycle + k - ahead)
                s[FREED] = n + count
            last = cycle + count - 1
            beat += count
        if beat < beats:
            reason = STOPPED
    s[LAST] = last
    if reason == ENDED:
        beat = 0
        if p[PASSES] > 1:
            s[PASS] += 1
            if s[PASS] == p[PASSES]:
                s[PASS] = 0
                s[FIRST] += beats
    s[BEAT] = beat
    return reason


@kernel
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
