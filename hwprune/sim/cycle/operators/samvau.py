"""Our SAMVAU_rtl (``samvau.sv``): a pipeline that stands still as a whole, behind a replayed vector.

Contract. A vector's beats are replayed once for each of MH/PE folds (`hwprune.sim.cycle.replay`) and fetched one in
every cycle that is not frozen. The last beat of a fold makes a sum ``depth`` cycles later, frozen ones not counted;
sum k stands in front of the skid buffer (`hwprune.sim.cycle.skid`) from s(k) on and enters it at a(k), when there is
room. The cycles from s(k) to a(k) - 1 are frozen. ``depth`` is the ROM's read (1, from block RAM 2), the extreme (3 of
several operands, else 1; one more where a group takes several beats), the adder tree's levels, and the sum.
"""

from hwprune.accel.design import Operator
from hwprune.sim.cycle.compiled import inlined, kernel
from hwprune.sim.cycle.machine import LATEST, UNKNOWN, WAIT_INPUT, WAIT_OUTPUT, recall, remember
from hwprune.sim.cycle.replay import (
    LAST,
    REPLAY_PARAMETERS,
    REPLAY_RINGS,
    REPLAY_STATE,
    STARVED,
    STOPPED,
    fill,
    give,
    replay_rings,
    ring_words,
)
from hwprune.sim.cycle.skid import ENTERED, enter, flush, room
from hwprune.sim.cycle.timing import Ring, Streams, Timing, require

DEPTH, WORDS = range(REPLAY_PARAMETERS, REPLAY_PARAMETERS + 2)
"""Of the pipeline, in cycles; of the buffer at the output: 2, or 1 of a mere register."""
SUMS, LATE, PASSED, FROZEN, THAWED, FREEZE, SKID = range(REPLAY_STATE, REPLAY_STATE + 7)
"""Sums fetched; cycles frozen up to the last that was let into the skid buffer. As the next fetch sees it: sums let in,
cycles frozen, the end of the last freeze, and the start of the next, 0 if there is none. Then the buffer's own."""
AWAKE, ENTRY = range(REPLAY_RINGS, REPLAY_RINGS + 2)
"""s(k) with frozen cycles not counted, and a(k)."""
LOOK_BACK = 8
"""Sums beyond those in the pipeline."""


def timing(operator: Operator, streams: Streams) -> Timing:
    """Of a SAM unit."""
    attributes = operator.attributes
    require(operator, attributes["ram_style"] in ("block", "distributed"), f"ram_style={attributes['ram_style']}")
    simd, group = attributes["SIMD"], attributes["group"]
    beats, folds = attributes["MW"] // simd, attributes["MH"] // attributes["PE"]
    operands = (1 if attributes["form"] == "signed" else 2) * max(1, simd // group)
    depth = 2 if attributes["ram_style"] == "block" else 1
    depth += (3 if min(simd, group) > 1 else 1) + (simd < group) + (operands - 1).bit_length() + 1
    rings = pipeline_rings(beats, folds, depth)
    return Timing((beats, folds, ring_words(beats), 0, depth, 2), (beats,), (folds,), rings)


def pipeline_rings(beats: int, folds: int, depth: int) -> tuple[Ring, ...]:
    """Of a unit with such a pipeline."""
    flight = 2 * (depth + LOOK_BACK)
    return *replay_rings(beats, folds), Ring(flight, SUMS, lag=FROZEN), Ring(flight, SKID + ENTERED)


@kernel
def advance(m, i):
    """See the module."""
    p, s = m.parameters[i], m.state[i]
    while True:
        _send(m, i)
        reason = give(m, i, s[THAWED], s[FREEZE] or LATEST)
        if reason == STARVED:
            return WAIT_INPUT
        if reason == STOPPED:
            k = s[PASSED]
            if k == s[SKID + ENTERED]:
                fill(m, i)
                return WAIT_OUTPUT
            s[THAWED] = recall(m, i, ENTRY, k)
            s[FROZEN] = s[THAWED] - recall(m, i, AWAKE, k)
            s[PASSED] += 1
            _find_freeze(m, i)
        else:
            remember(m, i, AWAKE, s[SUMS], s[LAST] - s[FROZEN] + p[DEPTH])
            s[SUMS] += 1
            if s[FREEZE] == 0:
                _find_freeze(m, i)


@inlined
def _send(m, i):
    """Let sums into the skid buffer, as far as their handshakes are known."""
    s, sink = m.state[i], m.outputs[i, 0]
    flush(m, sink, s, SKID)
    k = s[SKID + ENTERED]
    while k < s[SUMS]:
        free = room(m, sink, s, SKID, m.parameters[i, WORDS])
        if free == UNKNOWN:
            return
        awake = recall(m, i, AWAKE, k)
        entry = max(awake + s[LATE], free)
        remember(m, i, ENTRY, k, entry)
        s[LATE] = entry - awake
        enter(s, SKID, entry)
        flush(m, sink, s, SKID)
        k += 1


@inlined
def _find_freeze(m, i):
    """When the next sum reaches the skid buffer."""
    s = m.state[i]
    s[FREEZE] = recall(m, i, AWAKE, s[PASSED]) + s[FROZEN] if s[PASSED] < s[SUMS] else 0
