"""FINN's ConvolutionInputGenerator_rtl in its two styles, from a cyclic buffer and all at once (``swg_template_*.sv``).

A frame of inputs is read in order; a window needs the inputs in its rows and columns, beat by beat (``default``: one
input an output) or as a whole (``parallel``). C(k) is the input that output k of a frame needs, the last one of those
that it needs all at once. Input n of a frame is read at r(n), output k leaves at h(k).

Contract of ``default``. Output k is fetched from the buffer into the output register at ``f(k) = max(r(C(k)) + 1, h(k -
1))`` and offered at ``f(k) + 1``. The buffer holds SIZE inputs. Input n overwrites input ``n - SIZE`` as soon as that
one is older than both the next input to be fetched and the first input of the window behind the one that is being
fetched: ``r(n) = max(offered, r(n - 1) + 1, f(j) + 1)``, where fetch j is the first one after which that holds. After
the frame's last fetch all the inputs left over may be read.

Contract of ``parallel``. Inputs are shifted along, so an input behind C(k) waits until output k has left, and may be
read in the same cycle: ``r(n) = max(offered, r(n - 1) + 1, h(k))`` for the outputs with ``C(k) < n``. Output k is
offered at ``r(C(k)) + 1``.

In both styles a frame ends at ``max(h(last), r(last))``; the next one is read from the cycle after that on.
"""

from hwprune.accel.design import Operator
from hwprune.accel.windows import WindowShape
from hwprune.sim.cycle.compiled import inlined, kernel
from hwprune.sim.cycle.machine import UNKNOWN, WAIT_INPUT, WAIT_OUTPUT, offered, push, recall, remember, take
from hwprune.sim.cycle.timing import Ring, Streams, Timing, require

PARALLEL, INPUTS, SIZE, RUN, RUNS, KERNEL_ROWS, COLUMNS, ROWS = range(8)
"""Style; beats of a frame; of the buffer; of inputs side by side under the kernel; such runs in a row of the kernel,
and its rows; windows in a row, and rows of them."""
NEXT_RUN, NEXT_KERNEL_ROW, NEXT_COLUMN, NEXT_ROW, LAST = range(8, 13)
"""Steps in inputs: from the last of a run to the next run, and to the next row of the kernel; from a window to the
next, from a row of windows to the next, from the frame's last window to its last input; in ``parallel`` they are those
between C(k)."""
FIRST = SIZE
"""C(0) of the style ``parallel``, which has no use for SIZE."""

TAKEN, SENT, READ, READ_AT, FETCHED_AT, HANDSHAKE, PENDING = range(7)
"""Beats taken and sent since reset; inputs of the frame that were read; r, f and h of the last ones; whether an output
is offered."""
ELEMENT, REACHED, BEAT, KERNEL_RUN, KERNEL_ROW, COLUMN, ROW, WINDOW, ROW_START, BEHIND, ALLOWED = range(7, 18)
"""C of the next output; the greatest C so far; place in the nest of loops; first input of the window, of the row of
windows, and of the window behind; inputs that may be read."""
READ_TIMES, FREED = range(2)
"""r(n), and for inputs that the fetches so far allow, from when on."""


