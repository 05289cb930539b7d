"""Products side by side in a DSP slice: lanes hold their sums, and fit the slice's ports."""

from hypothesis import given
from hypothesis import strategies as st

from hwprune.accel.operators.packing import FACTOR_BITS, packing


@given(
    st.integers(1, 40), st.integers(1, 40), st.integers(1, 8), st.integers(2, 8), st.sampled_from(sorted(FACTOR_BITS))
)
def test_no_sum_runs_into_the_next_lane(pe, simd, x_bits, w_bits, version):
    made = packing(pe, simd, x_bits, w_bits, version)
    largest = made.chain * (2**x_bits - 1) * (2**w_bits - 1)
    assert made.lanes == 1 or largest < 2**made.step
    assert largest < 2**made.lane_bits
    assert (made.lanes - 1) * made.step + w_bits <= FACTOR_BITS[version]  # the wide factor, its highest lane signed
    assert (made.lanes - 1) * made.step + made.lane_bits <= 48
    assert (made.groups - 1) * made.lanes < pe <= made.groups * made.lanes
    assert (made.chains - 1) * made.chain < simd <= made.chains * made.chain
    assert made.slices + made.in_luts == made.groups * simd
    assert not made.in_luts or (made.in_luts == simd and x_bits + w_bits <= 8 and pe % made.lanes == 1 % made.lanes)


def test_known_cases():
    assert packing(12, 9, 4, 4).lanes == 3 and packing(12, 9, 4, 4).slices == 36
    assert packing(8, 9, 8, 8).lanes == 2 and packing(8, 9, 8, 8).chain == 2
