"""The cycle model as a whole: frames that repeat, deadlocks, what it refuses, and whole graphs against the RTL."""

import dataclasses
import math

import numpy as np
import pytest

from hwprune.accel.fifo_storage import FifoSize
from hwprune.accel.outline import outline
from hwprune.accel.stitch import stitch
from hwprune.errors import UserError
from hwprune.sim.accelerator import build_simulator
from hwprune.sim.cycle.check import compare_cycles
from hwprune.sim.cycle.deadlock import circle, explain
from hwprune.sim.cycle.model import CycleModel, Stalls
from hwprune.sim.cycle.occupancy import level, peak
from hwprune.sim.rate import rate
from tests.accel.finn_graphs import fork_and_join, generate, with_fifos
from tests.sim.cycle.made_up import chain, padding, unit


def fork_model(folder, default=16, **options):
    graph = fork_and_join(8, 4, np.random.default_rng(1), **options)
    return CycleModel(outline(with_fifos(graph, folder, default=default)))


@pytest.fixture(scope="module")
def forked(tmp_path_factory):
    """Enough FIFO everywhere."""
    return fork_model(tmp_path_factory.mktemp("forked"), default=100)


def on_the_skip(model):
    """The FIFO of the join's second input."""
    (join,) = (operator for operator in model.operators if operator.op_type == "StreamingConcat_rtl")
    return next(fifo.name for fifo in model.design.fifos if fifo.sink == join.inputs[1])


