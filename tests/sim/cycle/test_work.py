"""Shares of time by hand and by a clocked simulation of the paddings; what is advised, tried out."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwprune.accel.fifo_storage import FifoSize
from hwprune.sim.cycle.model import CycleModel, Run
from hwprune.sim.cycle.observe import Blocked, observe
from hwprune.sim.cycle.work import own_intervals, work
from hwprune.sim.rate import rate
from tests.sim.cycle.clocked import run_pads
from tests.sim.cycle.made_up import chain, converter, padding, unit

FEW = settings(max_examples=20, deadline=None)


def shares(found):
    return {one.name: (one.working, one.blocked, one.starved) for one in found.operators}


def interval(design, sizes=None):
    run = CycleModel(design, sizes).run(8, progress=False)
    return rate(design, run.cycles, 8).interval


def test_alone_an_operator_works_all_the_time():
    found = work(CycleModel(chain(unit("m", 10, 6, 4, simd=2))), progress=False)
    assert (found.interval, found.bottleneck, found.steady) == (10 * 3 * 4, "m", True)
    assert shares(found) == {"m": (1, 0, 0)}


def test_in_front_of_a_slow_operator_one_is_blocked():
    # On a wire: 64 pixels of 3 beats, each vector computed in 3 beats by 2 folds; the input port always offers.
    found = work(CycleModel(chain(padding("p", 6, channels=9, simd=3), unit("m", 64, 9, 4, simd=3, pe=2))))
    assert [one.interval for one in found.operators] == [64 * 3, 64 * 3 * 2]
    assert shares(found) == {"p": (0.5, 0.5, 0), "m": (1, 0, 0)}


def test_behind_a_slow_operator_one_is_starved():
    # 36 vectors of 2 beats by 9 folds; 64 pixels of 9 beats; the FIFO takes what comes while the border is given.
    found = work(CycleModel(chain(unit("m", 36, 2, 9), 200, padding("p", 6, channels=9))))
    assert found.interval == 36 * 2 * 9
    assert shares(found) == {"m": (1, 0, 0), "p": pytest.approx((576 / 648, 0, 72 / 648))}


@FEW
@given(st.integers(1, 4), st.lists(st.integers(0, 2), min_size=1, max_size=3))
def test_against_clocked_paddings(size, borders):
    sizes = []
    for border in borders:
        sizes.append((size, border))
        size += 2 * border
    design = chain(*(padding(f"p{k}", *one) for k, one in enumerate(sizes)))
    found = work(CycleModel(design), progress=False)
    assert found.steady
    frames = 20
    passed, blocked = run_pads(sizes, frames)
    assert found.interval == passed[-1][frames * size**2 - 1] - passed[-1][(frames - 1) * size**2 - 1]
    for k, (one, (width, border)) in enumerate(zip(found.operators, sizes, strict=True)):
        beats = (width + 2 * border) ** 2
        assert one.interval == beats  # an output beat a cycle
        first, last = (passed[k][n * beats - 1] for n in (frames - 1, frames))
        waits = sum(first < cycle <= last for cycle in blocked[k])
        assert one.working == beats / found.interval
        assert one.blocked == pytest.approx(min(waits / found.interval, 1 - one.working))
        assert one.working + one.blocked + one.starved == pytest.approx(1)


@FEW
@given(st.data())
def test_blocked_at_any_output(data):
    run, want = Run(True, 1, {}, {}, {}, 0.0), set()
    for name in "ab":
        spans = data.draw(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 4)), max_size=6))
        offers, cycles, now = [], [], 0
        for gap, wait in spans:
            offers.append(now + gap)
            now += gap + wait
            cycles.append(now)
            want |= set(range(offers[-1], now))
            now += 1
        run.offers[name], run.cycles[name] = np.array(offers, np.int32), np.array(cycles, np.int32)
    edges = np.arange(60)
    got = Blocked.at(run, "ab", [None, None]).before(edges)
    assert got.tolist() == [sum(cycle < edge for cycle in want) for edge in edges]


def test_groups_see_the_same(monkeypatch):
    model = CycleModel(chain(padding("a", 4), 2, padding("b", 6), padding("c", 8)))
    whole = [(o.name, run.cycles[o.outputs[0]]) for o, run in observe(model, 3, progress=False)]
    monkeypatch.setattr("hwprune.sim.cycle.observe.MEMORY", 1)
    runs = [(o.name, run) for o, run in observe(model, 3, progress=False)]
    assert len({id(run) for _, run in runs}) == 3
    for (name, cycles), operator, (again, run) in zip(whole, model.operators, runs, strict=True):
        assert name == again == operator.name
        assert np.array_equal(cycles, run.cycles[operator.outputs[0]])


def test_advises_the_smallest_step_of_the_slowest_fold():
    design = chain(padding("p", 6, channels=9, simd=3), unit("m", 64, 9, 4, simd=3, pe=2))
    advice = work(CycleModel(design)).advice
    assert (advice.limit, advice.where, advice.attribute, advice.now, advice.then) == ("fold", "m", "PE", 2, 4)
    assert "MH 4 % PE == 0" in advice.text and "p follows with 192" in advice.text
    # Taken, it makes the accelerator as fast as it says.
    assert interval(chain(padding("p", 6, channels=9, simd=3), unit("m", 64, 9, 4, simd=3, pe=4))) == 192


def test_advises_simd_among_equals():
    advice = work(CycleModel(chain(unit("m", 4, 4, 4)))).advice
    assert (advice.attribute, advice.now, advice.then) == ("SIMD", 1, 2)


def test_names_the_fifo_and_the_depth_that_it_takes():
    def design(depth):
        return chain(unit("m", 36, 2, 9), depth, padding("p", 6, channels=9))

    found = work(CycleModel(design(2)))
    advice = found.advice
    assert (advice.limit, advice.where, advice.attribute, advice.now) == ("fifo", "fifo1", "depth", 2)
    assert found.interval == interval(design(2)) > 648 == interval(design(advice.then))
    # The sizes of a model go before those of its design.
    enough = work(CycleModel(design(2), {"fifo1": FifoSize(advice.then)}))
    assert (enough.interval, enough.advice.limit) == (648, "fold")


def test_a_converter_waits_for_the_operator_with_the_narrower_beats():
    before = unit("a", 50, 4, 4, simd=4, pe=4)
    found = work(CycleModel(chain(before, 9, converter("w", 50, 4, 1), 9, unit("b", 50, 4, 1))))
    assert [one.interval for one in found.operators] == [50, 200, 200]
    assert (found.bottleneck, found.advice.limit, found.advice.where) == ("w", "fold", "b")
    assert (found.advice.attribute, found.advice.now, found.advice.then) == ("SIMD", 1, 2)
    # To the other side, PE makes the beats wider: its 50 vectors are computed in 4 folds, whatever SIMD is.
    after = unit("b", 50, 4, 1, simd=4)
    found = work(CycleModel(chain(unit("a", 50, 1, 4), 9, converter("w", 200, 1, 4), 9, after)))
    assert found.interval == 200
    assert (found.advice.where, found.advice.attribute, found.advice.then) == ("a", "PE", 2)


def test_names_the_output():
    advice = work(CycleModel(chain(unit("a", 50, 2, 4, simd=2, pe=4), 9, converter("w", 50, 4, 1)))).advice
    assert (advice.limit, advice.where) == ("port", "out0_V")


def test_names_the_port():
    advice = work(CycleModel(chain(unit("m", 36, 2, 1, simd=2)))).advice
    assert (advice.limit, advice.where, advice.attribute) == ("port", "in0_V", None)


def test_says_when_nothing_is_left_to_fold():
    advice = work(CycleModel(chain(padding("p", 4), 9, unit("m", 36, 1, 1)))).advice
    assert (advice.limit, advice.where) == ("full", "p")


def test_names_the_wire_where_operators_hold_each_other_up():
    # Without a FIFO the padding's border costs the unit time that neither needs by itself.
    found = work(CycleModel(chain(unit("m", 36, 2, 9), padding("p", 6, channels=9))))
    assert found.interval > 648 == max(one.interval for one in found.operators)
    assert (found.advice.limit, found.advice.where) == ("join", "m")


def test_is_json():
    found = work(CycleModel(chain(padding("a", 4), 2, padding("b", 6))))
    again = json.loads(json.dumps(found.as_json(), allow_nan=False))
    assert again["interval"] == 64 and again["operators"][0]["name"] == "a" and again["advice"]["where"] == "out0_V"


def test_own_intervals_do_not_depend_on_neighbours():
    pads = [padding("a", 4), padding("b", 6)]
    slow = unit("m", 64, 1, 1)
    assert own_intervals(CycleModel(chain(*pads, slow)))["b"] == own_intervals(CycleModel(chain(pads[1])))["b"] == 64


def test_names_all_fifos_that_limit_and_no_other():
    def design(first, second):
        return chain(unit("a", 36, 2, 9), first, padding("b", 6, channels=9), 40, unit("c", 64, 9, 1), second,
                     padding("d", 8, 0, bottom=2))  # fmt: skip

    found = work(CycleModel(design(2, 2)))
    advice = found.advice
    assert advice.limit == "fifo" and advice.where == "fifo1" and "fifo3" not in advice.text
    assert interval(design(advice.then, 2)) == 648 < found.interval
