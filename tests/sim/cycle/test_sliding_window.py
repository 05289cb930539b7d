"""The level cycle has the RTL's cycles for FINN's sliding window."""

import numpy as np
import pytest

from hwprune.accel.design import Operator
from hwprune.errors import UserError
from hwprune.sim.cycle.model import Stalls
from hwprune.sim.cycle.operators.sliding_window import PARALLEL, timing
from tests.sim.cycle_bench import build_bench
from tests.sim.cycle_cases import depths, window_cases

ATTRIBUTES = {
    **{"ConvKernelDim": (3, 3), "IFMDim": (6, 8), "OFMDim": (4, 6), "Stride": (1, 1), "Dilation": (1, 1)},
    **{"IFMChannels": 4, "SIMD": 2, "M": 1, "depthwise": 0, "dynamic_mode": 0, "parallel_window": 0},
}


def made(**changed):
    return Operator(
        name="conv1_window",
        op_type="ConvolutionInputGenerator_rtl",
        inputs=("a",),
        outputs=("b",),
        attributes={**ATTRIBUTES, **changed},
    )


def test_every_beat_of_windows_of_many_shapes(tmp_path):
    rng = np.random.default_rng(3)
    instances = window_cases(rng, 32)
    bench = build_bench(instances, tmp_path, depths(rng, instances))
    styles = [timing(o, {}).parameters[PARALLEL] for o in bench.design.operators if "Generator" in o.op_type]
    assert 5 < sum(styles) < len(styles) - 5
    for stalls in (Stalls(), Stalls(10, 1), Stalls(50, 2), Stalls(90, 3)):
        beats, differences = bench.check(stalls)
        assert beats > 5000
        assert not differences, "\n".join(map(str, differences))


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"M": 2}, "M=2"),
        ({"dynamic_mode": 1}, "dynamic_mode=1"),
        ({"depthwise": 1}, "depthwise=1"),
        ({"parallel_window": 1}, "SIMD=2 with parallel_window"),
        ({"ConvKernelDim": (1, 1), "Stride": (1, 8), "OFMDim": (6, 1)}, "leave 7 of 8 rows or columns unused"),
        ({"ConvKernelDim": (1, 1), "Stride": (6, 1), "OFMDim": (1, 8)}, "leave 5 of 6 rows or columns unused"),
    ],
)
def test_windows_without_a_timing_are_refused(changed, named):
    timing(made(), {})
    with pytest.raises(UserError, match=rf"operator conv1_window \(ConvolutionInputGenerator_rtl\): .*{named}"):
        timing(made(**changed), {})
