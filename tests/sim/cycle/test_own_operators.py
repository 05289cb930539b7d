"""The level cycle has the RTL's cycles for our max-pool, upsampling, concatenation and fork, up to where they hang."""

import numpy as np
import pytest

from hwprune.accel import operators
from hwprune.accel.design import Operator
from hwprune.errors import UserError
from hwprune.sim.cycle.model import Stalls
from hwprune.sim.cycle.operators import concat, duplicate, maxpool2d
from tests.sim.cycle.loops import check_loops
from tests.sim.cycle_bench import build_bench
from tests.sim.cycle_cases import depths, own_cases


@pytest.fixture(scope="module", autouse=True)
def registered():
    operators.register()


@pytest.mark.parametrize(("kind", "count"), [("maxpool2d", 22), ("upsample", 12), ("concat", 12), ("duplicate", 12)])
def test_every_beat_of_many_shapes(kind, count, tmp_path):
    rng = np.random.default_rng(1)
    instances = own_cases(kind, rng, count)
    bench = build_bench(instances, tmp_path, depths(rng, instances))
    for stalls in (Stalls(), Stalls(10, 1), Stalls(50, 2), Stalls(90, 3)):
        beats, differences = bench.check(stalls)
        assert beats > 1500
        assert not differences, "\n".join(map(str, differences))


FIFO = {"ram_style": "auto", "dataType": "UINT4"}
POOL = {"Channels": 1, "PE": 1, "stride": 1, "Padding": [0, 0, 1, 1], "inputDataType": "UINT4"}
WIDER = POOL | {"kernel": 3, "Padding": [1, 1, 1, 1]}
UP = {"NumChannels": 1, "SIMD": 1, "inputDataType": "UINT4"}
SEARCH = {"NumChannels": 1, "PE": 1, "numSteps": 3, "inputDataType": "UINT4", "weightDataType": "UINT4",
          "outputDataType": "UINT2", "deep_pipeline": 0}  # fmt: skip

LOOPS = [
    # What the late copy goes through; beats of a frame, into it and out of it; whether the loop hangs. The
    # concatenation takes all beats of the straight copy first. Till then the late one finds room in the fork's skid
    # buffer (two beats) and in what comes behind it:
    ([], 2, 2, False),
    ([], 3, 3, True),
    # five words and an output register;
    ([("StreamingFIFO_rtl", {"depth": 6, **FIFO, "folded_shape": [1, 8, 1], "normal_shape": [1, 8]})], 8, 8, False),
    ([("StreamingFIFO_rtl", {"depth": 6, **FIFO, "folded_shape": [1, 9, 1], "normal_shape": [1, 9]})], 9, 9, True),
    # two steps of a search, and three beats more;
    ([("Thresholding_rtl", {**SEARCH, "numInputVectors": [1, 7]})], 7, 7, False),
    ([("Thresholding_rtl", {**SEARCH, "numInputVectors": [1, 8]})], 8, 8, True),
    # two rows, for no word is read for the last time;
    ([("UpsampleNearestNeighbour_rtl", {**UP, "HI": 2, "WI": 4, "HO": 4, "WO": 8})], 8, 32, False),
    ([("UpsampleNearestNeighbour_rtl", {**UP, "HI": 3, "WI": 4, "HO": 6, "WO": 8})], 12, 48, True),
    # a row, and five beats of the next, which make four maxima: two in the skid buffer, one behind each stage.
    ([("MaxPool2d_rtl", {**POOL, "ifm_dim": [2, 7]})], 14, 14, False),
    ([("MaxPool2d_rtl", {**POOL, "ifm_dim": [2, 8]})], 16, 16, True),
    # the same, and a beat behind each of two more stages.
    ([("MaxPool2d_rtl", {**WIDER, "ifm_dim": [2, 9]})], 18, 18, False),
    ([("MaxPool2d_rtl", {**WIDER, "ifm_dim": [2, 10]})], 20, 20, True),
]


def test_loops_hang_where_the_rtl_hangs(tmp_path):
    check_loops(LOOPS, tmp_path)


def test_a_pool_of_an_older_design_is_refused():
    made = Operator(name="old", op_type="MaxPool2d_rtl", inputs=("a",), outputs=("b",),
                    attributes={"ifm_dim": (4, 4), "Channels": 2, "PE": 1, "stride": 2})  # fmt: skip
    with pytest.raises(UserError, match=r"operator old .* before pools had padding; compile anew"):
        maxpool2d.timing(made, {})


@pytest.mark.parametrize(
    ("kind", "ports", "attributes"),
    [(concat, "inputs", {"ChannelsPerStream": (1,) * 9, "SIMD": 1}), (duplicate, "outputs", {})],
)
def test_more_than_eight_streams_are_refused(kind, ports, attributes):
    streams = {"inputs": ("a",), "outputs": ("b",), ports: tuple("abcdefghi")}
    made = Operator(name="many", op_type="Any_rtl", attributes=attributes, **streams)
    with pytest.raises(UserError, match=f"operator many .* 9 {ports}, but for 8"):
        kind.timing(made, {})
