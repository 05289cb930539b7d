"""The kernels of all operators, called until nobody can go on."""

import numpy as np

from hwprune.sim.cycle.compiled import inlined, kept
from hwprune.sim.cycle.machine import FINISHED, GRANTED, OFFERED, POPPED, PORTS, PUSHED
from hwprune.sim.cycle.operators import (
    concat,
    duplicate,
    fmpadding,
    maxpool2d,
    mvau,
    ports,
    samvau,
    sliding_window,
    thresholding,
    upsample,
    width_converter,
)

INPUT_PORT, OUTPUT_PORT, FMPADDING, MVAU, SAMVAU, THRESHOLDING, CONCAT, DUPLICATE, MAXPOOL2D, UPSAMPLE = range(10)
SLIDING_WINDOW, WIDTH_CONVERTER = range(10, 12)

KINDS = {
    "FMPadding_rtl": (FMPADDING, fmpadding.timing),
    "MVAU_rtl": (MVAU, mvau.timing),
    "SAMVAU_rtl": (SAMVAU, samvau.timing),
    "Thresholding_rtl": (THRESHOLDING, thresholding.timing),
    "StreamingConcat_rtl": (CONCAT, concat.timing),
    "DuplicateStreams_rtl": (DUPLICATE, duplicate.timing),
    "MaxPool2d_rtl": (MAXPOOL2D, maxpool2d.timing),
    "UpsampleNearestNeighbour_rtl": (UPSAMPLE, upsample.timing),
    "ConvolutionInputGenerator_rtl": (SLIDING_WINDOW, sliding_window.timing),
    "StreamingDataWidthConverter_rtl": (WIDTH_CONVERTER, width_converter.timing),
}
"""FINN's name of an operator: number of its kernel, and what makes its parameters."""


@inlined
def advance(kind, m, i):
    """Call the kernel of operator ``i``."""
    if kind == INPUT_PORT:
        return ports.advance_input(m, i)
    if kind == OUTPUT_PORT:
        return ports.advance_output(m, i)
    if kind == FMPADDING:
        return fmpadding.advance(m, i)
    if kind == MVAU:
        return mvau.advance(m, i)
    if kind == SAMVAU:
        return samvau.advance(m, i)
    if kind == THRESHOLDING:
        return thresholding.advance(m, i)
    if kind == CONCAT:
        return concat.advance(m, i)
    if kind == DUPLICATE:
        return duplicate.advance(m, i)
    if kind == MAXPOOL2D:
        return maxpool2d.advance(m, i)
    if kind == UPSAMPLE:
        return upsample.advance(m, i)
    if kind == SLIDING_WINDOW:
        return sliding_window.advance(m, i)
    if kind == WIDTH_CONVERTER:
        return width_converter.advance(m, i)
    return FINISHED


@inlined
def _moves(m, queue):
    q = m.queues[queue]
    return q[PUSHED] + q[POPPED] + q[OFFERED] + q[GRANTED]


@kept
def run(m, kinds, starts, edges, waiting, line, waits_in):
    """Advance operators until none can go on: then each has finished, or waits for another for ever.

    Neighbours on a wire, who can move one beat at a time only, are called in turn until both are stuck; the others
    stand in line meanwhile, and have the more to do when it is their turn.

    Parameters
    ----------
    m
        `Machine`.
    kinds
        int64 (operators,).
    starts, edges
        int64 (operators + 1,) and (edges, 3): for each operator, from where to where its edges lie; for each edge the
        queue, the operator at its other end, and whether it is a wire.
    waiting
        int64 (operators,): what each operator waits for; written.
    line
        int64 (operators + 2,): how many operators may go on at first, and which; the rest is room.
    waits_in
        int64 (operators,): 1 for who stands in line.
    """
    count = len(kinds)
    size = count + 1
    head, tail = 0, line[0]
    stack, top = np.empty(count, np.int64), 0
    before = np.empty(2 * PORTS, np.int64)
    line = line[1:]
    while head != tail or top:
        if top:
            top -= 1
            i = stack[top]
        else:
            i = line[head]
            head = head + 1 if head + 1 < size else 0
        if not waits_in[i]:
            continue
        waits_in[i] = 0
        first, last = starts[i], starts[i + 1]
        for e in range(first, last):
            before[e - first] = _moves(m, edges[e, 0])
        waiting[i] = advance(kinds[i], m, i)
        for e in range(first, last):
            if _moves(m, edges[e, 0]) != before[e - first]:
                other = edges[e, 1]
                if edges[e, 2]:
                    if waits_in[other] != 2:
                        waits_in[other] = 2
                        stack[top] = other
                        top += 1
                elif not waits_in[other]:
                    waits_in[other] = 1
                    line[tail] = other
                    tail = tail + 1 if tail + 1 < size else 0