def test_a_graph_with_a_fork_beat_by_beat_against_the_rtl(tmp_path):
    """Many frames, so that the last ones are those that the model does not compute."""
    graph = generate(fork_and_join(6, 4, np.random.default_rng(2)), tmp_path / "finn", default=64)
    design = stitch(graph, tmp_path / "design")
    simulator = build_simulator(design, tmp_path / "verilator")
    (source,) = design.inputs
    frames = 12
    feed = np.random.default_rng(3).integers(0, 256, (frames * source.beats, source.bits // 8), np.uint8)
    awaited = {sink.name: frames * sink.beats for sink in design.outputs}
    model = CycleModel(design)
    assert model.run(frames).simulated < frames
    for stalls in (Stalls(), Stalls(40, 7)):
        run = simulator.run({source.name: feed}, awaited, stall_percent=stalls.percent, seed=stalls.seed,
                            record=[stream.name for stream in design.inner], progress=False)  # fmt: skip
        beats, differences = compare_cycles(design, run, model, frames, stalls)
        assert beats > 10_000 and not differences, differences
    for fifo in design.fifos:  # the RTL's own counter
        cycles = model.run(frames, stalls=stalls, record=[fifo.source, fifo.sink]).cycles
        ends = (cycles[name][cycles[name] < run.cycles] for name in (fifo.source, fifo.sink))
        assert peak(*ends) == run.monitors[fifo.maxcount]


def test_frames_that_repeat_are_those_that_would_be_computed(forked, monkeypatch):
    names = [stream.name for stream in forked.design.streams]
    short = forked.run(16, record=names)
    assert 3 <= short.simulated < 16
    monkeypatch.setattr("hwprune.sim.cycle.model.shift", lambda *rests: None)
    whole = forked.run(16, record=names)
    assert whole.simulated == 16
    for stream in forked.design.streams:
        beats = 16 * stream.beats
        assert np.array_equal(short.cycles[stream.name][:beats], whole.cycles[stream.name][:beats]), stream.name
    assert rate(forked.design, short.cycles, 16) == rate(forked.design, whole.cycles, 16)


def test_nothing_repeats_before_the_fifos_have_filled():
    """A fast operator in front of a slow one runs ahead for as long as the FIFO between them has room."""
    model = CycleModel(chain(padding("pad", 4), 200, unit("slow", 36, 1, 8)))
    run = model.run(40)
    assert run.simulated > 200 / 36
    steps = np.diff(run.cycles["in0_V"].reshape(40, 16)[:, -1].astype(int))
    assert steps[0] < 100 and (steps[-10:] == 36 * 8).all()


def test_a_slow_port_paces_everything():
    model = CycleModel(chain(padding("pad", 6), 8))
    run = model.run(4, pace=1000)
    assert rate(model.design, run.cycles, 4).interval == 1000


def test_a_run_that_is_too_slow_is_given_up():
    model = CycleModel(chain(padding("pad", 4), 8, unit("slow", 36, 1, 8)))
    assert not model.run(6, give_up=36 * 8 - 1).finished
    assert model.run(6, give_up=36 * 8).finished


def test_a_deadlock_is_explained_and_the_depth_it_names_mends_it(forked):
    name = on_the_skip(forked)
    hanging = forked.resized({name: FifoSize(2)})
    run = hanging.run(2)
    assert not run.finished
    waits = circle(hanging, run)
    assert {"DuplicateStreams_rtl_0", "StreamingConcat_rtl_0"} <= {wait.operator for wait in waits}
    told = explain(hanging, run)
    assert f"FIFO {name} is full" in told and "the accelerator hangs: " in told
    found = [part for part in told.split(". ") if part.startswith(f"FIFO {name} has room enough with ")]
    assert found and "(now 2)" in found[0]
    beats = int(found[0].split()[6])
    assert forked.resized({name: FifoSize(beats)}).run(2).finished


def test_the_rtl_hangs_where_the_model_does(tmp_path):
    graph = generate(fork_and_join(6, 4, np.random.default_rng(2)), tmp_path / "finn", default=2)
    design = stitch(graph, tmp_path / "design")
    model = CycleModel(design)
    run = model.run(2, record=[stream.name for stream in design.inner])
    assert not run.finished
    simulator = build_simulator(design, tmp_path / "verilator")
    (source,) = design.inputs
    feed = np.zeros((2 * source.beats, source.bits // 8), np.uint8)
    hung = simulator.run({source.name: feed}, {sink.name: 2 * sink.beats for sink in design.outputs}, idle_limit=2000,
                         record=[stream.name for stream in design.inner], progress=False)  # fmt: skip
    assert not hung.finished
    beats, differences = compare_cycles(design, hung, model, 2, Stalls())
    assert beats and not differences, differences


def test_no_fifo_at_all_is_a_wire():
    model = CycleModel(chain(padding("pad", 4), 8, unit("unit", 36, 1, 2)))
    run = model.resized({"fifo1": FifoSize(0)}).run(2, record=["pad", "fifo1"])
    assert run.finished and np.array_equal(run.cycles["pad"], run.cycles["fifo1"])


def test_a_fifo_that_is_never_full_holds_back_nobody():
    design = chain(padding("pad", 4), 8, unit("slow", 36, 1, 8))
    run = CycleModel(design, {"fifo1": FifoSize(math.inf)}).run(3, record=["pad", "fifo1"])
    assert run.cycles["pad"][-1] < 4 * 40  # a beat a cycle
    held = level(run.cycles["pad"], run.cycles["fifo1"], np.arange(1000))
    assert held.max() == peak(run.cycles["pad"], run.cycles["fifo1"]) > 60


def test_an_operator_without_a_model_is_refused_by_name():
    design = chain(padding("pad", 4), 2)
    strange = design.operators[0].model_copy(update={"op_type": "Crop_rtl", "name": "cut"})
    with pytest.raises(UserError, match=r"operator cut: .* no timing model of Crop_rtl; it has .*FMPadding_rtl"):
        CycleModel(design.model_copy(update={"operators": (strange, design.operators[1])}))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"frames": 0}, "frames: 0 is below 1"),
        ({"record": ["nowhere"]}, "record: the design has no stream nowhere"),
        ({"stalls": Stalls(101, 1)}, "stalls: 101 percent is not within 0 to 99"),
        ({"stalls": Stalls(10, -1)}, "stalls: seed -1 is below 0"),
    ],
)
def test_what_cannot_be_run_is_refused(options, message):
    with pytest.raises(UserError, match=message):
        CycleModel(chain(padding("pad", 4), 2)).run(**options)


def test_an_unknown_fifo_is_refused():
    with pytest.raises(UserError, match="sizes: the design has no FIFO no_such"):
        CycleModel(chain(padding("pad", 4), 2), {"no_such": FifoSize(4)})


def test_a_run_of_too_many_cycles_is_refused():
    slow = chain(padding("pad", 100), 2, unit("slow", 1, 102 * 102, 2**12))
    with pytest.raises(UserError, match="more than 2080374782 cycles"):
        CycleModel(slow).run(60, stalls=Stalls(1, 1))


def test_stalls_are_a_plain_record():
    assert dataclasses.astuple(Stalls()) == (0, 0)
