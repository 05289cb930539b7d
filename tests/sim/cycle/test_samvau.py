"""The level cycle has the RTL's cycles for our SAM unit."""

import numpy as np
import pytest

from hwprune.accel import operators
from hwprune.accel.design import Operator
from hwprune.accel.outline import outline
from hwprune.errors import UserError
from hwprune.sim.cycle.model import Stalls
from hwprune.sim.cycle.operators.samvau import timing
from tests.accel.operators.sam_cases import make
from tests.sim.cycle_bench import build_bench
from tests.sim.cycle_cases import depths, samvau_cases
from tests.sim.instances import sam_instance


def test_every_beat_of_units_of_many_folds(tmp_path):
    rng = np.random.default_rng(2)
    instances = samvau_cases(rng, 20)
    bench = build_bench(instances, tmp_path, depths(rng, instances))
    for stalls in (Stalls(), Stalls(10, 1), Stalls(50, 2), Stalls(90, 3)):
        beats, differences = bench.check(stalls)
        assert beats > 2000
        assert not differences, "\n".join(map(str, differences))


@pytest.mark.parametrize(("outputs", "style"), [(512, "block"), (2, "distributed")])
def test_a_design_says_where_the_codes_of_an_automatic_rom_are(outputs, style):
    operators.register()
    rng = np.random.default_rng(3)
    case = make("sam", rng, mw=64, mh=outputs, simd=4, pe=1, group=4, form="maxmin", signs=True, ram_style="auto")
    (found,) = outline(sam_instance(case, rng).model).operators
    assert found.attributes["ram_style"] == style


def test_a_rom_that_may_be_anywhere_is_refused():
    attributes = {"MW": 8, "MH": 2, "SIMD": 4, "PE": 1, "group": 2, "form": "signed", "ram_style": "auto"}
    made = Operator(name="conv1", op_type="SAMVAU_rtl", inputs=("a",), outputs=("b",), attributes=attributes)
    with pytest.raises(UserError, match=r"operator conv1 \(SAMVAU_rtl\): .*ram_style=auto"):
        timing(made, {})
