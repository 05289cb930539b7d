"""The fused operator against the definition, and its gradients against a slow twin in plain torch."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from hwprune.sam.functional import sam_conv2d
from hwprune.sam.neuron import connections, sam, windows
from hwprune.sam.settings import FORMS


def slow_sam(x, positive, negative, sign, *, form, group, stride=1, padding=0, floor=False) -> Tensor:
    """Unfold, add, take the winner by index: as torch differentiates it, ties to the lowest connection."""
    kernel = positive.shape[-1]
    seen = F.pad(x, (padding,) * 4).unfold(2, kernel, stride).unfold(3, kernel, stride).permute(0, 2, 3, 4, 5, 1)
    seen = seen.reshape(*seen.shape[:3], 1, -1, group)

    def extreme(weight: Tensor, find) -> Tensor:
        sums = seen + weight.permute(0, 2, 3, 1).reshape(len(weight), -1, group)
        sums = torch.cat([torch.zeros_like(sums[..., :1]), sums], -1) if floor else sums
        winners = (sums == find(sums.detach(), -1, keepdim=True)).cumsum(-1).eq(0).sum(-1, keepdim=True)
        return sums.gather(-1, winners).squeeze(-1)

    term = extreme(positive, torch.amax)
    if form != "signed":
        term = term + extreme(negative, torch.amin) if form == "maxmin" else term - extreme(negative, torch.amax)
    return (term if sign is None else sign * term).sum(-1).permute(0, 3, 1, 2)


@st.composite
def layers(draw) -> dict:
    """Sizes of a layer, its form and its inputs' kind."""
    kernel = draw(st.integers(1, 3))
    group = draw(st.sampled_from([1, 2, 3, 4, 5, 6, 8, 9, 13, 16]))
    channels = group * draw(st.integers(1, 3))
    if draw(st.integers(0, 3)) == 0:
        group = channels * kernel**2
    padding, form = draw(st.integers(0, 2)), draw(st.sampled_from(FORMS))
    least = max(1, kernel - 2 * padding)
    return {
        "shape": (draw(st.integers(1, 3)), channels, draw(st.integers(least, 12)), draw(st.integers(least, 40))),
        "units": draw(st.integers(1, 6)),
        "kernel": kernel,
        "group": group,
        "stride": draw(st.integers(1, 3)),
        "padding": padding,
        "form": form,
        "floor": form != "maxmin" and draw(st.booleans()),
        "has_sign": draw(st.booleans()),
        "integers": draw(st.booleans()),  # full of ties
        "seed": draw(st.integers(0, 2**16)),
    }


def tensors(layer: dict, dtype: torch.dtype) -> tuple[list[Tensor | None], dict]:
    """x, positive, negative, sign, and the other arguments."""
    generator = torch.Generator().manual_seed(layer["seed"])

    def values(*shape: int) -> Tensor:
        if layer["integers"]:
            return torch.randint(-2, 3, shape, generator=generator).to(dtype).requires_grad_()
        return torch.randn(shape, generator=generator, dtype=dtype).requires_grad_()

    shape = (layer["units"], layer["shape"][1], layer["kernel"], layer["kernel"])
    x, positive, negative = values(*layer["shape"]), values(*shape), values(*shape)
    sign = None
    if layer["has_sign"]:
        groups = shape[1] * shape[2] ** 2 // layer["group"]
        sign = torch.randint(0, 2, (shape[0], groups), generator=generator).to(dtype).mul(2).sub(1).requires_grad_()
    options = {key: layer[key] for key in ("form", "group", "stride", "padding", "floor")}
    return [x, positive, None if layer["form"] == "signed" else negative, sign], options


def gradients(function, inputs: list[Tensor | None], options: dict, seed: int, integers: bool) -> list[Tensor]:
    """The sums and every gradient."""
    out = function(*inputs, **options)
    generator = torch.Generator().manual_seed(seed)
    go = torch.randint(-3, 4, out.shape, generator=generator).to(out.dtype)
    if not integers:
        go = go + torch.rand(out.shape, generator=generator, dtype=out.dtype)
    return [out, *torch.autograd.grad(out, [t for t in inputs if t is not None], go)]


@settings(max_examples=60, deadline=None)
@given(layer=layers())
def test_values_are_those_of_the_definition(layer):
    inputs, options = tensors(layer, torch.float64)
    x, positive, negative, sign = (None if t is None else t.detach().numpy() for t in inputs)
    want = sam(
        windows(x, layer["kernel"], layer["stride"], layer["padding"]),
        layer["form"],
        layer["group"],
        connections(positive),
        None if negative is None else connections(negative),
        sign,
        layer["floor"],
    )
    got = sam_conv2d(*inputs, **options).detach().numpy().transpose(0, 2, 3, 1)
    if layer["integers"]:
        assert np.array_equal(got, want)
    else:  # the terms are exact; only their sum rounds
        np.testing.assert_allclose(got, want, rtol=0, atol=1e-13 * (1 + positive[0].size))


@settings(max_examples=80, deadline=None)
@given(layer=layers(), dtype=st.sampled_from([torch.float32, torch.float64]))
def test_gradients_are_those_of_the_slow_twin(layer, dtype):
    inputs, options = tensors(layer, dtype)
    got = gradients(sam_conv2d, inputs, options, layer["seed"], layer["integers"])
    want = gradients(slow_sam, inputs, options, layer["seed"], layer["integers"])
    for ours, theirs in zip(got, want, strict=True):
        if layer["integers"]:
            assert torch.equal(ours, theirs)
        else:
            torch.testing.assert_close(ours, theirs, rtol=1e-3 if dtype == torch.float32 else 1e-10,
                                       atol=1e-3 if dtype == torch.float32 else 1e-10)  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("group", [3, 27])
