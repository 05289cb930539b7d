"""The level cycle has the RTL's cycles for the matrix-vector units, ours and FINN's."""

import numpy as np
import pytest

from hwprune.accel.design import Operator
from hwprune.errors import UserError
from hwprune.sim.cycle.model import Stalls
from hwprune.sim.cycle.operators.mvau import timing
from tests.sim.cycle_bench import build_bench
from tests.sim.cycle_cases import depths, mvau_cases

ATTRIBUTES = {
    **{"MW": 12, "MH": 4, "SIMD": 4, "PE": 2, "TH": 1, "dsp_version": 1},
    **dict.fromkeys(("pumpedCompute", "pumpedMemory", "runtime_writeable_weights", "bodies", "mlo_max_iter"), 0),
}


def test_every_beat_of_units_of_many_folds(tmp_path):
    rng = np.random.default_rng(1)
    instances = mvau_cases(rng, 20)
    bench = build_bench(instances, tmp_path, depths(rng, instances))
    assert all(o.attributes["dsp_version"] == 1 for o in bench.design.operators if o.op_type == "MVAU_rtl")
    for stalls in (Stalls(), Stalls(10, 1), Stalls(50, 2), Stalls(90, 3)):
        beats, differences = bench.check(stalls)
        assert beats > 2000
        assert not differences, "\n".join(map(str, differences))


@pytest.mark.parametrize(
    ("attribute", "value", "named"),
    [
        ("dsp_version", 3, "VERSION 3"),
        ("pumpedCompute", 1, "pumpedCompute=1"),
        ("pumpedMemory", 1, "pumpedMemory=1"),
        ("runtime_writeable_weights", 1, "runtime_writeable_weights=1"),
        ("bodies", 2, "bodies=2"),
        ("mlo_max_iter", 4, "mlo_max_iter=4"),
        ("TH", 2, "TH=2"),
    ],
)
def test_cores_without_a_timing_are_refused(attribute, value, named):
    made = Operator(name="conv1", op_type="MVAU_rtl", inputs=("a",), outputs=("b",), attributes=ATTRIBUTES)
    timing(made, {})
    other = made.model_copy(update={"attributes": {**ATTRIBUTES, attribute: value}})
    with pytest.raises(UserError, match=rf"operator conv1 \(MVAU_rtl\): .*{named}"):
        timing(other, {})
