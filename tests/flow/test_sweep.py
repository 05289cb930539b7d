"""Shares of one recipe, on a very small one: shared stages, two processes, kills, and what is wrong."""

import json
import shutil
from pathlib import Path

import pytest
from rich.console import Console

from hwprune.errors import UserError
from hwprune.flow.run_folder import RunFolder
from hwprune.flow.sweep import parse_shares, sweep
from hwprune.recipe import Recipe
from tests.flow.test_interrupted_run import kill_when
from tests.test_cli import call, refused

RECIPE = {
    "data": {"source": "digits", "image_size": [64, 64], "train": 8, "val": 4},
    "model": {"widths": [2, 4, 4, 4, 4, 12, 4, 4, 4, 2, 4]},
    "train": {"epochs": 2, "batch_size": 4, "accelerator": "cpu"},
    "sparsify": {"epochs": 2, "batch_size": 4, "accelerator": "cpu"},
    "prune": {"min_channels": 1, "multiple": 1},
    "finetune": {"epochs": 2, "batch_size": 4, "accelerator": "cpu"},
}


def recipe(**more) -> Recipe:
    return Recipe.model_validate(RECIPE | more)


@pytest.fixture(scope="module")
def swept(tmp_path_factory) -> Path:
    """A run folder, swept over two shares by two processes."""
    root = tmp_path_factory.mktemp("sweep") / "run"
    sweep(recipe(), RunFolder(root), Console(), shares=[0.5, 0.25], jobs=2)
    return root


def result(root: Path) -> dict:
    return json.loads((root / "sweep" / "sweep.json").read_text())


def record(root: Path, stage: str):
    return RunFolder(root).record(stage)


def test_each_trial_is_a_run_of_its_own_share(swept):
    found = result(swept)
    assert [point["share"] for point in found["points"]] == [0.25, 0.5]
    assert found["under_way"] == 0 and found["metric"] == "map50" and found["method"] == "slimming"
    base = record(swept, "sparsify")
    assert (found["before"]["score"], found["before"]["params"]) == (base.results["map50"], base.results["params"])
    for point in found["points"]:
        trial = swept / "sweep" / f"share-{point['share']:g}"
        assert f"fraction: {point['share']}" in (trial / "recipe.yaml").read_text()
        done = record(trial, "finetune")
        assert (point["score"], point["params"], point["macs"]) == tuple(
            done.results[key] for key in ("map50", "params", "macs")
        )
        assert record(trial, "sparsify") == base  # not trained again
        assert point["fps_estimate"] > 0 and point["resources"]["dsp"] >= 13
        assert point["widths"]["conv6"] < 12
    assert found["points"][0]["params"] > found["points"][1]["params"]
    assert (swept / "sweep" / "sweep.svg").read_text().startswith("<svg")


def test_a_trial_finds_what_a_run_of_that_share_finds(swept, tmp_path):
    (tmp_path / "half.yaml").write_text(json.dumps(RECIPE | {"prune": {**RECIPE["prune"], "fraction": 0.5}}))
    answer = call("finetune", tmp_path / "half.yaml", "--out", tmp_path / "run")
    assert answer.exit_code == 0, answer.output
    for stage in ("prune", "finetune"):
        assert record(tmp_path / "run", stage).digest == record(swept / "sweep" / "share-0.5", stage).digest


def test_finished_trials_are_kept_and_a_new_share_is_added(swept, tmp_path):
    root = tmp_path / "run"
    shutil.copytree(swept, root)
    before = record(root / "sweep" / "share-0.5", "finetune")
    sweep(recipe(), RunFolder(root), Console(), shares=[0.5, 0.75])
    assert [point["share"] for point in result(root)["points"]] == [0.25, 0.5, 0.75]
    assert record(root / "sweep" / "share-0.5", "finetune") == before
    longer = recipe(finetune={**RECIPE["finetune"], "epochs": 3})
    sweep(longer, RunFolder(root), Console(), shares=[0.5])
    assert [point["share"] for point in result(root)["points"]] == [0.5]  # a study of its own
    assert record(root / "sweep" / "share-0.5", "finetune") != before


