"""The float, the quantised and the integer layer against the definition."""

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from hwprune.sam import neuron
from hwprune.sam.integer import IntegerSamConv2d
from hwprune.sam.layer import SamConv2d
from hwprune.sam.settings import FORMS, Sam


@st.composite
def layers(draw):
    """(in_channels, out_channels, kernel, stride, padding), a neuron that fits, and an input size."""
    channels, kernel = draw(st.integers(1, 6)), draw(st.sampled_from([1, 2, 3]))
    form = draw(st.sampled_from(FORMS))
    floor = form != "maxmin" and draw(st.booleans())
    divisors = [g for g in range(1, channels + 1) if channels % g == 0]
    sam = Sam(form=form, group=draw(st.sampled_from([0, *divisors])), shift=draw(st.integers(-2, 2)), floor=floor)
    assume(sam.allows(sam.group or channels * kernel**2))
    shape = (channels, draw(st.integers(1, 4)), kernel, draw(st.integers(1, 2)), draw(st.integers(0, 1)))
    return shape, sam, (draw(st.integers(3, 7)), draw(st.integers(3, 7))), draw(st.integers(0, 2**16))


def defined(x, weights, sign, layer, function):
    """What ``function`` of the definition gives on a layer's windows, as (N, J, h, w)."""
    kernel = weights[0].shape[2]
    seen = neuron.windows(x.numpy(), kernel, layer.stride, layer.padding)
    flat = [None if w is None else neuron.connections(w.detach().numpy()) for w in weights]
    return function(seen, *flat, None if sign is None else sign.detach().numpy()).transpose(0, 3, 1, 2)


@given(layers())
@settings(deadline=None, max_examples=25)
def test_the_float_layer_is_the_definition(drawn):
    shape, sam, size, seed = drawn
    torch.manual_seed(seed)
    layer = SamConv2d(*shape, sam=sam, bias=True)
    torch.nn.init.normal_(layer.bias)
    x = torch.rand(2, shape[0], *size)
    expected = defined(x, layer.weights(), layer.sign(), layer,
                       lambda seen, *w: neuron.sam(seen, sam.form, layer.group, *w, sam.floor))  # fmt: skip
    expected = expected + layer.bias.detach().numpy()[:, None, None]
    np.testing.assert_allclose(layer(x).detach().numpy(), expected, atol=1e-4)


@given(layers())
@settings(deadline=None, max_examples=25)
def test_the_integer_layer_is_the_definition(drawn):
    shape, sam, size, seed = drawn
    rng = np.random.default_rng(seed)
    layer = IntegerSamConv2d(*shape, sam)
    for buffer in (layer.p, layer.n):
        if buffer is not None:
            buffer.copy_(torch.from_numpy(rng.integers(0, 16, buffer.shape)))
    if layer.sign is not None:
        layer.sign.copy_(torch.from_numpy(rng.choice([-1, 1], layer.sign.shape)))
    x = torch.from_numpy(rng.integers(0, 16, (2, shape[0], *size))).float()
    expected = defined(x, (layer.p, layer.n), layer.sign, layer,
                       lambda seen, p, n, sign: neuron.distances(seen, sam, layer.group, p, n, sign))  # fmt: skip
    np.testing.assert_array_equal(layer(x).numpy(), expected)


@given(layers(), st.integers(2, 5))
@settings(deadline=None, max_examples=25)
def test_quantised_distances_are_codes_of_the_inputs_step(drawn, bits):
    quantized = pytest.importorskip("hwprune.sam.quantized", reason="Brevitas is not installed")
    shape, sam, _, seed = drawn
    torch.manual_seed(seed)
    layer = quantized.QuantSamConv2d(*shape, sam=sam, bits=bits, unit=lambda: torch.tensor(0.11))
    step = 0.11 * 2.0**sam.shift
    assert torch.isclose(layer.step(), torch.tensor(step))
    sides = [weight for weight in (layer.positive, layer.negative) if weight is not None]
    for side, weight, rounded, codes in zip(range(2), sides, layer.weights(), layer.codes(), strict=False):
        flat = neuron.connections(weight.detach().numpy()).reshape(shape[1], -1, layer.group).astype(np.float64)
        least = sam.form == "maxmin" and side == 1
        end = 0 * flat[..., :1] if sam.floor else (flat.min if least else flat.max)(-1, keepdims=True)
        expected = np.clip(np.rint(np.abs(flat - end) / step), 0, 2**bits - 1)
        found = neuron.connections(codes.detach().numpy()).reshape(expected.shape)
        # A distance at the middle between two codes may fall either way in float32.
        assert np.abs(found - expected).max() <= 1 and (found != expected).mean() < 0.02
        assert sam.floor or (found.min(-1) == 0).all()
        back = end + (1 if least else -1) * step * found
        np.testing.assert_allclose(neuron.connections(rounded.detach().numpy()).reshape(back.shape), back, atol=1e-5)


def test_gradients_pass_the_rounding_but_not_the_dead():
    quantized = pytest.importorskip("hwprune.sam.quantized", reason="Brevitas is not installed")
    torch.manual_seed(0)
    layer = quantized.QuantSamConv2d(
        4, 3, 3, 1, 1, sam=Sam(form="difference", group=4), bits=4, unit=lambda: torch.tensor(0.2)
    )
    layer(torch.rand(2, 4, 6, 6)).square().sum().backward()
    assert all((grad != 0).any() for grad in (layer.positive.grad, layer.negative.grad))


def test_a_sign_learns_straight_through_within_its_bounds():
    layer = SamConv2d(2, 1, 1, sam=Sam(form="signed", group=2))
    with torch.no_grad():
        layer.positive.copy_(torch.tensor([1.0, 0.0]).reshape(1, 2, 1, 1))
        layer.polarity.fill_(-0.3)
    x = torch.tensor([2.0, 5.0]).reshape(1, 2, 1, 1)
    out = layer(x)
    assert out.item() == -5  # max(2 + 1, 5 + 0)
    out.backward(torch.full_like(out, 7.0))
    assert layer.polarity.grad.item() == 35
    with torch.no_grad():
        layer.polarity.fill_(-1.5)
    layer.polarity.grad = None
    layer(x).sum().backward()
    assert layer.polarity.grad.item() == 0
