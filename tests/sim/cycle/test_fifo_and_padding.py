"""FINN's FIFOs of all styles, and its padding, against the RTL."""

import numpy as np
import pytest

from hwprune.accel.fifo_storage import FifoSize
from hwprune.errors import UserError
from hwprune.sim.cycle.model import CycleModel, Stalls
from tests.sim.cycle.made_up import chain, padding
from tests.sim.cycle_bench import build_bench
from tests.sim.cycle_cases import CASES, depths


@pytest.mark.parametrize("kind", ["StreamingFIFO_rtl", "FMPadding_rtl"])
def test_every_beat_in_the_rtls_cycle(kind, tmp_path):
    rng = np.random.default_rng(1)
    instances = CASES[kind](rng, 20)
    bench = build_bench(instances, tmp_path, depths(rng, instances))
    for stalls in (Stalls(), Stalls(10, 1), Stalls(50, 2), Stalls(90, 3)):
        beats, differences = bench.check(stalls)
        assert beats > 1000 and not differences, differences


def test_ultra_ram_is_refused_by_name():
    model = CycleModel(chain(padding("pad", 4), 2))
    with pytest.raises(UserError, match="FIFO fifo1: the level cycle has no timing of UltraRAM"):
        model.resized({"fifo1": FifoSize(3000, "auto")})


def test_a_fifo_of_one_beat_is_refused():
    with pytest.raises(UserError, match="FIFO fifo1: a depth of 1 is below 2"):
        CycleModel(chain(padding("pad", 4), 2), {"fifo1": FifoSize(1)})
