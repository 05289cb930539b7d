"""FINN's FMPadding_rtl (``fmpadding.sv``): zeros around a feature map.

Contract. Output beat k is loaded into the output register at cycle e(k), when the register is empty or being read:
``e(k) = max(e(k-1) + 1, h(k-1), a(n))``, the last one for beats that forward input n only. It is offered at ``e(k) +
1``. One input is taken ahead, into a register of its own: ``a(n) = max(offered, e(n-1) + 1)``, where e(n-1) is the
cycle at which the input before was forwarded. Frames follow each other without a gap.
"""

from hwprune.accel.design import Operator
from hwprune.sim.cycle.compiled import kernel
from hwprune.sim.cycle.machine import UNKNOWN, WAIT_INPUT, WAIT_OUTPUT, offered, push, take
from hwprune.sim.cycle.timing import Streams, Timing

FOLDS, ROW, ROWS, LEFT, RIGHT, TOP, BOTTOM = range(7)
"""Beats of a pixel; pixels and rows of the padded frame; first forwarded one and the one after the last, in pixels
and rows."""
FOLD, X, Y, TAKEN, USED, TAKEN_AT, USED_AT, SENT, LOADED_AT, HANDSHAKE, PENDING = range(11)


def timing(operator: Operator, streams: Streams) -> Timing:
    """Of a padding."""
    attributes = operator.attributes
    height, width = attributes["ImgDim"]
    top, left, bottom, right = attributes["Padding"]
    folds = attributes["NumChannels"] // attributes["SIMD"]
    wide, high = left + width + right, top + height + bottom
    parameters = folds, wide, high, left, left + width, top, top + height
    return Timing(parameters, (height * width * folds,), (high * wide * folds,))


@kernel
def advance(m, i):
    """See the module."""
    p, s, source, sink = m.parameters[i], m.state[i], m.inputs[i, 0], m.outputs[i, 0]
    while True:
        if s[TAKEN] == s[USED]:
            cycle = offered(m, source, s[TAKEN])
            if cycle != UNKNOWN:
                if s[TAKEN]:
                    cycle = max(cycle, s[USED_AT] + 1)
                take(m, source, s[TAKEN], cycle)
                s[TAKEN_AT] = cycle
                s[TAKEN] += 1
        if s[PENDING]:
            cycle = push(m, sink, s[SENT], s[LOADED_AT] + 1)
            if cycle == UNKNOWN:
                return WAIT_OUTPUT
            s[HANDSHAKE] = cycle
            s[SENT] += 1
            s[PENDING] = 0
        load = 0
        if s[SENT]:
            load = max(s[LOADED_AT] + 1, s[HANDSHAKE])
        if p[LEFT] <= s[X] < p[RIGHT] and p[TOP] <= s[Y] < p[BOTTOM]:
            if s[TAKEN] == s[USED]:
                return WAIT_INPUT
            load = max(load, s[TAKEN_AT])
            s[USED_AT] = load
            s[USED] += 1
        s[LOADED_AT] = load
        s[PENDING] = 1
        s[FOLD] += 1
        if s[FOLD] == p[FOLDS]:
            s[FOLD] = 0
            s[X] += 1
            if s[X] == p[ROW]:
                s[X] = 0
                s[Y] += 1
                if s[Y] == p[ROWS]:
                    s[Y] = 0
