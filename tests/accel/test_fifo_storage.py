"""Sizes of FIFOs against FINN's own rules for the same RTL, and against the shapes of the primitives."""

import math

import pytest
from finn.custom_op.fpgadataflow.rtl.streamingfifo_rtl import StreamingFIFO_rtl
from hypothesis import given
from hypothesis import strategies as st
from onnx import helper

from hwprune.accel.fifo_storage import FifoSize, fifo_choices, fifo_memory, store_style, store_words


def finn_fifo(depth, bits, style="auto"):
    node = helper.make_node("StreamingFIFO_rtl", ["x"], ["y"], domain="finn.custom_op.fpgadataflow.rtl", name="fifo",
                            depth=depth, ram_style=style, dataType=f"UINT{bits}", folded_shape=[1, 1, 1],
                            normal_shape=[1, 1])  # fmt: skip
    return StreamingFIFO_rtl(node)


@given(depth=st.integers(2, 70_000), bytes_=st.integers(1, 8))
def test_the_style_is_finns(depth, bytes_):
    """A stream's width is one of whole bytes."""
    style = finn_fifo(depth, 8 * bytes_).resolve_ram_style()
    assert store_style(depth, 8 * bytes_, "auto") == {"srl": "shift"}.get(style, style)


@given(depth=st.integers(34, 140_000))
def test_block_ram_holds_what_is_asked_for_in_powers_of_two(depth):
    words = store_words(depth, "block")
    assert words >= depth - 1
    assert words.bit_count() <= 2
    # No more than the next power of two, and less than twice what is asked for beyond the smallest block.
    assert words <= max(512, 2 ** math.ceil(math.log2(depth - 1)))


@pytest.mark.parametrize(
    ("size", "bits", "luts", "bram18"),
    [
        (FifoSize(0), 8, 0, 0),
        (FifoSize(2), 8, 8, 0),  # SRLs are 32 deep
        (FifoSize(33), 8, 8, 0),
        (FifoSize(65, "distributed"), 9, 12, 0),  # RAM64M: three bits in four LUTs
        (FifoSize(513, "block"), 36, 0, 1),
        (FifoSize(513, "block"), 37, 0, 2),
        (FifoSize(1025, "block"), 36, 0, 2),
        (FifoSize(1537, "block"), 36, 0, 3),  # 1024 + 512 words
        (FifoSize(577, "block"), 36, 48, 1),  # 512 + 64 words: the second space in LUT-RAM
        (FifoSize(16385, "block"), 1, 0, 1),
    ],
)
def test_memory_by_the_primitives(size, bits, luts, bram18):
    memory = fifo_memory(size, bits)
    assert (memory.luts, memory.bram18) == (luts, bram18)


@given(bits=st.integers(1, 300), depth=st.integers(2, 5000))
def test_no_size_is_better_than_the_choices(bits, depth):
    """For any FIFO there is a choice as deep that takes no more memory."""
    for style in ("distributed", "block") if depth > 33 else ("auto",):
        memory = fifo_memory(FifoSize(depth, style), bits).bits
        assert any(size.depth >= depth and fifo_memory(size, bits).bits <= memory for size in fifo_choices(bits))


@given(bits=st.integers(1, 300))
def test_choices_are_deeper_the_more_they_take(bits):
    choices = fifo_choices(bits)
    depths, memories = [size.depth for size in choices], [fifo_memory(size, bits).bits for size in choices]
    assert depths == sorted(set(depths)) and memories == sorted(set(memories))
