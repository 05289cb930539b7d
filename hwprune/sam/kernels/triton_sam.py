"""The kernel on a GPU: Triton.

So far it was run in Triton's interpreter only (against the CPU's kernel) and compiled for a GPU; it never ran on one,
and was never timed.

A program of the forward owns some places (image, row, column) of some units and walks over the groups, of each
group over its connections, so nothing unfolded is stored. The backward is two kernels, both of which find the winners
again: one owns places of all units and scatters into the gradient of x, one owns a group of some units over a fixed
share of the places and sums the gradients of its weights, in partial sums that are added in a fixed order. So the
gradients of the weights and signs are the same, bit for bit, in every run; the gradient of x is summed by atomic
additions of windows that overlap, whose order is not fixed: it may differ from run to run in its last bits.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor

from hwprune.sam.geometry import Geometry
from hwprune.sam.settings import FORMS, Form

MAXMIN, DIFFERENCE, SIGNED = (tl.constexpr(FORMS.index(form)) for form in ("maxmin", "difference", "signed"))
UNITS, PLACES = 16, 64
"""Of a program."""
SHARES = 64
"""At most so many partial sums of the weights' gradients."""


@triton.jit
def _inputs(x, places, first, i, sizes: tl.constexpr, alive):
    """x of connection first + i at the places, zero outside of the image, and where it lies."""
    channels: tl.constexpr = sizes[0]
    height: tl.constexpr = sizes[1]
    width: tl.constexpr = sizes[2]
    kernel: tl.constexpr = sizes[3]
    stride: tl.constexpr = sizes[4]
    padding: tl.constexpr = sizes[5]
    out_height: tl.constexpr = sizes[6]
    out_width: tl.constexpr = sizes[7]
    number = first + i
    channel = number % channels
    position = number // channels
    image = places // (out_height * out_width)
    row = places // out_width % out_height * stride + position // kernel - padding
    column = places % out_width * stride + position % kernel - padding
    inside = alive & (row >= 0) & (row < height) & (column >= 0) & (column < width)
    at = ((image.to(tl.int64) * channels + channel) * height + row) * width + column
    return tl.load(x + at, mask=inside, other=0.0), at, inside


@triton.jit
def _weights(w, units, first, i, sizes: tl.constexpr, present):
    """Weights of connection first + i of the units, and where they lie."""
    channels: tl.constexpr = sizes[0]
    area: tl.constexpr = sizes[3] * sizes[3]
    number = first + i
    at = (units.to(tl.int64) * channels + number % channels) * area + number // channels
    return tl.load(w + at, mask=present, other=0.0), at


@triton.jit
def _extremes(
    x,
    positive,
    negative,
    places,
    units,
    first,
    form: tl.constexpr,
    floor: tl.constexpr,
    group: tl.constexpr,
    sizes: tl.constexpr,
    alive,
    present,
):
    """Extremes of one group and the numbers of their winners: (places, units). A minimum is a maximum of negatives."""
    value, _, _ = _inputs(x, places, first, 0, sizes, alive)
    weight, _ = _weights(positive, units, first, 0, sizes, present)
    a = value[:, None] + weight[None, :]
    winner_a = tl.zeros(a.shape, tl.int32)
    b = tl.zeros_like(a)
    winner_b = tl.zeros(a.shape, tl.int32)
    if form != SIGNED:
        weight, _ = _weights(negative, units, first, 0, sizes, present)
        b = value[:, None] + weight[None, :]
        if form == MAXMIN:
            b = -b
    for i in range(1, group):
        value, _, _ = _inputs(x, places, first, i, sizes, alive)
        weight, _ = _weights(positive, units, first, i, sizes, present)
        s = value[:, None] + weight[None, :]
        better = (s > a) | ((s != s) & (a == a))  # NaN wins
        a = tl.where(better, s, a)
        winner_a = tl.where(better, i, winner_a)
        if form != SIGNED:
            weight, _ = _weights(negative, units, first, i, sizes, present)
            s = value[:, None] + weight[None, :]
            if form == MAXMIN:
                s = -s
            better = (s > b) | ((s != s) & (b == b))
            b = tl.where(better, s, b)
            winner_b = tl.where(better, i, winner_b)
    if floor:  # connection -1
        winner_a = tl.where(a <= 0, -1, winner_a)
        a = tl.where(a <= 0, 0.0, a)
        winner_b = tl.where(b <= 0, -1, winner_b)
        b = tl.where(b <= 0, 0.0, b)
    return a, winner_a, b, winner_b


