"""SAM with soft extremes: its definition, its limit, its gradients."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from hwprune.sam.functional import sam_conv2d, soft_sam_conv2d
from hwprune.sam.settings import FORMS


def slow_soft(x, positive, negative, sign, *, temperature, form, group, stride=1, padding=0, floor=False):
    """From the definition, with everything unfolded."""
    kernel = positive.shape[-1]
    seen = F.pad(x, (padding,) * 4).unfold(2, kernel, stride).unfold(3, kernel, stride).permute(0, 2, 3, 4, 5, 1)
    seen = seen.reshape(*seen.shape[:3], 1, -1, group)

    def extreme(weight, side):
        sums = seen + weight.permute(0, 2, 3, 1).reshape(len(weight), -1, group)
        sums = torch.cat([sums, torch.zeros_like(sums[..., :1])], -1) if floor else sums
        return side * temperature * torch.logsumexp(side * sums / temperature, -1)

    term = extreme(positive, 1)
    if form != "signed":
        term = term + extreme(negative, -1) if form == "maxmin" else term - extreme(negative, 1)
    return (term if sign is None else sign * term).sum(-1).permute(0, 3, 1, 2)


def operands(form, group, channels=8, kernel=3, dtype=torch.float64, has_sign=True, seed=0):
    generator = torch.Generator().manual_seed(seed)
    shape = (3, channels, kernel, kernel)
    x, p, n = (torch.randn(s, generator=generator, dtype=dtype) for s in ((2, channels, 6, 5), shape, shape))
    sign = torch.randint(0, 2, (3, channels * kernel**2 // group), generator=generator).to(dtype) * 2 - 1
    return [x, p, None if form == "signed" else n, sign if has_sign else None]


@settings(max_examples=25, deadline=None)
@given(
    form=st.sampled_from(FORMS),
    group=st.sampled_from([1, 2, 4, 8, 72]),
    stride=st.integers(1, 2),
    padding=st.integers(0, 2),
    temperature=st.sampled_from([1e-3, 0.1, 1.0, 30.0]),
    has_sign=st.booleans(),
    floor=st.booleans(),
    seed=st.integers(0, 999),
)
def test_values_and_gradients_are_those_of_the_definition(
    form, group, stride, padding, temperature, has_sign, floor, seed
):
    floor = floor and form != "maxmin"
    inputs = operands(form, group, has_sign=has_sign, seed=seed)
    given_inputs = [t.requires_grad_() for t in inputs if t is not None]
    options = dict(temperature=temperature, form=form, group=group, stride=stride, padding=padding, floor=floor)
    results = []
    for function in (soft_sam_conv2d, slow_soft):
        out = function(*inputs, **options)
        go = torch.linspace(-1, 2, out.numel(), dtype=out.dtype).reshape(out.shape)
        results.append([out, *torch.autograd.grad(out, given_inputs, go)])
    for ours, theirs in zip(*results, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(("form", "floor"), [(form, False) for form in FORMS] + [("difference", True)])
@pytest.mark.parametrize("group", [4, 72])
def test_cold_it_is_the_hard_layer(form, floor, group):
    inputs = operands(form, group, dtype=torch.float32)
    hard = sam_conv2d(*inputs, form=form, group=group, padding=1, floor=floor)
    extremes = 72 / group * (1 if form == "signed" else 2)
    for temperature in (1.0, 0.1, 1e-2, 1e-4):
        soft = soft_sam_conv2d(*inputs, temperature=temperature, form=form, group=group, padding=1, floor=floor)
        assert soft.isfinite().all()
        assert (soft - hard).abs().max() <= extremes * temperature * math.log(group + floor) + 1e-4


@pytest.mark.parametrize(("form", "group"), [("difference", 2), ("maxmin", 36), ("signed", 4)])
def test_gradcheck(form, group):
    inputs = operands(form, group, channels=4)
    inputs[0] = inputs[0][:1, :, :3, :3].clone()
    inputs = [None if t is None else t.requires_grad_() for t in inputs]
    for temperature in (0.5, 1e-3):  # products of exponentials, and sums one by one
        assert torch.autograd.gradcheck(
            lambda *t, temperature=temperature: soft_sam_conv2d(
                *t, temperature=temperature, form=form, group=group, padding=1
            ),
            inputs,
            eps=1e-8,
            atol=1e-4,
            fast_mode=True,
        )


@pytest.mark.parametrize("temperature", [0.0, -1.0, math.nan])
def test_a_temperature_that_is_none(temperature):
    with pytest.raises(ValueError, match="temperature"):
        soft_sam_conv2d(*operands("difference", 4), temperature=temperature, form="difference", group=4)


def test_what_does_not_fit_is_told():
    with pytest.raises(ValueError, match="a group of 5"):
        soft_sam_conv2d(*operands("difference", 4), temperature=1.0, form="difference", group=5)