def timing(operator: Operator, streams: Streams) -> Timing:
    """Of a window."""
    attributes = operator.attributes
    for name, plain in (("M", 1), ("dynamic_mode", 0), ("depthwise", 0)):
        require(operator, attributes.get(name, plain) == plain, f"{name}={attributes.get(name)}")
    (high, wide), (kernel_h, kernel_w) = attributes["IFMDim"], attributes["ConvKernelDim"]
    (rows, columns), (stride_h, stride_w) = attributes["OFMDim"], attributes["Stride"]
    dilation_h, dilation_w = attributes["Dilation"]
    below, beside = (kernel_h - 1) * dilation_h, (kernel_w - 1) * dilation_w  # the first pixel under the kernel
    shape = WindowShape(*(attributes[name] for name in ("ConvKernelDim", "Stride", "Dilation", "IFMDim")))
    require(operator, not shape.misplaced, f"{shape.misplaced}, which FINN's schedule gets wrong")
    folds = attributes["IFMChannels"] // attributes["SIMD"]
    inputs, line, area = high * wide * folds, wide * folds, kernel_h * kernel_w
    if area == 1 or attributes.get("parallel_window", 0):
        require(operator, folds == 1 or area == 1, f"SIMD={attributes['SIMD']} with parallel_window")
        steps = stride_w * folds, stride_h * line
        parameters = 1, inputs, below * wide + beside, folds, 1, 1, columns, rows, 0, 0, *steps, 0
        return Timing(parameters, (inputs,), (rows * columns * folds,))
    run, runs = (kernel_w * folds, 1) if dilation_w == 1 else (folds, kernel_w)
    window = below * line + (beside + 1) * folds
    size = window + max(0, stride_w - 1 - area) * folds + max(0, (stride_h - 1) * wide - area) * folds
    steps = (dilation_w - 1) * folds + 1, dilation_h * line - beside * folds - folds + 1
    steps = *steps, stride_w * folds, stride_h * line, window - 1
    rings = Ring(size + 1, READ), Ring(size + window + stride_h * line, ALLOWED, first=size)
    made = rows * columns * area * folds
    return Timing((0, inputs, size, run, runs, kernel_h, columns, rows, *steps), (inputs,), (made,), rings)


@kernel
def advance(m, i):
    """See the module."""
    if m.parameters[i, PARALLEL]:
        return _advance_parallel(m, i)
    return _advance_default(m, i)


@kernel
def _advance_default(m, i):
    p, s, sink = m.parameters[i], m.state[i], m.outputs[i, 0]
    inputs, size, run, runs, kernel_rows = p[INPUTS], p[SIZE], p[RUN], p[RUNS], p[KERNEL_ROWS]
    if s[ALLOWED] == 0:
        _begin(m, i)
    sent, fetched_at, handshake, pending = s[SENT], s[FETCHED_AT], s[HANDSHAKE], s[PENDING]
    element, reached, beat = s[ELEMENT], s[REACHED], s[BEAT]
    kernel_run, kernel_row, column, row = s[KERNEL_RUN], s[KERNEL_ROW], s[COLUMN], s[ROW]
    behind, allowed = s[BEHIND], s[ALLOWED]
    while True:
        if pending:
            cycle = push(m, sink, sent, fetched_at + 1)
            if cycle == UNKNOWN:
                reason = WAIT_OUTPUT
                break
            handshake = cycle
            sent += 1
            pending = 0
        if row == p[ROWS]:
            if not _read(m, i, inputs):
                reason = WAIT_INPUT
                break
            s[READ_AT] = max(s[READ_AT], handshake)
            _begin(m, i)
            element, reached, row, behind, allowed = s[ELEMENT], s[REACHED], s[ROW], s[BEHIND], s[ALLOWED]
        fetched_at = handshake
        if element > reached:
            if element >= s[READ]:
                s[ALLOWED] = allowed
                _read(m, i, allowed)
                if element >= s[READ]:
                    reason = WAIT_INPUT
                    break
            fetched_at = max(fetched_at, recall(m, i, READ_TIMES, element) + 1)
            reached = element
        pending = 1
        if beat == 0 and kernel_run == 0 and kernel_row == 0:
            behind = _window_behind(p, s, column, row)
        beat += 1
        element += 1
        if beat == run:
            beat = 0
            kernel_run += 1
            if kernel_run < runs:
                element += p[NEXT_RUN] - 1
            else:
                kernel_run = 0
                element += p[NEXT_KERNEL_ROW] - 1
                kernel_row += 1
            if kernel_row == kernel_rows:
                kernel_row = 0
                element = behind
                s[WINDOW] = behind
                column += 1
                if column == p[COLUMNS]:
                    column = 0
                    row += 1
                    s[ROW_START] = behind
        if allowed < inputs:
            bound = inputs if row == p[ROWS] else min(min(element, behind) + size, inputs)
            while allowed < bound:
                remember(m, i, FREED, allowed, fetched_at + 1)
                allowed += 1
    s[SENT], s[FETCHED_AT], s[HANDSHAKE], s[PENDING] = sent, fetched_at, handshake, pending
    s[ELEMENT], s[REACHED], s[BEAT] = element, reached, beat
    s[KERNEL_RUN], s[KERNEL_ROW], s[COLUMN], s[ROW] = kernel_run, kernel_row, column, row
    s[BEHIND], s[ALLOWED] = behind, allowed
    _read(m, i, allowed)
    return reason


