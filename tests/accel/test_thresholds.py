"""Thresholds against evaluating the activation on every sum."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from qonnx.core.datatype import DataType
from qonnx.custom_op.general.multithreshold import multithreshold

from hwprune.accel.thresholds import activation_thresholds, sum_range, sum_type


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    channels=st.integers(1, 4),
    bits=st.integers(1, 5),
    signed=st.booleans(),
    reach=st.integers(1, 600),
)
def test_thresholds_reproduce_the_function_on_every_sum(seed, channels, bits, signed, reach):
    rng = np.random.default_rng(seed)
    output = DataType[f"INT{max(bits, 2)}" if signed else f"UINT{bits}"]
    # Scales of halves and quarters make exact ties, where rounding half to even matters.
    scale = rng.choice([0, 0.25, 0.5, 1, 0.0371], (channels, 1)).astype(np.float32)
    bias = rng.choice([0, 0.5, -1.5, 3.3], (channels, 1)).astype(np.float32)

    def function(x):
        y = x * scale + bias
        y = np.where(y < 0, y * np.float32(0.1), y)
        return np.round(np.clip(y, output.min(), output.max()))

    low, high = -reach, int(rng.integers(0, reach))
    thresholds = activation_thresholds(function, channels, output, low, high)
    assert np.all(np.diff(thresholds, axis=1) >= 0)
    sums = np.arange(low, high + 1, dtype=np.float32)
    expected = function(np.broadcast_to(sums, (channels, len(sums))))
    found = multithreshold(sums[None, None].repeat(channels, 1), thresholds, out_bias=float(output.min()))[0]
    assert np.array_equal(found, expected)


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), inputs=st.integers(1, 6), signed=st.booleans())
def test_range_of_sums_is_reached_and_never_passed(seed, inputs, signed):
    rng = np.random.default_rng(seed)
    weights = rng.integers(-3, 4, (2, inputs))
    values = DataType["INT2" if signed else "UINT2"]
    grid = np.stack(np.meshgrid(*[np.arange(values.min(), values.max() + 1)] * inputs), -1).reshape(-1, inputs)
    sums = grid @ weights.T
    assert sum_range(weights, values) == (min(sums.min(), 0), max(sums.max(), 0))


@given(low=st.integers(-(2**20), 0), high=st.integers(0, 2**20))
def test_type_of_sums_is_the_smallest_that_also_holds_the_next_threshold(low, high):
    datatype = sum_type(low, high)
    assert datatype.min() <= low and high + 1 <= datatype.max()
    if datatype.bitwidth() > 2:
        smaller = DataType[f"INT{datatype.bitwidth() - 1}"]
        assert low < smaller.min() or high + 1 > smaller.max()
