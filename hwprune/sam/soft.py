"""SAM with soft extremes, by which a layer is annealed into a hard one: log-sum-exp in the place of the maximum."""

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from hwprune.sam.geometry import Geometry
from hwprune.sam.settings import Form

_SAFE = {torch.float32: 80.0, torch.float64: 600.0}
"""Powers of e that a product of exponentials may lose before it underflows."""
_CHUNK = 1 << 24
"""Elements of the largest temporary tensor."""


def soft_sam_conv2d(
    x: Tensor,
    positive: Tensor,
    negative: Tensor | None = None,
    sign: Tensor | None = None,
    *,
    temperature: float,
    form: Form,
    group: int,
    stride: int = 1,
    padding: int = 0,
    floor: bool = False,
) -> Tensor:
    """`hwprune.sam.functional.sam_conv2d` with T log sum exp(s / T) for max(s), -T log sum exp(-s / T) for min(s).

    A floor is one more summand exp(0 / T). It goes to the hard layer as T goes to 0, which it exceeds (or undercuts) by
    at most T log(group + floor) an extreme.

    A sum of exponentials factors into those of x and those of the weights, so it is a product of matrices for each
    group, as in convolutions over the log semiring; where that could underflow (weights of a group further apart than
    some 80 T) the sums are formed one by one, which is exact but far slower. Works on any device; what the gradient
    needs is computed again in the backward, so that memory stays at some outputs.

    Parameters
    ----------
    temperature
        T > 0, in the unit of x.
    x, positive, negative, sign, form, group, stride, padding, floor
        As in `hwprune.sam.functional.sam_conv2d`.

    Raises
    ------
    ValueError
        If the temperature is not positive, or shapes, types, devices, form or group do not fit together.
    """
    if not temperature > 0:
        raise ValueError(f"temperature {temperature}: it must be above 0; sam_conv2d is the limit")
    g = Geometry.of(x, positive, negative, sign, form, group, stride, padding, floor)
    inner = min(g.group, g.channels)  # what of a group lies at one kernel position
    whole = g.group > g.channels
    weights = [positive] if negative is None else [positive, negative]
    spread = max(_spread(w, inner) for w in weights) if positive.numel() else 0.0
    direct = not spread <= _SAFE[x.dtype] * temperature
    padded = F.pad(x, (g.padding,) * 4)
    # (units, groups) for each kernel position; one column for the whole receptive field
    factors = None if sign is None else sign.reshape(g.units, 1 if whole else g.kernel**2, -1)

    def extremes(w: Tensor, minimum: bool, position: int, first: int, last: int, of: Tensor) -> Tensor:
        """Soft extremes of the groups [first, last) of a kernel position: (N, units, groups, places)."""
        ky, kx = divmod(position, g.kernel)
        seen = of[:, :, ky : ky + g.stride * (g.out_height - 1) + 1 : g.stride]
        seen = seen[..., kx : kx + g.stride * (g.out_width - 1) + 1 : g.stride]
        seen = seen.unflatten(1, (-1, inner))[:, first:last].flatten(3)
        mine = w[:, :, ky, kx].unflatten(1, (-1, inner))[:, first:last]
        if minimum:
            seen, mine = -seen, -mine
        soft = (_direct if direct else _factored)(seen, mine, temperature)
        return -soft if minimum else soft

    def floored(soft: Tensor) -> Tensor:
        return temperature * torch.logaddexp(soft / temperature, soft.new_zeros(())) if floor else soft

    def terms(position: int, first: int, last: int, of: Tensor, factor: Tensor | None, *w: Tensor) -> Tensor:
        """The sum of the terms of some groups of a kernel position."""
        term = floored(extremes(w[0], False, position, first, last, of))
        if len(w) == 2:
            second = floored(extremes(w[1], form == "maxmin", position, first, last, of))
            term = term + second if form == "maxmin" else term - second
        return term.sum(2) if factor is None else torch.einsum("njgp,jg->njp", term, factor[:, position, first:last])

    def field(of: Tensor, w: Tensor, minimum: bool) -> Tensor:
        """The extreme of the whole receptive field, from those of its positions."""
        scale = -temperature if minimum else temperature
        parts = [extremes(w, minimum, position, 0, 1, of).squeeze(2) / scale for position in range(g.kernel**2)]
        return floored(scale * torch.stack(parts).logsumexp(0))

    if whole:
        total = checkpoint(field, padded, positive, False, use_reentrant=False)
        if negative is not None:
            second = checkpoint(field, padded, negative, form == "maxmin", use_reentrant=False)
            total = total + second if form == "maxmin" else total - second
        if factors is not None:
            total = total * factors[:, 0]
    else:
        groups = g.channels // inner
        size = g.images * g.units * g.out_height * g.out_width * (inner if direct else 1)
        step = max(1, min(groups, _CHUNK // max(1, size)))
        total = x.new_zeros(g.images, g.units, g.out_height * g.out_width)
        for position in range(g.kernel**2):
            for first in range(0, groups, step):
                last = min(groups, first + step)
                total = total + checkpoint(terms, position, first, last, padded, factors, *weights, use_reentrant=False)
    return total.unflatten(2, (g.out_height, g.out_width))


def _spread(weight: Tensor, inner: int) -> float:
    """The greatest distance of two weights of a group at one kernel position."""
    values = weight.detach().unflatten(1, (-1, inner))
    return float((values.amax(2) - values.amin(2)).max())


def _factored(seen: Tensor, weight: Tensor, temperature: float) -> Tensor:
    """T log sum_i exp((x_i + w_i) / T) of (N, groups, i, places) and (units, groups, i): (N, units, groups, places)."""
    top, best = seen.detach().amax(2, keepdim=True), weight.detach().amax(2, keepdim=True)
    sums = torch.einsum("ngip,jgi->njgp", ((seen - top) / temperature).exp(), ((weight - best) / temperature).exp())
    return temperature * sums.log() + top.squeeze(2).unsqueeze(1) + best.squeeze(2)[..., None]


def _direct(seen: Tensor, weight: Tensor, temperature: float) -> Tensor:
    """As `_factored`, from the sums themselves."""
    return temperature * ((seen.unsqueeze(1) + weight[..., None]) / temperature).logsumexp(3)
