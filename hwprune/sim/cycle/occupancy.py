"""How full FIFOs were, from the cycles in which beats came and went."""

import numpy as np
from numba import njit


@njit(nogil=True)
def peak(pushed: np.ndarray, popped: np.ndarray) -> int:
    """Most beats held at the end of a cycle: ``maxcount`` of ``fifo.sv``.

    Parameters
    ----------
    pushed, popped
        Cycles of the handshakes on both sides, in order.
    """
    most, gone = 0, 0
    for n in range(len(pushed)):
        while gone < len(popped) and popped[gone] <= pushed[n]:
            gone += 1
        most = max(most, n + 1 - gone)
    return most


def level(pushed: np.ndarray, popped: np.ndarray, cycles: np.ndarray) -> np.ndarray:
    """Beats held at the end of each of the given cycles."""
    return np.searchsorted(pushed, cycles, "right") - np.searchsorted(popped, cycles, "right")
