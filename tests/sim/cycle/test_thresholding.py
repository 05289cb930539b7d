"""The level cycle has the RTL's cycles for FINN's thresholding."""

import numpy as np
import pytest

from hwprune.accel.design import Operator
from hwprune.errors import UserError
from hwprune.sim.cycle.model import Stalls
from hwprune.sim.cycle.operators.thresholding import timing
from tests.sim.cycle_bench import build_bench
from tests.sim.cycle_cases import depths, thresholding_cases

OFF = dict.fromkeys(("runtime_writeable_weights", "bodies", "mlo_max_iter"), 0)


def made(**changed):
    attributes = {"numSteps": 15, "deep_pipeline": 1, **OFF, **changed}
    return Operator(name="conv1", op_type="Thresholding_rtl", inputs=("a",), outputs=("b",), attributes=attributes)


def test_every_beat_of_many_thresholds(tmp_path):
    rng = np.random.default_rng(1)
    instances = thresholding_cases(rng, 16)
    bench = build_bench(instances, tmp_path, depths(rng, instances))
    pipelines = {timing(o, {}).parameters[0] for o in bench.design.operators if o.op_type == "Thresholding_rtl"}
    assert {1, 2, 3, 4, 6, 8} <= pipelines
    for stalls in (Stalls(), Stalls(10, 1), Stalls(50, 2), Stalls(90, 3)):
        beats, differences = bench.check(stalls)
        assert beats > 3000
        assert not differences, "\n".join(map(str, differences))


@pytest.mark.parametrize(("steps", "depth"), [(1, 1), (2, 2), (3, 2), (4, 3), (15, 4), (16, 5), (255, 8)])
def test_depth_of_the_search(steps, depth):
    assert timing(made(numSteps=steps, deep_pipeline=0), {}).parameters[0] == depth
    assert timing(made(numSteps=steps), {}).parameters[0] == 2 * depth


@pytest.mark.parametrize("attribute", OFF)
def test_thresholds_without_a_timing_are_refused(attribute):
    with pytest.raises(UserError, match=rf"operator conv1 \(Thresholding_rtl\): .*{attribute}=1"):
        timing(made(**{attribute: 1}), {})
