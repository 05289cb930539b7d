"""The kernels of all operators, called until nobody can go on."""

import numpy as np
from numba import njit

from hwprune.sim.cycle.compiled import kept
from hwprune.sim.cycle.machine import CONSUMER, FINISHED, OFFERED, POPPED, PORTS, PRODUCER, PUSHED
from hwprune.sim.cycle.operators import concat, duplicate, fmpadding, mvau, ports, samvau, thresholding

INPUT_PORT, OUTPUT_PORT, FMPADDING, MVAU, SAMVAU, THRESHOLDING, CONCAT, DUPLICATE = range(8)

KINDS = {
    "FMPadding_rtl": (FMPADDING, fmpadding.timing),
    "MVAU_rtl": (MVAU, mvau.timing),
    "SAMVAU_rtl": (SAMVAU, samvau.timing),
    "Thresholding_rtl": (THRESHOLDING, thresholding.timing),
    "StreamingConcat_rtl": (CONCAT, concat.timing),
    "DuplicateStreams_rtl": (DUPLICATE, duplicate.timing),
}
"""FINN's name of an operator: number of its kernel, and what makes its parameters."""


@njit
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
    return FINISHED


@njit
def _moves(m, queue):
    return m.queues[queue, PUSHED] + m.queues[queue, POPPED] + m.queues[queue, OFFERED]


@kept
def run(m, kinds, waiting, line, queued, ends):
    """Advance operators until none can go on: then each has finished, or waits for another for ever.

    Parameters
    ----------
    m
        `Machine`.
    kinds
        int64 (operators,).
    waiting
        int64 (operators,): what each operator waits for; written.
    line
        int64 (operators + 1,): ring of operators that may go on.
    queued
        bool (operators,): who stands in line.
    ends
        int64 (2,): head and tail of the line.
    """
    before = np.empty(2 * PORTS, np.int64)
    size = len(line)
    while ends[0] != ends[1]:
        i = line[ends[0]]
        ends[0] = (ends[0] + 1) % size
        queued[i] = False
        for port in range(PORTS):
            if m.inputs[i, port] >= 0:
                before[port] = _moves(m, m.inputs[i, port])
            if m.outputs[i, port] >= 0:
                before[PORTS + port] = _moves(m, m.outputs[i, port])
        waiting[i] = advance(kinds[i], m, i)
        for port in range(2 * PORTS):
            queue = m.inputs[i, port] if port < PORTS else m.outputs[i, port - PORTS]
            if queue >= 0 and _moves(m, queue) != before[port]:
                other = m.queues[queue, PRODUCER if port < PORTS else CONSUMER]
                if not queued[other]:
                    queued[other] = True
                    line[ends[1]] = other
                    ends[1] = (ends[1] + 1) % size
