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

With a *floor* every maximum is max(0, max_i(x_i + P_ij)), for x >= 0 and P, N <= 0: a group can be silent, and a group
of one connection is no longer linear.

*Padding.* A padded pixel takes part with x = 0, as in a convolution: this is what the sliding window of the hardware
delivers, and zero is the value of an absent feature behind a ReLU. (To leave it out would change the size of the
groups at the border, and could leave a group with nobody in it.)

*Ties.* The connection with the lowest number wins, and gets the whole gradient; a floor wins over all connections.

**Integer.** With x = a * X (X of ``bits`` bits, a the activation's scale) and weights that are multiples of
a * 2**shift, a group's maximum depends on the weights' distances from the greatest of them alone:
max_i(x_i + P_i) = max(P) + a * max_i(X_i - p_i) with p_i = (max(P) - P_i) / a >= 0. The constants are summed into
the layer's bias. So the integer neuron has *distances* p, n: unsigned codes, at least one of each group zero, and

- max_i(X_i - p_i) lies between the least and the greatest X: a negative X_i - p_i can saturate, a distance that spans
  the range of X is dead (it never wins), and no intermediate value needs more bits than X;
- min_i(X_i + n_i) = top - max_i((top - X_i) - n_i): a minimum is the maximum of the complements;
- a signed X is counted from its least value, which flips its highest bit;
- with a floor the distances are counted from zero, p_i = -P_i / a: no constants, no zero distance needed, and the floor
  is the saturation that the hardware has anyway.

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
    seen: NDArray,
    form: Form,
    group: int,
    positive: NDArray,
    negative: NDArray | None,
    sign: NDArray | None = None,
    floor: bool = False,
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
    floor
        Maxima start at zero.

    Returns
    -------
    ndarray
        (..., J).
    """

    def greatest(weights: NDArray) -> NDArray:
        values = _grouped(seen[..., None, :] + weights, group).max(-1)
        return np.maximum(values, 0) if floor else values

    term = greatest(positive)
    if form == "maxmin":
        term = term + _grouped(seen[..., None, :] + negative, group).min(-1)
    elif form == "difference":
        term = term - greatest(negative)
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
    return sam(values, sam_layer.form, group, positive, negative, sign, sam_layer.floor)


def scaled_inputs(seen: NDArray, shift: int) -> NDArray:
    """X in the unit of the sums: as it is, or multiplied where the weights' steps are finer."""
    return seen.astype(np.int64) << max(0, -shift)


def dead_distance(span: int, shift: int) -> int:
    """The least code of a connection that never wins, for inputs that run over ``span`` steps (see `Sam.shift`)."""
    return -(-(span << max(0, -shift)) // (1 << max(0, shift)))


def sum_range(
    form: Form,
    group: int,
    p: NDArray,
    n: NDArray | None,
    sign: NDArray | None,
    least: int,
    most: int,
    floor: bool = False,
) -> tuple[NDArray, NDArray]:
    """The least and the greatest value of each unit's `distances`; both are reached by some input.

    Groups share no connection, so their extremes add up. max(X - p) and min(X + n) rise with every input; where each
    group has a distance of zero, they run from ``least`` to ``most``. A difference is greatest where one connection has
    the greatest input and all others the least (above the floor, that lifts the first maximum no less than the second),
    or where all have the least.

    Parameters
    ----------
    form, group, p, n, sign
        As in `distances`; p and n in the unit of the sums (multiplied by 2**shift for a positive shift).
    least, most
        The range of X in the unit of the sums (see `scaled_inputs`).
    floor
        Maxima start at zero.

    Returns
    -------
    tuple of ndarray
        int64 (J,) each.
    """
    start = 0 if floor else np.iinfo(np.int64).min
    p = _grouped(p.astype(np.int64), group)
    if form == "difference":
        n = _grouped(n.astype(np.int64), group)
        low, high = -_most(n, p, least, most, start), _most(p, n, least, most, start)
    elif form == "maxmin":
        n = _grouped(n.astype(np.int64), group)
        low, high = ((end - p).max(-1) + (end + n).min(-1) for end in (least, most))
    else:
        low, high = (np.maximum((end - p).max(-1), start) for end in (least, most))
    if sign is not None:
        low, high = np.where(sign > 0, low, -high), np.where(sign > 0, high, -low)
    return low.sum(-1), high.sum(-1)


def _most(p: NDArray, n: NDArray, least: int, most: int, start: int) -> NDArray:
    """The greatest max(X - p) - max(X - n) of each group, maxima from ``start`` on; (..., group) -> (...)."""
    resting = np.sort(least - n)  # what the second maximum is at least, by connections that are not lifted
    if p.shape[-1] > 1:
        others = np.where(least - n == resting[..., -1:], resting[..., -2:-1], resting[..., -1:])
    else:
        others = np.full_like(n, np.iinfo(np.int64).min)
    second = np.maximum(np.maximum(most - n, others), start)
    lifted = (np.maximum(most - p, start) - second).max(-1)
    none_lifted = np.maximum((least - p).max(-1), start) - np.maximum(resting[..., -1], start)
    return np.maximum(lifted, none_lifted)


def _grouped(values: NDArray, group: int) -> NDArray:
    return values.reshape(*values.shape[:-1], -1, group)
