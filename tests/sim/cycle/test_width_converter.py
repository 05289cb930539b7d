"""The level cycle has the RTL's cycles for our width converter."""

import numpy as np

from hwprune.sim.cycle.model import Stalls
from tests.sim.cycle_bench import build_bench
from tests.sim.cycle_cases import depths, width_cases


def test_every_beat_between_many_widths(tmp_path):
    rng = np.random.default_rng(4)
    instances = width_cases(rng, 20)
    bench = build_bench(instances, tmp_path, depths(rng, instances))
    for stalls in (Stalls(), Stalls(10, 1), Stalls(50, 2), Stalls(90, 3)):
        beats, differences = bench.check(stalls)
        assert beats > 3000
        assert not differences, "\n".join(map(str, differences))