@pytest.mark.parametrize("storage", [None, "sqlite:///{}/sweep.db"])
def test_killed_in_a_trial_it_goes_on(tmp_path, storage):
    """Killed when one trial is finished and another fine-tunes."""
    path, out = tmp_path / "tiny.yaml", tmp_path / "run"
    path.write_text(json.dumps(RECIPE | {"finetune": {**RECIPE["finetune"], "epochs": 6}}))
    where = ["--storage", storage.format(tmp_path)] if storage else []
    one, other = (out / "sweep" / f"share-{share}" / "finetune" for share in (0.3, 0.6))

    def between() -> bool:
        return (one / "stage.json").exists() and (other / "last.ckpt").exists()

    kill_when(between, path, out, "sweep", "--shares", "0.3,0.6", *where)
    assert not (other / "stage.json").exists()
    kept = (one / "stage.json").read_bytes()
    answer = call("sweep", path, "--out", out, "--shares", "0.3,0.6", *where)
    assert answer.exit_code == 0, answer.output
    found = result(out)
    assert [point["share"] for point in found["points"]] == [0.3, 0.6] and found["under_way"] == 0
    assert (one / "stage.json").read_bytes() == kept
    assert "goes on where it was interrupted" in "".join(p.read_text() for p in (out / "sweep").glob("process-*.log"))


def test_two_machines_share_a_storage(swept, tmp_path):
    """Each has a run folder of its own; the second finds all done."""
    storage = str(tmp_path / "shared.journal")
    for run in ("a", "b"):
        shutil.copytree(swept, tmp_path / run, ignore=shutil.ignore_patterns("sweep"))
        sweep(recipe(), RunFolder(tmp_path / run), Console(), shares=[0.4], storage=storage)
    assert result(tmp_path / "a") == result(tmp_path / "b")
    assert not (tmp_path / "b" / "sweep" / "share-0.4").exists()


def test_optuna_chooses_as_many_as_are_asked_for(swept, tmp_path):
    root = tmp_path / "run"
    shutil.copytree(swept, root, ignore=shutil.ignore_patterns("sweep"))
    sweep(recipe(), RunFolder(root), Console(), trials=2)
    first = [point["share"] for point in result(root)["points"]]
    assert len(first) == 2 and all(0.05 <= share <= 0.95 for share in first)
    sweep(recipe(), RunFolder(root), Console(), trials=3)
    assert set(first) < {point["share"] for point in result(root)["points"]}


def test_a_width_is_swept_as_what_is_left(tmp_path):
    root = tmp_path / "run"
    sweep(recipe(prune={"method": "uniform", "min_channels": 1, "multiple": 1}), RunFolder(root), Console(),
          shares=[0.4])  # fmt: skip
    assert "width: 0.6" in (root / "sweep" / "share-0.4" / "recipe.yaml").read_text()
    (point,) = result(root)["points"]
    assert point["widths"]["conv6"] == 7


@pytest.mark.parametrize(
    ("text", "complaint"),
    [("0.2,x", "'x' is no number"), ("1", "share 1: would empty"), ("-0.1", "share -0.1"), ("", "'' is no number"),
     ("nan", "share nan")],
)  # fmt: skip
def test_shares_that_are_none(text, complaint):
    with pytest.raises(UserError, match=complaint):
        parse_shares(text)


def test_what_is_wrong_is_told_before_anything_trains(tmp_path):
    (tmp_path / "tiny.yaml").write_text(json.dumps(RECIPE))
    out = tmp_path / "run"

    def told(*arguments: str, path: str = "tiny.yaml") -> str:
        result = call("sweep", tmp_path / path, "--out", out, *arguments)
        refused(result)
        assert not out.exists()
        return result.stderr

    assert "not both" in told("--shares", "0.5", "--trials", "2")
    for storage, complaint in [
        ("nonsense://x", "nonsense"),
        ("sqlite:////nowhere/at/all.db", "unable to open"),
        (str(tmp_path / "no" / "folder"), "does not exist"),
        (str(tmp_path / "tiny.yaml"), "cannot be opened"),
    ]:
        said = told("--storage", storage)
        assert complaint in said and storage in said
    (tmp_path / "layers.yaml").write_text(
        json.dumps(RECIPE | {"prune": {**RECIPE["prune"], "method": "multilayer", "phases": [["conv1", "conv5"]]}})
    )
    assert "no share to sweep" in told(path="layers.yaml")
    (tmp_path / "uniform.yaml").write_text(json.dumps(RECIPE | {"prune": {**RECIPE["prune"], "method": "uniform"}}))
    assert "share 0.9: " in told("--shares", "0.9", path="uniform.yaml")
