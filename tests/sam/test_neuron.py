"""The definition against formulas written another way, and the claims that it makes."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from hwprune.sam import neuron
from hwprune.sam.settings import FORMS, Sam


def test_one_unit_by_hand():
    # Two groups of two connections.
    x, p, n = np.array([1, 4, 0, 2]), np.array([[3, 1, 0, 0]]), np.array([[0, -4, 5, 1]])
    # max(1+3, 4+1) = 5, min(1+0, 4-4) = 0; max(0, 2) = 2, min(5, 3) = 3; maxima with n: 1, 5
    assert neuron.sam(x, "maxmin", 2, p, n) == [5 + 0 + 2 + 3]
    assert neuron.sam(x, "difference", 2, p, n) == [5 - 1 + 2 - 5]
    assert neuron.sam(x, "signed", 2, p, None, np.array([[1, -1]])) == [5 - 2]


@given(st.data())
@settings(deadline=None, max_examples=30)
def test_windows_see_what_a_loop_over_pixels_sees(data):
    c, k, stride, padding = (data.draw(st.integers(low, high)) for low, high in ((1, 3), (1, 3), (1, 2), (0, 1)))
    h, w = data.draw(st.integers(k, 6)), data.draw(st.integers(k, 6))
    x = np.arange(1, c * h * w + 1).reshape(1, c, h, w)
    seen = neuron.windows(x, k, stride, padding)
    for (i, j), (a, b, ch) in itertools.product(
        np.ndindex(seen.shape[1:3]), itertools.product(range(k), range(k), range(c))
    ):
        row, column = i * stride + a - padding, j * stride + b - padding
        inside = 0 <= row < h and 0 <= column < w
        assert seen[0, i, j, (a * k + b) * c + ch] == (x[0, ch, row, column] if inside else 0)


@st.composite
def integer_units(draw, largest_group=3, largest_input=3):
    """A neuron, group, codes (without a floor with a zero in each group), signs, and the inputs' range."""
    form, group, groups = draw(st.sampled_from(FORMS)), draw(st.integers(1, largest_group)), draw(st.integers(1, 2))
    floor = form != "maxmin" and draw(st.booleans())
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))

    def codes():
        values = rng.integers(0, 6, (2, groups, group))
        return (values if floor else values - values.min(-1, keepdims=True)).reshape(2, -1)

    sign = None if form == "difference" else rng.choice([-1, 1], (2, groups))
    least = 0 if floor else draw(st.integers(-2, 0))
    return (
        Sam(form=form, group=4, floor=floor),
        group,
        codes(),
        codes() if form != "signed" else None,
        sign,
        least,
        draw(st.integers(1, largest_input)),
    )


@given(integer_units())
@settings(deadline=None, max_examples=60)
def test_the_range_of_sums_is_reached_and_never_left(unit):
    sam, group, p, n, sign, least, most = unit
    every = np.array(list(itertools.product(range(least, most + 1), repeat=p.shape[1])))
    sums = neuron.distances(every, sam, group, p, n, sign)
    low, high = neuron.sum_range(sam.form, group, p, n, sign, least, most, sam.floor)
    np.testing.assert_array_equal(sums.min(0), low)
    np.testing.assert_array_equal(sums.max(0), high)


@given(integer_units(), st.integers(-2, 2), st.integers(0, 2**32 - 1))
@settings(deadline=None, max_examples=60)
def test_distances_differ_from_the_float_neuron_by_a_constant_of_each_unit(unit, shift, seed):
    sam, group, p, n, sign, least, most = unit
    rng = np.random.default_rng(seed)
    x = rng.integers(least, most + 1, (40, p.shape[1]))
    step, scale = 2.0**shift, 0.37
    shape = 2, p.shape[1] // group
    # Greatest P, least (or greatest) N; a floor fixes them.
    tops = [np.zeros(shape) if sam.floor else rng.normal(size=shape) for _ in range(2)]
    positive = scale * (np.repeat(tops[0], group, 1) - step * p)
    negative = None
    if n is not None:
        negative = scale * (np.repeat(tops[1], group, 1) + (step if sam.form == "maxmin" else -step) * n)
    sums = neuron.distances(x, sam.model_copy(update={"shift": shift}), group, p, n, sign)
    unit_of_sums = scale * min(1.0, step)
    constant = neuron.sam(scale * x, sam.form, group, positive, negative, sign, sam.floor) - unit_of_sums * sums
    np.testing.assert_allclose(constant, np.broadcast_to(constant[:1], constant.shape), atol=1e-12)


@given(integer_units(largest_group=5, largest_input=15), st.integers(0, 2**32 - 1))
@settings(deadline=None, max_examples=60)
def test_halves_are_saturating_unsigned_maxima(unit, seed):
    """What the hardware does: u = x - least, saturation at zero, a minimum as the maximum of complements."""
    sam, group, p, n, sign, least, most = unit
    x = np.random.default_rng(seed).integers(least, most + 1, (30, p.shape[1]))
    u, top = x - least, most - least

    def half(values, codes):
        return np.maximum(0, values[:, None] - codes).reshape(len(x), len(codes), -1, group).max(-1)

    groups = p.shape[1] // group
    terms = half(u, p) + least
    if sam.form == "difference":
        terms = half(u, p) - half(u, n)
    elif sam.form == "maxmin":
        terms = terms + (top - half(top - u, n)) + least
    expected = (terms * (1 if sign is None else sign)).sum(-1)
    assert expected.shape == (30, 2) and groups == terms.shape[-1]
    np.testing.assert_array_equal(neuron.distances(x, sam, group, p, n, sign), expected)


def test_groups_that_do_not_fit_are_refused_with_those_that_do():
    assert Sam(form="difference", group=0).group_size(6, 3) == 54
    assert Sam(form="difference", group=3).group_size(6, 3) == 3
    with pytest.raises(ValueError, match="group of 4 does not divide 6 input channels; groups that do: 2, 3, 6, or 0"):
        Sam(form="difference", group=4).group_size(6, 3)
    with pytest.raises(ValueError, match="does not depend on its input; groups that do: 2, 3, 6"):
        Sam(form="difference", group=1).group_size(6, 3)
    with pytest.raises(ValueError, match="does not depend on its input; groups that do: none"):
        Sam(form="difference", group=0).group_size(1, 1)
    assert Sam(form="signed", group=1).group_size(6, 3) == 1
    assert Sam(form="difference", group=1, floor=True).group_size(6, 3) == 1
    with pytest.raises(ValidationError, match="'maxmin', 'difference' or 'signed'"):
        Sam(form="mac", group=4)
    with pytest.raises(ValidationError, match="Field required"):
        Sam(form="signed")
    with pytest.raises(ValidationError, match="maxmin has minima"):
        Sam(form="maxmin", group=4, floor=True)