def test_gradcheck(form, group):
    torch.manual_seed(0)
    x, positive, negative = (torch.randn(s, dtype=torch.float64, requires_grad=True)
                             for s in ((2, 3, 5, 4), (2, 3, 3, 3), (2, 3, 3, 3)))  # fmt: skip
    sign = torch.randn(2, 27 // group, dtype=torch.float64, requires_grad=True)
    second = None if form == "signed" else negative
    assert torch.autograd.gradcheck(
        lambda *t: sam_conv2d(*t, form=form, group=group, padding=1), (x, positive, second, sign), eps=1e-7, atol=1e-5
    )


@pytest.mark.parametrize(("channels", "group"), [(16, 4), (4, 4), (3, 27), (10, 5)])
def test_bits_do_not_depend_on_threads_nor_on_the_run(channels, group):
    layer = dict(shape=(5, channels, 17, 19), units=9, kernel=3, group=group, stride=1, padding=1, form="difference",
                 floor=False, has_sign=True, integers=False, seed=1)  # fmt: skip
    before, results = torch.get_num_threads(), []
    inputs, options = tensors(layer, torch.float32)
    try:
        for threads in (1, 2, 3, 3):
            torch.set_num_threads(threads)
            results.append(gradients(sam_conv2d, inputs, options, 1, False))
    finally:
        torch.set_num_threads(before)
    for other in results[1:]:
        assert all(torch.equal(a, b) for a, b in zip(results[0], other, strict=True))


@pytest.mark.parametrize("group", [4, 72])
def test_any_memory_layout(group):
    layer = dict(shape=(2, 8, 7, 6), units=5, kernel=3, group=group, stride=2, padding=1, form="maxmin", has_sign=True,
                 floor=False, integers=False, seed=3)  # fmt: skip
    inputs, options = tensors(layer, torch.float64)
    want = gradients(sam_conv2d, inputs, options, 3, False)
    x, positive, negative, sign = (t.detach() for t in inputs)
    wide = torch.zeros(2, 8, 7, 12, dtype=torch.float64)[..., ::2].copy_(x)
    for other in (x.to(memory_format=torch.channels_last), wide, x.flip(0, 2).contiguous().flip(0, 2)):
        turned = [other, positive.transpose(2, 3).contiguous().transpose(2, 3), negative, sign.t().contiguous().t()]
        got = gradients(sam_conv2d, [t.requires_grad_() for t in turned], options, 3, False)
        assert all(torch.equal(a, b) for a, b in zip(got, want, strict=True))


def test_an_empty_batch():
    inputs = [torch.zeros(0, 4, 5, 5), torch.zeros(3, 4, 3, 3), torch.zeros(3, 4, 3, 3), torch.ones(3, 9)]
    for tensor in inputs:
        tensor.requires_grad_()
    out, *rest = gradients(sam_conv2d, inputs, dict(form="maxmin", group=4), 0, False)
    assert out.shape == (0, 3, 3, 3)
    assert all(a.shape == b.shape and not a.any() for a, b in zip(rest, inputs, strict=True))


def test_nan_spreads_as_in_numpy_and_a_dead_connection_never_wins():
    x = torch.arange(32.0).reshape(1, 8, 2, 2)
    positive, negative = torch.zeros(2, 8, 1, 1), torch.zeros(2, 8, 1, 1)
    positive[0, 3] = -torch.inf
    negative[1, 5] = torch.nan
    x[0, 2, 0, 0] = torch.nan
    out = sam_conv2d(x, positive, negative, form="difference", group=4)
    assert torch.equal(out.isnan(), torch.tensor([[[[1, 0], [0, 0]], [[1, 1], [1, 1]]]]).bool())
    assert out[0, 0, 1, 1] == -4  # channel 2 in the place of channel 3


def good() -> dict:
    x, weight = torch.zeros(1, 6, 4, 4), torch.zeros(2, 6, 3, 3)
    return dict(x=x, positive=weight, negative=weight, sign=None, form="difference", group=3)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (dict(group=4), "a group of 4 .* 6 channels, or be all 54"),
        (dict(group=0), "a group of 0"),
        (dict(form="sum"), "'sum'"),
        (dict(form="maxmin", floor=True), "no floor"),
        (dict(form="signed"), "signed takes no negative"),
        (dict(negative=None), "not None"),
        (dict(negative=torch.zeros(2, 6, 1, 1)), r"negative has shape \(2, 6, 1, 1\)"),
        (dict(positive=torch.zeros(2, 5, 3, 3)), r"positive has shape \(2, 5, 3, 3\)"),
        (dict(positive=torch.zeros(2, 6, 3, 1)), r"\(2, 6, 3, 1\)"),
        (dict(sign=torch.ones(2, 6)), r"sign has shape \(2, 6\); it must be \(2, 18\)"),
        (dict(x=torch.zeros(6, 4, 4)), r"x has shape \(6, 4, 4\)"),
        (dict(x=torch.zeros(1, 6, 2, 4)), "3x3 does not fit into 2x4"),
        (dict(x=torch.zeros(1, 6, 4, 4).half()), "float16"),
        (dict(positive=torch.zeros(2, 6, 3, 3).double()), "positive is torch.float64"),
        (dict(stride=0), "stride 0"),
        (dict(padding=-1), "padding -1"),
        (dict(x=torch.zeros(1, 6, 4, 4, device="meta")), "meta"),
    ],
)
def test_what_does_not_fit_is_told(change, message):
    assert sam_conv2d(**good()).shape == (1, 2, 2, 2)
    with pytest.raises(ValueError, match=message):
        sam_conv2d(**(good() | change))
