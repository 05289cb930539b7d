"""Stalls at the ports: a function of seed, port and cycle that the model and the RTL's harness share."""

import numpy as np

from hwprune.sim.cycle.compiled import kernel

_GAMMA = np.uint64(0x9E3779B97F4A7C15)
_PORT = np.uint64(0xD1B54A32D192ED03)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)
_30, _27, _31, _32 = (np.uint64(n) for n in (30, 27, 31, 32))
_HUNDRED = np.uint64(100)


@kernel
def stalled(percent, seed, port, cycle):
    """Whether a port stalls in a cycle: an input offers nothing new, an output is not ready.

    splitmix64 (Steele, Lea, Flood 2014) of a counter, so that a cycle's answer needs no other cycle's. ``harness.cpp``
    has the same function.

    Parameters
    ----------
    percent
        Share of cycles, 0 to 100.
    seed
        Of the run.
    port
        Inputs of the top from 0 on, then its outputs.
    cycle
        From 0 on.
    """
    if percent == 0:
        return False
    z = np.uint64(seed) * _MIX_1 + np.uint64(port + 1) * _PORT + np.uint64(cycle + 1) * _GAMMA
    z = (z ^ (z >> _30)) * _MIX_1
    z = (z ^ (z >> _27)) * _MIX_2
    z = z ^ (z >> _31)
    return (z >> _32) * _HUNDRED < np.uint64(percent) << _32


@kernel
def next_free(percent, seed, port, cycle):
    """First cycle from ``cycle`` on in which the port does not stall."""
    while stalled(percent, seed, port, cycle):
        cycle += 1
    return cycle
