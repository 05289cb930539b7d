"""Folds by FINN's rules, by trying every number."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwprune.accel.folds import common_divisors, folds


@given(st.integers(1, 60), st.integers(1, 60))
def test_matrix_vector_unit(mw, mh):
    simd, pe = folds("MVAU_rtl", {"MW": mw, "MH": mh}.__getitem__)
    assert (simd.attribute, pe.attribute) == ("SIMD", "PE")
    assert list(simd.values) == [n for n in range(1, mw + 1) if mw % n == 0]
    assert list(pe.values) == [n for n in range(1, mh + 1) if mh % n == 0]


@given(st.integers(1, 60), st.integers(1, 12))
def test_sam_unit_keeps_groups_whole(mw, group):
    simd, _ = folds("SAMVAU_rtl", {"MW": mw, "MH": 1, "group": group}.__getitem__)
    assert list(simd.values) == [
        n for n in range(1, mw + 1) if mw % n == 0 and (n % group == 0 or group % n == 0)
    ]  # fmt: skip


def test_join_divides_all_its_streams():
    (fold,) = folds("StreamingConcat_rtl", {"ChannelsPerStream": (48, 36)}.__getitem__)
    assert (fold.attribute, fold.values) == ("SIMD", (1, 2, 3, 4, 6, 12))


@pytest.mark.parametrize("op_type", ["StreamingFIFO_rtl", "StreamingDataWidthConverter_rtl"])
def test_no_folds(op_type):
    assert folds(op_type, {}.__getitem__) == ()


def test_divisors_of_a_number_and_of_many():
    assert common_divisors(12) == [1, 2, 3, 4, 6, 12]
    assert common_divisors([8, 12]) == [1, 2, 4]
