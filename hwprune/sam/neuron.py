"""The definition of the SAM neuron, against which everything else is tested; written to be read, not to be fast.

**Float.** A layer reads x (channels, height, width) through a square window. Its connections are numbered as they pass
in hardware: kernel row, kernel column, channel. They fall into groups G of consecutive connections: ``group``
channels of one kernel position, or the whole window. With weights P and N the output of unit j is the sum over the
groups of

=============  ==========================================  =====================================
form           a group's term                              weights of a connection
=============  ==========================================  =====================================
maxmin         max_i(x_i + P_ij) + min_i(x_i + N_ij)       P, N
difference     max_i(x_i + P_ij) - max_i(x_i + N_ij)       P, N
signed         s_jG * max_i(x_i + P_ij), s_jG = 1 or -1    P, and one sign a group
=============  ==========================================  =====================================

*Padding.* A padded pixel takes part with x = 0, as in a convolution: this is what the sliding window of the hardware
delivers, and zero is the value of an absent feature behind a ReLU. (To leave it out would change the size of the
groups at the border, and could leave a group with nobody in it.)

*Ties.* The connection with the lowest number wins, and gets the whole gradient.

**Integer.** With x = a * X (X of ``bits`` bits, a the activation's scale) and weights that are multiples of
a * 2**shift, a group's maximum depends on the weights' distances from the greatest of them alone:
max_i(x_i + P_i) = max(P) + a * max_i(X_i - p_i) with p_i = (max(P) - P_i) / a >= 0. The constants are summed into
the layer's bias. So the integer neuron has *distances* p, n: unsigned codes, at least one of each group zero, and

- max_i(X_i - p_i) lies between the least and the greatest X: a negative X_i - p_i can saturate, a distance that spans
  the range of X is dead (it never wins), and no intermediate value needs more bits than X;
- min_i(X_i + n_i) = top - max_i((top - X_i) - n_i): a minimum is the maximum of the complements;
- a signed X is counted from its least value, which flips its highest bit.

A step of the distances is 2**shift steps of X; if shift is negative, X is multiplied by 2**-shift instead. `sum_range`
gives what the sums can reach.
"""

import numpy as np
from numpy.typing import NDArray

from hwprune.sam.settings import Form, Sam


def windows(x: NDArray, kernel: int, stride: int, padding: int) -> NDArray:
    """What each unit sees: (N, C, H, W) -> (N, h, w, kernel * kernel * C), numbered row, column, channel."""
    padded = np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    seen = np.lib.stride_tricks.sliding_window_view(padded, (kernel, kernel), axis=(2, 3))
    seen = seen[:, :, ::stride, ::stride].transpose(0, 2, 3, 4, 5, 1)
    return seen.reshape(*seen.shape[:3], -1)


def connections(weight: NDArray) -> NDArray:
    """Weights (J, C, kernel, kernel) -> (J, kernel * kernel * C), numbered like `windows`."""
    return weight.transpose(0, 2, 3, 1).reshape(len(weight), -1)


def sam(
    seen: NDArray, form: Form, group: int, positive: NDArray, negative: NDArray | None, sign: NDArray | None = None
) -> NDArray:
    """The neuron, on floats or integers.

    Parameters
    ----------
    seen
        (..., K): the connections of each place (see `windows`).
    form
        Which terms.
    group
        Connections that share an extreme; divides K.
    positive, negative
        P and N, (J, K); no ``negative`` in the form ``signed``.
    sign
        (J, K / group) of 1 and -1, by which each group's term is multiplied; all 1 if None.

    Returns
    -------
    ndarray
        (..., J).
    """
    term = _grouped(seen[..., None, :] + positive, group).max(-1)
    if form != "signed":
        other = _grouped(seen[..., None, :] + negative, group)
        term = term + other.min(-1) if form == "maxmin" else term - other.max(-1)
    return (term if sign is None else sign * term).sum(-1)


def distances(
    seen: NDArray, sam_layer: Sam, group: int, p: NDArray, n: NDArray | None, sign: NDArray | None = None
) -> NDArray:
    """The integer neuron, without its constants: what the hardware sums.

    Parameters
    ----------
    seen
        Integers X, (..., K).
    sam_layer
        Form and shift.
    group
        Connections that share an extreme; divides K.
    p, n
        Codes of the distances, (J, K), not negative; no ``n`` in the form ``signed``.
    sign
        (J, K / group) of 1 and -1, by which each group's term is multiplied; all 1 if None, always so in the form
        ``difference``.

    Returns
    -------
    ndarray
        int64 (..., J): the sum over the groups of sign * (max(X - p) + min(X + n)), of max(X - p) - max(X - n), or of
        sign * max(X - p), with X and the codes in the units that ``shift`` says.
    """
    values, step = scaled_inputs(seen, sam_layer.shift), 1 << max(0, sam_layer.shift)
    positive = -step * p.astype(np.int64)
    negative = None if n is None else (step if sam_layer.form == "maxmin" else -step) * n.astype(np.int64)
    return sam(values, sam_layer.form, group, positive, negative, sign)


def scaled_inputs(seen: NDArray, shift: int) -> NDArray:
    """X in the unit of the sums: as it is, or multiplied where the weights' steps are finer."""
    return seen.astype(np.int64) << max(0, -shift)


def sum_range(
    form: Form, group: int, p: NDArray, n: NDArray | None, sign: NDArray | None, least: int, most: int
) -> tuple[NDArray, NDArray]:
    """The least and the greatest value of each unit's `distances`; both are reached by some input.

    Groups share no connection, so their extremes add up. max(X - p) and min(X + n) rise with every input, and each
    group has a distance of zero: they run from ``least`` to ``most``. A difference is greatest where one connection has
    the greatest input and all others the least: to raise it lifts the first maximum no less than the second.

    Parameters
    ----------
    form, group, p, n, sign
        As in `distances`; p and n in the unit of the sums (multiplied by 2**shift for a positive shift).
    least, most
        The range of X in the unit of the sums (see `scaled_inputs`).

    Returns
    -------
    tuple of ndarray
        int64 (J,) each.
    """
    p = _grouped(p.astype(np.int64), group)
    if form == "difference":
        n = _grouped(n.astype(np.int64), group)
        low, high = -_most(n, p, least, most), _most(p, n, least, most)
    else:
        halves = 1 if form == "signed" else 2
        low, high = np.full(p.shape[:-1], halves * least), np.full(p.shape[:-1], halves * most)
    if sign is not None:
        low, high = np.where(sign > 0, low, -high), np.where(sign > 0, high, -low)
    return low.sum(-1), high.sum(-1)


def _most(p: NDArray, n: NDArray, least: int, most: int) -> NDArray:
    """The greatest max(X - p) - max(X - n) of each group; (..., group) -> (...)."""
    if p.shape[-1] == 1:
        return np.zeros(p.shape[:-1], np.int64)
    resting = np.sort(least - n)  # what the second maximum is at least, by connections that are not lifted
    others = np.where(least - n == resting[..., -1:], resting[..., -2:-1], resting[..., -1:])
    return ((most - p) - np.maximum(most - n, others)).max(-1)


def _grouped(values: NDArray, group: int) -> NDArray:
    return values.reshape(*values.shape[:-1], -1, group)
