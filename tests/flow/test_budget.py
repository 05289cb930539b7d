"""Stage prune with a budget, on a network that is only initialised: widths need no training."""

import json

import pytest
import torch

from hwprune.accel.predict import Predictor
from hwprune.detect.head import HeadSpec
from hwprune.errors import UserError
from hwprune.flow.stage import StageContext
from hwprune.flow.stages import prune
from hwprune.models.network import Network
from hwprune.models.store import load_model, save_model
from hwprune.models.yolov3_tiny import yolov3_tiny
from hwprune.quant.precision import Precision
from hwprune.recipe import Recipe
from hwprune.sam.settings import Sam

WIDTHS = (4, 8, 8, 12, 16, 16, 24, 8, 16, 4, 8)
BUDGET = {"fps": 8000, "dsps": 25, "brams": 18}


def context(folder, sam=None, **settings) -> StageContext:
    recipe = Recipe.model_validate(
        {
            "data": {"source": "digits", "image_size": [64, 64], "train": 4, "val": 2},
            "prune": {"min_channels": 2, "multiple": 1, "budget": BUDGET, **settings},
            "quantize": {"activation": "relu"},
        }
    )
    table = yolov3_tiny(10, WIDTHS, activation="relu")
    if sam:
        table = table.with_neurons(dict.fromkeys(("conv4", "conv6", "conv9"), sam))
    torch.manual_seed(1)
    network = Network(table)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.weight, 0, 1)
    head = HeadSpec(
        classes=tuple("0123456789"),
        anchors=(((10, 10), (20, 20), (30, 30)),) * 2,
        strides=(32, 16),
        image_size=(64, 64),
    )
    for name in ("sparsify", "prune"):
        (folder / name).mkdir()
    save_model(folder / "sparsify", network, head)
    return StageContext(recipe, folder / "prune", {"sparsify": folder / "sparsify"})


@pytest.mark.parametrize(
    ("sam", "settings"),
    [
        (None, {}),
        (None, {"method": "l1_norm"}),
        (Sam(form="signed", group=4, floor=True), {}),
    ],
    ids=["slimming", "l1_norm", "SAM"],
)
def test_the_pruned_network_keeps_to_the_budget(tmp_path, sam, settings):
    ready = context(tmp_path, sam, **settings)
    results = prune.run(ready).results
    small, _ = load_model(ready.folder)
    design = Predictor(small.architecture, (64, 64), Precision(activation="relu")).at(12_500)
    assert design.cycles <= 12_500
    assert design.resources["dsp"] <= 25 and design.resources["bram18"] <= 18
    choice = results["choice"]
    assert choice["predicted"] == {**design.resources, "cycles": design.cycles, "fps": 1e8 / design.cycles}
    assert 0 < choice["importance_lost"] < 0.9
    json.dumps(results, allow_nan=False)


def test_the_whole_network_stays_where_it_fits(tmp_path):
    ready = context(tmp_path, budget={"fps": 100})
    results = prune.run(ready).results
    assert results["choice"]["importance_lost"] == pytest.approx(0)
    assert all(before == after for before, after in results["widths"].values())


def test_a_budget_out_of_reach_says_what_is_missing_and_what_could_be(tmp_path):
    ready = context(tmp_path, budget={"fps": 10_000, "dsps": 18})
    with pytest.raises(
        UserError, match=r"at 10000 fps even the narrowest.* \d+ more than the 18 there are.*reaches"
    ) as e:
        prune.run(ready)
    reached = float(str(e.value).split("it reaches ")[1].split(" fps")[0])
    assert 100 < reached < 10_000
    (tmp_path / "again").mkdir()
    slower = context(tmp_path / "again", budget={"fps": 0.999 * reached, "dsps": 18})
    assert prune.run(slower).results["choice"]["predicted"]["dsp"] <= 18


def test_no_speed_makes_it_fit(tmp_path):
    with pytest.raises(UserError, match=r"1 more than the 2 there are; no speed makes it fit"):
        prune.run(context(tmp_path, budget={"fps": 10, "dsps": 2}))


def test_a_part_that_is_not_known(tmp_path):
    with pytest.raises(UserError, match=r"'xc6slx9': its resources are not known here; .*xc7z020"):
        prune.run(context(tmp_path, budget={"fps": 10, "part": "xc6slx9"}))
