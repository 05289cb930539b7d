"""Sized FIFOs keep the speed, and take the least memory: on small graphs, compared with a search of all sizes."""

import sys
from pathlib import Path

import numpy as np
import pytest

from hwprune.accel.fifo_storage import FifoSize, fifo_choices
from hwprune.accel.outline import outline
from hwprune.errors import UserError
from hwprune.sim.cycle.model import CycleModel
from hwprune.sim.cycle.sizing import size_fifos
from hwprune.sim.rate import rate
from tests.accel.finn_graphs import fork_and_join, with_fifos
from tests.sim.cycle.made_up import chain, padding, unit

sys.path.insert(0, str(Path(__file__).parents[3] / "benchmarks"))
from fifo_sizing import lower_bound, memory, optimum


@pytest.fixture(scope="module", params=[1, 2])
def sized(request, tmp_path_factory):
    graph = fork_and_join(12, 4, np.random.default_rng(request.param), layers=request.param)
    model = CycleModel(outline(with_fifos(graph, tmp_path_factory.mktemp("sized"), default=2)))
    return model, size_fifos(model)


def test_the_speed_is_that_of_fifos_that_are_never_full(sized):
    model, found = sized
    run = model.resized(found.sizes).run(10)
    assert run.finished
    assert rate(model.design, run.cycles, 10).interval == found.rate.interval == found.fastest
    endless = model.resized({name: FifoSize(float("inf")) for name in found.sizes}).run(10)
    assert rate(model.design, endless.cycles, 10).interval == found.fastest


def test_no_fifo_can_be_a_step_smaller(sized):
    model, found = sized
    for fifo in model.design.fifos:
        choices = fifo_choices(model.streams[fifo.source].bits)
        at = choices.index(found.sizes[fifo.name])
        if at:
            smaller = model.resized({**found.sizes, fifo.name: choices[at - 1]})
            assert not smaller.run(10, give_up=found.fastest).finished, fifo.name


def test_it_is_the_least_memory(sized):
    """Best-first search from a bound that no set of sizes can be below."""
    model, found = sized
    assert found.memory.bits <= found.peak_memory.bits
    least = lower_bound(model, found.fastest)
    assert memory(model, least).bits <= found.memory.bits
    best = optimum(model, found.fastest, least, 200)
    assert best is not None and memory(model, best).bits == found.memory.bits


def test_less_speed_takes_less_memory(sized):
    model, found = sized
    slower = size_fifos(model, 2 * found.fastest)
    assert slower.memory.bits <= found.memory.bits
    assert slower.rate.interval <= 2 * found.fastest


def test_a_speed_that_no_fifo_can_give_is_refused():
    model = CycleModel(chain(padding("pad", 4), 8, unit("unit", 36, 1, 8)))
    with pytest.raises(UserError, match="FIFOs cannot make the interval 10: without any limit it is 288 cycles"):
        size_fifos(model, 10)


def test_any_longer_interval_is_enough():
    model = CycleModel(chain(padding("pad", 4), 8, unit("unit", 36, 1, 8)))
    assert size_fifos(model, 10**15).sizes == size_fifos(model, 10**6).sizes


def test_the_record_names_every_fifo_and_no_time(sized):
    record = sized[1].as_json()
    assert record["sizes"].keys() == record["peak_sizes"].keys() == sized[1].sizes.keys()
    assert "seconds" not in record
