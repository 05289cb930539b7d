"""The stage compile on parts with other DSP slices and memories; the whole chain runs in tests/test_cli.py."""

import pytest

from hwprune.accel.accelerator import Accelerator
from hwprune.errors import UserError
from hwprune.flow.stage import StageContext
from hwprune.flow.stages import compile, simulate
from hwprune.flow.stages.export import GRAPH
from hwprune.models.architecture import IMAGE, Architecture, Conv
from hwprune.quant.export import export_qonnx
from hwprune.recipe import Recipe
from hwprune.sim.cycle.model import CycleModel
from hwprune.sim.cycle.sizing import unbounded_model
from tests.nets import integer_network
from tests.sim.cycle.made_up import chain, padding, unit

VERSAL = "xcvc1902-vsva2197-2MP-e-S".lower()


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    folder = tmp_path_factory.mktemp("exported")
    layers = (
        Conv(name="conv1", inputs=(IMAGE,), out_channels=4, kernel=3, padding=1),
        Conv(name="head", inputs=("conv1",), out_channels=2, kernel=1, norm=False, activation="linear"),
    )
    table = Architecture(name="two", layers=layers, heads=("head",))
    export_qonnx(integer_network(table, (6, 6), 1), (6, 6), folder / GRAPH)
    return folder


def context(folder, exported, **settings) -> StageContext:
    data = {"source": "digits", "image_size": [64, 64], "train": 4, "val": 2}
    recipe = Recipe.model_validate({"data": data, "compile": settings})
    folder.mkdir()
    return StageContext(recipe, folder, {"export": exported})


def test_the_cycle_model_refuses_versal_and_compiling_goes_on_without_it(tmp_path, exported):
    refused = context(tmp_path / "refused", exported, part=VERSAL)
    with pytest.raises(
        UserError, match=r"operator conv1_mvau \(MVAU_rtl\): .* VERSION 3 \(3: DSP58 .*: compile.fifo_depth$"
    ):
        compile.run(refused)
    assert not list(refused.folder.glob("*.json")) and not (refused.folder / "rtl").exists()

    ready = context(tmp_path / "ready", exported, part=VERSAL, fifo_depth=16)
    outcome = compile.run(ready)
    assert all(path.is_file() for path in outcome.artefacts) and "fps_model" not in outcome.results
    accelerator = Accelerator.load(ready.folder)
    assert {fifo.depth for fifo in accelerator.design.fifos} == {16}
    with pytest.raises(UserError, match=r"operator conv1_mvau .* VERSION 3 .*simulate.levels: \[csim, rtl\] goes on"):
        simulate._timing(ready, accelerator, None, None)


def test_the_clock_rises_as_far_as_it_may(tmp_path, exported):
    """8 x 8 padded pixels, a cycle each at best: at 100 MHz no 1.8 million frames a second."""
    wanted = {"board": "pynq-z2", "target_fps": 1.8e6}
    with pytest.raises(UserError, match=r"takes \d+ cycles a frame even when fully unfolded, but the goal leaves 55"):
        compile.run(context(tmp_path / "fixed", exported, **wanted))
    with pytest.raises(UserError, match=r"the goal leaves 55"):
        compile.run(context(tmp_path / "little", exported, max_clock_mhz=110, **wanted))
    ready = context(tmp_path / "ready", exported, max_clock_mhz=250, **wanted)
    results = compile.run(ready).results
    assert 110 < results["clock_mhz"] <= 250 and results["fps_model"] >= 1.8e6
    assert Accelerator.load(ready.folder).clock_mhz == results["clock_mhz"]


def test_fifos_are_sized_where_their_generous_depth_would_be_ultra_ram():
    design = chain(padding("pad", 4), 3000, unit("unit", 36, 1, 2))
    with pytest.raises(UserError, match=r"FIFO fifo1: .* UltraRAM, .* beyond 2028 beats; leave out compile.fifo_depth"):
        CycleModel(design)
    assert unbounded_model(design).run(3).finished


def test_a_speed_that_fifos_cannot_give_is_refused_with_the_one_they_can(tmp_path, exported):
    asked = context(tmp_path / "fast", exported, target_fps=1e4, fifo_fps=9e7)
    with pytest.raises(
        UserError, match=r"^compile.fifo_fps: 9e\+07 frames a second are more than the [\d.e+]+ of"
    ) as told:
        compile.run(asked)
    assert not list(asked.folder.glob("*.json"))
    most = float(str(told.value).split(" more than the ")[1].split()[0])
    with_that = compile.run(context(tmp_path / "reached", exported, target_fps=1e4, fifo_fps=most))
    assert with_that.results["fps_model"] >= most
