"""Streams that do not fit their operators are refused by name, before they end in a deadlock or in foreign memory."""

import pytest

from hwprune.accel.design import Operator, Stream
from hwprune.errors import UserError
from hwprune.sim.cycle.fit import require_fit
from hwprune.sim.cycle.model import CycleModel
from hwprune.sim.cycle.operators import concat, duplicate
from tests.sim.cycle.made_up import chain, converter, padding, pool, sam, thresholds, unit, upsampling, window

MEMBERS = {
    "FMPadding_rtl": (padding("made", 4, channels=4, simd=2), 32, 72),
    "MVAU_rtl": (unit("made", 10, 12, 8, simd=4, pe=2), 30, 40),
    "SAMVAU_rtl": (sam("made", 10, 12, 8, simd=4, pe=2), 30, 40),
    "Thresholding_rtl": (thresholds("made", 7), 7, 7),
    "ConvolutionInputGenerator_rtl": (window("made", 6, channels=4, simd=2), 72, 288),
    "ConvolutionInputGenerator_rtl, 1x1": (window("made", 5, kernel=1, stride=2), 25, 9),
    "MaxPool2d_rtl": (pool("made", 7), 49, 9),
    "UpsampleNearestNeighbour_rtl": (upsampling("made", 3), 9, 36),
    "StreamingDataWidthConverter_rtl": (converter("made", 12, 3, 4), 12, 9),
}


def with_beats(design, name, beats):
    """One stream of the design has so many."""
    streams = (s.model_copy(update={"folded_shape": (1, beats, 1)}) if s.name == name else s for s in design.streams)
    return design.model_copy(update={"streams": tuple(streams)})


@pytest.mark.parametrize("kind", MEMBERS)
def test_a_beat_too_many_or_too_few(kind):
    member, takes, gives = MEMBERS[kind]
    design = chain(member)
    CycleModel(design)
    twice = with_beats(with_beats(design, "in0_V", 2 * takes), "out0_V", 2 * gives)
    CycleModel(twice)  # two frames at once
    name = rf"operator made \({member['operator'][0]}\)"
    for beats in (gives - 1, gives + 1):
        with pytest.raises(
            UserError, match=rf"{name}: stream out0_V has {beats} beats a frame.* {gives} for the {takes}"
        ):
            CycleModel(with_beats(design, "out0_V", beats))
    for beats in (takes - 1, takes + 1):
        with pytest.raises(UserError, match=rf"{name}: stream (in0_V has {beats}|out0_V has {gives}) beats a frame"):
            CycleModel(with_beats(design, "in0_V", beats))


def test_producer_and_consumer_have_to_agree():
    design = chain(padding("pad", 4), 8, unit("unit", 36, 1, 2))
    for name, before in (("pad", "16 of stream in0_V"), ("fifo1", "36 of stream pad")):
        with pytest.raises(UserError, match=rf"operator {name} .* stream {name} has 35 .* 36 for the {before}"):
            CycleModel(with_beats(design, name, 35))
    both = with_beats(with_beats(design, "pad", 35), "fifo1", 35)
    with pytest.raises(UserError, match=r"operator pad \(FMPadding_rtl\): stream pad has 35 beats a frame, .* 36 for"):
        CycleModel(both)


def test_forks_and_joins():
    def stream(name, beats):
        return Stream(name=name, role="inner", tensor=name, producer="x", consumer="y", datatype="INT8", bits=8,
                      normal_shape=(beats, 1), folded_shape=(beats, 1))  # fmt: skip

    def fits(kind, op_type, attributes, inputs, outputs):
        streams = {name: stream(name, beats) for name, beats in (*inputs, *outputs)}
        ends = {side: tuple(name for name, _ in named) for side, named in (("inputs", inputs), ("outputs", outputs))}
        made = Operator(name="made", op_type=op_type, attributes=attributes, **ends)
        require_fit(made, kind.timing(made, streams), streams)

    join = concat, "StreamingConcat_rtl", {"ChannelsPerStream": (4, 6), "SIMD": 2}
    fits(*join, [("a", 20), ("b", 30)], [("c", 50)])
    with pytest.raises(UserError, match=r"stream b has 20 beats a frame, .* 30 for the 20 of stream a"):
        fits(*join, [("a", 20), ("b", 20)], [("c", 50)])
    with pytest.raises(UserError, match="has 3 input streams, but its attributes make 2"):
        fits(*join, [("a", 20), ("b", 30), ("d", 5)], [("c", 50)])
    with pytest.raises(UserError, match="stream b has no beat by the operator's attributes"):
        fits(*join[:2], {"ChannelsPerStream": (4, 1), "SIMD": 2}, [("a", 20), ("b", 30)], [("c", 50)])
    with pytest.raises(UserError, match=r"stream c has 9 beats a frame, .* 10 for the 10 of stream a"):
        fits(duplicate, "DuplicateStreams_rtl", {}, [("a", 10)], [("b", 10), ("c", 9)])


def test_streams_and_ports_that_do_not_know_each_other():
    design = chain(padding("pad", 4), unit("unit", 36, 1, 2))
    pad, unit_ = design.operators
    for other, message in (
        (pad.model_copy(update={"outputs": ("nowhere",)}), "operator pad .* not the producer of stream nowhere"),
        (pad.model_copy(update={"inputs": ("pad",)}), "operator pad .* not the consumer of stream pad, which"),
        (pad.model_copy(update={"name": "another"}), "operator another .* not the consumer of stream in0_V"),
    ):
        with pytest.raises(UserError, match=message):
            CycleModel(design.model_copy(update={"operators": (other, unit_)}))
    with pytest.raises(UserError, match="stream in0_V: its consumer pad has no port for it"):
        CycleModel(design.model_copy(update={"operators": (unit_,)}))
