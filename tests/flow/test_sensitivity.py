"""What each layer's channels are worth, on a very small recipe; stopped, resumed, in one process and in two."""

import json
import shutil
from pathlib import Path

import pytest
from rich.console import Console

from hwprune.errors import UserError
from hwprune.flow import sensitivity as module
from hwprune.flow.run_folder import RunFolder
from hwprune.flow.sensitivity import Point, sensitivity
from hwprune.flow.stages import common
from hwprune.recipe import Recipe
from tests.flow.test_interrupted_run import kill_when
from tests.test_cli import call, refused

RECIPE = {
    "data": {"source": "digits", "image_size": [64, 64], "train": 8, "val": 4},
    "model": {"widths": [2, 4, 4, 4, 4, 12, 4, 4, 4, 2, 4]},
    "train": {"epochs": 2, "batch_size": 4, "accelerator": "cpu"},
    "sparsify": {"epochs": 2, "batch_size": 4, "accelerator": "cpu"},
    "prune": {"min_channels": 1, "multiple": 1},
}


@pytest.fixture(scope="module")
def ready(tmp_path_factory) -> Path:
    """A run folder with its sensitivity."""
    root = tmp_path_factory.mktemp("sensitivity") / "run"
    sensitivity(Recipe.model_validate(RECIPE), RunFolder(root), Console())
    return root


def result(root: Path) -> dict:
    return json.loads((root / "sensitivity" / "sensitivity.json").read_text())


def test_every_layer_loses_channels_one_after_the_other(ready):
    found = result(ready)
    assert found["layers"] == dict(zip((f"conv{i}" for i in (1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12)),
                                       RECIPE["model"]["widths"], strict=True))  # fmt: skip
    removed = {name: [p["removed"] for p in found["points"] if p["layer"] == name] for name in found["layers"]}
    assert removed["conv1"] == [1]  # never all
    assert removed["conv2"] == [1, 2, 3]
    assert removed["conv6"] == [1, 2, 4, 5, 6, 7, 8, 10, 11]
    assert found["metric"] == "map50" and found["stage"] == "sparsify" and found["method"] == "slimming"
    record = RunFolder(ready).record("sparsify")
    assert found["score"] == record.results["map50"]
    chart = (ready / "sensitivity" / "sensitivity.svg").read_text()
    assert chart.startswith("<svg") and chart.rstrip().endswith("</svg>")


def test_a_point_is_the_score_of_the_pruned_network(ready):
    from hwprune.flow.stage import StageContext
    from hwprune.prune.importance import slimming
    from hwprune.prune.surgery import prune

    context = StageContext(Recipe.model_validate(RECIPE), ready, {})
    network, head = common.load_checkpoint(ready / "sparsify")
    order = slimming(network)["conv6"].argsort(stable=True).tolist()
    expected = common.scorer(context, head)(prune(network.eval(), {"conv6": tuple(sorted(order[4:]))}))
    (point,) = (p for p in result(ready)["points"] if p["layer"] == "conv6" and p["removed"] == 4)
    assert point["score"] == expected and point["share"] == 0.3


def test_two_processes_and_another_run_find_the_same(ready, tmp_path):
    shutil.copytree(ready, tmp_path / "run", ignore=shutil.ignore_patterns("sensitivity"))
    sensitivity(Recipe.model_validate(RECIPE), RunFolder(tmp_path / "run"), Console(), jobs=2)
    assert result(tmp_path / "run") == result(ready)


def test_measured_points_are_kept_while_nothing_has_changed(ready, tmp_path, monkeypatch):
    root = tmp_path / "run"
    shutil.copytree(ready, root)
    measured = []
    monkeypatch.setattr(module._Subject, "__call__", lambda self, point: measured.append(point) or 0.5)
    sensitivity(Recipe.model_validate(RECIPE), RunFolder(root), Console())
    assert not measured and result(root) == result(ready)
    path = root / "sensitivity" / "sensitivity.json"
    content = result(root)
    gone = content["points"].pop(3)
    path.write_text(json.dumps(content))
    sensitivity(Recipe.model_validate(RECIPE), RunFolder(root), Console())
    assert measured == [Point(gone["layer"], gone["share"], gone["removed"])]
    other = Recipe.model_validate(RECIPE | {"prune": {"method": "l1_norm", "min_channels": 1, "multiple": 1}})
    measured.clear()
    sensitivity(other, RunFolder(root), Console(), after="train")
    assert len(measured) == len(result(ready)["points"])
    assert {p["score"] for p in result(root)["points"]} == {0.5}


def test_killed_while_it_measures_it_goes_on(ready, tmp_path):
    (tmp_path / "tiny.yaml").write_text(json.dumps(RECIPE))
    out = tmp_path / "run"
    path = out / "sensitivity" / "sensitivity.json"
    kill_when(path.exists, tmp_path / "tiny.yaml", out, "sensitivity")
    whole = json.loads(path.read_text())["points"]
    assert 0 < len(whole) < len(result(ready)["points"])
    answer = call("sensitivity", tmp_path / "tiny.yaml", "--out", out)
    assert answer.exit_code == 0, answer.output
    assert result(out) == result(ready)
    assert answer.output.splitlines()[-1] == str(path)


def test_what_is_wrong_is_told(ready, tmp_path):
    root = tmp_path / "run"
    shutil.copytree(ready, root)
    (root / "sensitivity" / "sensitivity.json").write_text("{}")
    with pytest.raises(UserError, match="is no result of hwprune sensitivity"):
        sensitivity(Recipe.model_validate(RECIPE), RunFolder(root), Console())
    (tmp_path / "bad.yaml").write_text("data: {source: nowhere}\n")
    refused(call("sensitivity", tmp_path / "bad.yaml", "--out", tmp_path / "other"), "source")
    assert not (tmp_path / "other").exists()
    assert "--after [train|sparsify]" in call("sensitivity", "--help").output
