"""Packing against FINN's own, and the corners that FINN does not reach."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwprune.errors import UserError
from hwprune.sim import streams
from hwprune.sim.streams import element_type, pack, unpack


def limits(bits, signed):
    return (-(1 << bits - 1), (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)


@st.composite
def frames(draw, most_bits=64):
    bits, signed = draw(st.integers(1, most_bits)), draw(st.booleans())
    folded = (1, draw(st.integers(1, 3)), draw(st.integers(1, 3)), draw(st.integers(1, 4)), draw(st.integers(1, 9)))
    count = draw(st.integers(1, 3)) * int(np.prod(folded))
    low, high = limits(bits, signed)
    edges = st.sampled_from([low, high, 0, low // 2])
    values = draw(st.lists(st.one_of(edges, st.integers(low, high)), min_size=count, max_size=count))
    datatype = f"{'' if signed else 'U'}INT{bits}"
    return np.array(values, dtype=np.int64 if signed else np.uint64).reshape(-1, *folded), datatype, folded


@settings(max_examples=60, deadline=None)
@given(frames())
def test_beats_are_the_sum_of_shifted_elements(frame):
    values, datatype, folded = frame
    bits, _ = element_type(datatype)
    beats = pack(values, datatype, folded)
    expected = [
        sum((int(value) % (1 << bits)) << bits * lane for lane, value in enumerate(beat))
        for beat in values.reshape(-1, folded[-1])
    ]
    assert [int.from_bytes(beat.tobytes(), "little") for beat in beats] == expected
    np.testing.assert_array_equal(unpack(beats, datatype, folded), values)


# FINN keeps values in float32, exact up to 24 bits.
@settings(max_examples=40, deadline=None)
@given(frames(most_bits=24))
def test_same_words_as_finn_packs_and_unpacks(frame):
    pytest.importorskip("finn", reason="finn-plus is not installed")
    from finn.util.data_packing import npy_to_rtlsim_input, rtlsim_output_to_npy
    from qonnx.core.datatype import DataType

    values, datatype, folded = frame
    beats = pack(values, datatype, folded)
    width = 8 * beats.shape[1]
    words = [int.from_bytes(beat.tobytes(), "little") for beat in beats]
    assert words == list(npy_to_rtlsim_input(values.astype(np.float32), DataType[datatype], width))
    theirs = rtlsim_output_to_npy(
        words, None, DataType[datatype], values.shape, width, DataType[datatype].bitwidth(), reverse_inner=True
    )
    np.testing.assert_array_equal(unpack(beats, datatype, folded), np.asarray(theirs).reshape(values.shape))


def test_chunks_do_not_show(monkeypatch):
    values = np.random.default_rng(0).integers(-1000, 1000, (2, 1, 7, 5, 3))
    whole = pack(values, "INT11", values.shape[1:])
    monkeypatch.setattr(streams, "CHUNK", 8)
    np.testing.assert_array_equal(pack(values, "INT11", values.shape[1:]), whole)
    np.testing.assert_array_equal(unpack(whole, "INT11", values.shape[1:]), values)


def test_padding_is_zero_and_ignored():
    beats = pack(np.array([[-1, -1, -1]]), "INT3", (1, 3))
    np.testing.assert_array_equal(beats, [[0xFF, 0x01]])
    beats[0, 1] |= 0xFE
    np.testing.assert_array_equal(unpack(beats, "INT3", (1, 3)), [[[-1, -1, -1]]])


def test_whole_floats_are_taken():
    np.testing.assert_array_equal(pack(np.array([[3.0, 15.0]]), "UINT4", (1, 2)), [[0xF3]])


@pytest.mark.parametrize("datatype", ["FLOAT32", "BIPOLAR", "UINT0", "INT65", "FIXED<8,4>", "int8"])
def test_other_types_are_refused(datatype):
    with pytest.raises(UserError, match="datatype"):
        element_type(datatype)


@pytest.mark.parametrize(
    ("values", "folded", "message"),
    [
        ([[16]], (1, 1), "16"),
        ([[-1]], (1, 1), "-1"),
        ([[1.5]], (1, 1), "whole"),
        ([["a"]], (1, 1), "integers"),
        ([[1, 2, 3]], (1, 2), "whole frames"),
        ([[1]], (1, 0), "empty"),
    ],
)
def test_unfit_values_are_refused(values, folded, message):
    with pytest.raises(UserError, match=message):
        pack(np.array(values), "UINT4", folded)


@pytest.mark.parametrize(
    ("shape", "dtype", "message"),
    [((4, 1), np.uint8, "need uint8"), ((4, 2), np.int16, "int16"), ((3, 2), np.uint8, "whole frames")],
)
def test_unfit_beats_are_refused(shape, dtype, message):
    with pytest.raises(UserError, match=message):
        unpack(np.zeros(shape, dtype), "UINT5", (2, 3))