@triton.jit
def _forward(
    x,
    positive,
    negative,
    sign,
    out,
    total,
    all_units,
    form: tl.constexpr,
    floor: tl.constexpr,
    has_sign: tl.constexpr,
    group: tl.constexpr,
    groups: tl.constexpr,
    sizes: tl.constexpr,
    block_j: tl.constexpr,
    block_t: tl.constexpr,
):
    area: tl.constexpr = sizes[6] * sizes[7]
    places = tl.program_id(0) * block_t + tl.arange(0, block_t)
    units = tl.program_id(1) * block_j + tl.arange(0, block_j)
    alive, present = places < total, units < all_units
    sums = tl.zeros((block_t, block_j), out.dtype.element_ty)
    for q in range(groups):
        a, _, b, _ = _extremes(
            x, positive, negative, places, units, q * group, form, floor, group, sizes, alive, present
        )
        term = a - b
        if has_sign:
            term *= tl.load(sign + units * groups + q, mask=present, other=0.0)[None, :]
        sums += term
    at = (places // area).to(tl.int64)[:, None] * (all_units * area) + units[None, :] * area + (places % area)[:, None]
    tl.store(out + at, sums, mask=alive[:, None] & present[None, :])


@triton.jit
def _given(
    go,
    sign,
    places,
    units,
    q,
    all_units,
    has_sign: tl.constexpr,
    groups: tl.constexpr,
    sizes: tl.constexpr,
    alive,
    present,
):
    """The gradient of the outputs, and of the group's term."""
    area: tl.constexpr = sizes[6] * sizes[7]
    at = (places // area).to(tl.int64)[:, None] * (all_units * area) + units[None, :] * area + (places % area)[:, None]
    given = tl.load(go + at, mask=alive[:, None] & present[None, :], other=0.0)
    scaled = given
    if has_sign:
        scaled = given * tl.load(sign + units * groups + q, mask=present, other=0.0)[None, :]
    return given, scaled


@triton.jit
def _backward_x(
    x,
    positive,
    negative,
    sign,
    go,
    gx,
    total,
    all_units,
    form: tl.constexpr,
    floor: tl.constexpr,
    has_sign: tl.constexpr,
    group: tl.constexpr,
    groups: tl.constexpr,
    sizes: tl.constexpr,
    block_j: tl.constexpr,
    block_t: tl.constexpr,
):
    places = tl.program_id(0) * block_t + tl.arange(0, block_t)
    q = tl.program_id(1)
    alive = places < total
    for block in range(tl.cdiv(all_units, block_j)):
        units = block * block_j + tl.arange(0, block_j)
        present = units < all_units
        _, first, _, second = _extremes(
            x, positive, negative, places, units, q * group, form, floor, group, sizes, alive, present
        )
        _, scaled = _given(go, sign, places, units, q, all_units, has_sign, groups, sizes, alive, present)
        for i in range(group):
            part = tl.where(first == i, scaled, 0.0)
            if form == MAXMIN:
                part += tl.where(second == i, scaled, 0.0)
            if form == DIFFERENCE:
                part -= tl.where(second == i, scaled, 0.0)
            _seen, at, inside = _inputs(x, places, q * group, i, sizes, alive)
            tl.atomic_add(gx + at, tl.sum(part, 1), mask=inside)


@triton.jit
def _backward_w(
    x,
    positive,
    negative,
    sign,
    go,
    gp,
    gn,
    gsign,
    total,
    all_units,
    weights,
    form: tl.constexpr,
    floor: tl.constexpr,
    has_sign: tl.constexpr,
    group: tl.constexpr,
    groups: tl.constexpr,
    sizes: tl.constexpr,
    steps: tl.constexpr,
    block_j: tl.constexpr,
    block_t: tl.constexpr,
):
    units = tl.program_id(0) * block_j + tl.arange(0, block_j)
    q, share = tl.program_id(1), tl.program_id(2)
    present = units < all_units
    for step in range(steps):
        places = (share * steps + step) * block_t + tl.arange(0, block_t)
        alive = places < total
        a, first, b, second = _extremes(
            x, positive, negative, places, units, q * group, form, floor, group, sizes, alive, present
        )
        given, scaled = _given(go, sign, places, units, q, all_units, has_sign, groups, sizes, alive, present)
        if has_sign:
            at_sign = gsign + share * (all_units * groups) + units * groups + q
            # What takes no part must not bring NaN in.
            part = tl.sum(tl.where(alive[:, None], given * (a - b), 0.0), 0)
            tl.store(at_sign, tl.load(at_sign, mask=present) + part, mask=present)
        for i in range(group):
            _weight, at = _weights(positive, units, q * group, i, sizes, present)
            at += share.to(tl.int64) * weights
            part = tl.sum(tl.where(first == i, scaled, 0.0), 0)
            tl.store(gp + at, tl.load(gp + at, mask=present) + part, mask=present)
            if form != SIGNED:
                part = tl.sum(tl.where(second == i, scaled, 0.0), 0)
                if form == DIFFERENCE:
                    part = -part
                tl.store(gn + at, tl.load(gn + at, mask=present) + part, mask=present)


def _constants(form: Form, floor: bool, g: Geometry, sign: Tensor | None) -> dict:
    sizes = (g.channels, g.height, g.width, g.kernel, g.stride, g.padding, g.out_height, g.out_width)
    return dict(
        form=FORMS.index(form),
        floor=floor,
        has_sign=sign is not None,
        group=g.group,
        groups=g.channels * g.kernel**2 // g.group,
        sizes=sizes,
        block_j=UNITS,
        block_t=PLACES,
    )


def forward(
    x: Tensor,
    positive: Tensor,
    negative: Tensor | None,
    sign: Tensor | None,
    form: Form,
    geometry: Geometry,
    floor: bool,
) -> Tensor:
    """The sums."""
    g, x = geometry, x.contiguous()
    out = x.new_empty(g.images, g.units, g.out_height, g.out_width)
    total = g.images * g.out_height * g.out_width
    if out.numel():
        _forward[triton.cdiv(total, PLACES), triton.cdiv(g.units, UNITS)](
            x, positive, negative, sign, out, total, g.units, **_constants(form, floor, g, sign)
        )
    return out


def backward(
    x: Tensor,
    positive: Tensor,
    negative: Tensor | None,
    sign: Tensor | None,
    go: Tensor,
    form: Form,
    geometry: Geometry,
    floor: bool,
    needs_x: bool,
) -> tuple[Tensor | None, Tensor, Tensor | None, Tensor | None]:
    """Gradients of x (None if not needed), positive, negative and sign."""
    g, x = geometry, x.contiguous()
    total, constants = g.images * g.out_height * g.out_width, _constants(form, floor, g, sign)
    gx = torch.zeros_like(x) if needs_x else None
    steps = max(1, triton.cdiv(triton.cdiv(total, PLACES), _shares(total, g)))
    shares = max(1, triton.cdiv(triton.cdiv(total, PLACES), steps))
    gp, gn, gsign = (None if t is None else t.new_zeros(shares, *t.shape) for t in (positive, negative, sign))
    if total and g.units:
        if needs_x:
            _backward_x[triton.cdiv(total, PLACES), constants["groups"]](
                x, positive, negative, sign, go, gx, total, g.units, **constants
            )
        _backward_w[triton.cdiv(g.units, UNITS), constants["groups"], shares](
            x, positive, negative, sign, go, gp, gn, gsign, total, g.units, positive.numel(), steps=steps, **constants
        )
    return gx, *(None if t is None else t.sum(0) for t in (gp, gn, gsign))


def _shares(total: int, g: Geometry) -> int:
    """Enough programs for a large GPU, and partial sums no larger than the output."""
    weights = g.units * g.channels * g.kernel**2
    programs = triton.cdiv(g.units, UNITS) * (g.channels * g.kernel**2 // g.group)
    return max(1, min(SHARES, triton.cdiv(1024, programs), total * g.units // max(1, weights)))
