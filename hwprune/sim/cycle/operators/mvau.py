"""MVAU_rtl: ours (``mvau.sv``), and FINN's.

Contract of ours. As of `hwprune.sim.cycle.operators.samvau`, whose kernel it has: ``depth`` is the ROM's read (1, from
block RAM 2), the products and their sum (`hwprune.accel.operators.mac_unit.MacUnit.product_cycles`), and the sum of
beats. At the output is a skid buffer where a sum leaves in every cycle; else a register, which sum k enters from ``h(k
- 1) + 1`` on.

Contract of FINN's (``mvu_vvu_axi.sv``, adapted as in `hwprune.accel.rtllib`, with its weights in ``memstream.sv``). A
vector's beats are replayed once for each of MH/PE folds (`hwprune.sim.cycle.replay`), and one passes into the core in
every cycle in which there is one, a weight is there, and the core is not locked. Weights are there from cycle 5 on for
ever: eight reads are in flight, and a read takes six cycles. The last beat of a fold at cycle t makes a sum at ``q = t
+ depth``, ``depth = 4 + ceil(log2 SIMD)``, one more if SIMD is 1; the core never stops. Sums wait in a queue in front
of an output register, which sum k enters at ``e(k) = max(q(k) + 1, h(k - 1))``; it is offered at ``e(k) + 1`` and
leaves at h(k). The core is locked from the cycle on after a sum stood at the output, not taken, and another in the
queue: from ``max(e(k) + 1, q(k + 1) + 1) + 1`` on, if h(k) is not before. It stays so until the second cycle after the
queue has given away its last sum: ``e(n) + 2`` for the first sum n from k + 1 on with ``q(n + 1) > e(n)``.
"""

from hwprune.accel.design import Operator
from hwprune.accel.operators.mac_unit import MacUnit
from hwprune.sim.cycle.compiled import inlined, kernel
from hwprune.sim.cycle.machine import LATEST, UNKNOWN, WAIT_INPUT, WAIT_OUTPUT, push, recall, remember
from hwprune.sim.cycle.operators import samvau
from hwprune.sim.cycle.replay import (
    AHEAD,
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
from hwprune.sim.cycle.timing import Ring, Streams, Timing, require

DEPTH = REPLAY_PARAMETERS
SUMS, SENT, CHECKED, LOCK, UNLOCKED = range(REPLAY_STATE, REPLAY_STATE + 5)
"""Sums computed and sent; the sum whose handshake decides on the next lock, and the first locked cycle, 0 if none;
first cycle after the last lock."""
MADE, LEFT = REPLAY_RINGS, REPLAY_RINGS + 1
"""q(k) and h(k)."""
FIRST_WEIGHT = 5
LOOK_BACK = 8
"""Sums beyond those in the pipeline."""
UNSUPPORTED = ("pumpedCompute", "pumpedMemory", "runtime_writeable_weights", "bodies", "mlo_max_iter")


def timing(operator: Operator, streams: Streams) -> Timing:
    """Of a matrix-vector unit for DSP48E1 or DSP48E2; where the part is not known, it is taken for the first of them.

    Without the attribute ``core`` it is FINN's.
    """
    attributes = operator.attributes
    version = attributes.get("dsp_version", 0) or 1
    require(
        operator,
        version in (1, 2),
        f"the core of VERSION {version} (3: DSP58 of Versal parts); 1 (DSP48E1) and 2 (DSP48E2) have one",
    )
    for name in UNSUPPORTED:
        require(operator, not attributes.get(name, 0), f"{name}={attributes.get(name, 0)}")
    require(operator, attributes.get("TH", 1) == 1, f"TH={attributes.get('TH', 1)}")
    simd, pe = attributes["SIMD"], attributes["PE"]
    beats, folds = attributes["MW"] // simd, attributes["MH"] // pe
    if attributes.get("core", "finn") != "finn":
        return _own(operator, beats, folds)
    depth = 4 + (simd - 1).bit_length() + (simd == 1)
    flight = 2 * (depth + LOOK_BACK)
    rings = *replay_rings(beats, folds), Ring(flight, SUMS), Ring(flight, SENT)
    return Timing((beats, folds, ring_words(beats), 1, depth), (beats,), (folds,), rings)


def _own(operator: Operator, beats: int, folds: int) -> Timing:
    attributes = operator.attributes
    style = attributes["ram_style"]
    require(operator, style in ("block", "distributed"), f"ram_style={style}")
    unit = MacUnit(
        attributes["PE"],
        attributes["SIMD"],
        beats,
        folds,
        *(_bits(attributes[name]) for name in ("inputDataType", "weightDataType", "outputDataType")),
        dsp=attributes["core"] == "dsp",
        version=attributes.get("dsp_version", 0) or 1,
    )
    depth = (2 if style == "block" else 1) + unit.product_cycles() + 1
    parameters = beats, folds, ring_words(beats), 0, depth, 2 if beats == 1 else 1
    return Timing(parameters, (beats,), (folds,), samvau.pipeline_rings(beats, folds, depth))


def _bits(datatype: str) -> int:
    """Of INT4, UINT4 and the like."""
    return int(datatype.lstrip("UINT"))


@kernel
def advance(m, i):
    """See the module."""
    p, s = m.parameters[i], m.state[i]
    if p[AHEAD] == 0:
        return samvau.advance(m, i)
    while True:
        _send(m, i)
        reason = give(m, i, max(s[UNLOCKED], FIRST_WEIGHT), s[LOCK] or LATEST)
        if reason == STARVED:
            return WAIT_INPUT
        if reason == STOPPED:
            if not _unlock(m, i):
                fill(m, i)
                return WAIT_OUTPUT
        else:
            remember(m, i, MADE, s[SUMS], s[LAST] + p[DEPTH])
            s[SUMS] += 1
            if s[LOCK] == 0:
                _find_lock(m, i)


@inlined
def _send(m, i):
    """Offer the sums that there are, as far as their handshakes are known."""
    s, k = m.state[i], m.state[i, SENT]
    while k < s[SUMS]:
        cycle = push(m, m.outputs[i, 0], k, _shown(m, i, k))
        if cycle == UNKNOWN:
            break
        remember(m, i, LEFT, k, cycle)
        k += 1
    s[SENT] = k


@inlined
def _shown(m, i, k):
    """Cycle from which sum ``k`` is offered."""
    entry = recall(m, i, MADE, k) + 1
    if k:
        entry = max(entry, recall(m, i, LEFT, k - 1))
    return entry + 1


@inlined
def _find_lock(m, i):
    """When the core locks if sum CHECKED has not left by then."""
    s, k = m.state[i], m.state[i, CHECKED]
    s[LOCK] = 0
    if k + 1 < s[SUMS]:
        s[LOCK] = max(_shown(m, i, k), recall(m, i, MADE, k + 1) + 1) + 1


@inlined
def _unlock(m, i):
    """Find the end of the lock, if it comes about, and the next; False if sums have to leave before that is known."""
    s, k = m.state[i], m.state[i, CHECKED]
    if s[SENT] <= k:
        return False
    k += 1
    if recall(m, i, LEFT, k - 1) >= s[LOCK]:
        while True:
            if s[SENT] < k:
                return False
            entry = _shown(m, i, k) - 1
            if k + 1 == s[SUMS] or recall(m, i, MADE, k + 1) > entry:
                break
            k += 1
        s[UNLOCKED] = entry + 2
    s[CHECKED] = k
    _find_lock(m, i)
    return True