@inlined
def _begin(m, i):
    """A frame."""
    p, s = m.parameters[i], m.state[i]
    s[READ] = s[ELEMENT] = s[ROW] = s[WINDOW] = s[ROW_START] = s[BEHIND] = 0
    s[REACHED] = -1
    s[ALLOWED] = min(p[SIZE], p[INPUTS])


@inlined
def _window_behind(p, s, column, row):
    """First input of the window behind; of the last one its last input, as in the RTL."""
    if column < p[COLUMNS] - 1:
        return s[WINDOW] + p[NEXT_COLUMN]
    if row < p[ROWS] - 1:
        return s[ROW_START] + p[NEXT_ROW]
    return s[WINDOW] + p[LAST]


@kernel
def _read(m, i, allowed):
    """Read inputs as far as they are known and may be read; whether the frame is complete."""
    p, s, source = m.parameters[i], m.state[i], m.inputs[i, 0]
    read, taken, last, size = s[READ], s[TAKEN], s[READ_AT], p[SIZE]
    while read < allowed:
        cycle = offered(m, source, taken)
        if cycle == UNKNOWN:
            break
        if taken:
            cycle = max(cycle, last + 1)
        if read >= size:
            cycle = max(cycle, recall(m, i, FREED, read))
        take(m, source, taken, cycle)
        remember(m, i, READ_TIMES, read, cycle)
        last = cycle
        read += 1
        taken += 1
    s[READ], s[TAKEN], s[READ_AT] = read, taken, last
    return read == p[INPUTS]


@kernel
def _advance_parallel(m, i):
    p, s, source, sink = m.parameters[i], m.state[i], m.inputs[i, 0], m.outputs[i, 0]
    if s[TAKEN] == 0:
        s[ELEMENT] = p[FIRST]
    taken, sent, read, read_at, handshake, pending = s[TAKEN], s[SENT], s[READ], s[READ_AT], s[HANDSHAKE], s[PENDING]
    element = s[ELEMENT]
    while True:
        if pending:
            cycle = push(m, sink, sent, read_at + 1)
            if cycle == UNKNOWN:
                reason = WAIT_OUTPUT
                break
            handshake = cycle
            sent += 1
            pending = 0
            element = _next_parallel(p, s, element)
        if read == p[INPUTS]:
            read = 0
            read_at = max(read_at, handshake)
            element = p[FIRST]
            s[BEAT] = s[COLUMN] = s[ROW] = s[WINDOW] = s[ROW_START] = 0
        cycle = offered(m, source, taken)
        if cycle == UNKNOWN:
            reason = WAIT_INPUT
            break
        if taken:
            cycle = max(cycle, read_at + 1, handshake)
        take(m, source, taken, cycle)
        read_at = cycle
        if read == element:
            pending = 1
        taken += 1
        read += 1
    s[TAKEN], s[SENT], s[READ], s[READ_AT], s[HANDSHAKE], s[PENDING] = taken, sent, read, read_at, handshake, pending
    s[ELEMENT] = element
    return reason


@inlined
def _next_parallel(p, s, element):
    """C of the next output; behind the frame's last one no input."""
    s[BEAT] += 1
    if s[BEAT] < p[RUN]:
        return element + 1
    s[BEAT] = 0
    s[COLUMN] += 1
    s[WINDOW] += p[NEXT_COLUMN]
    if s[COLUMN] == p[COLUMNS]:
        s[COLUMN] = 0
        s[ROW] += 1
        s[ROW_START] += p[NEXT_ROW]
        s[WINDOW] = s[ROW_START]
        if s[ROW] == p[ROWS]:
            return -1
    return s[WINDOW] + p[FIRST]
