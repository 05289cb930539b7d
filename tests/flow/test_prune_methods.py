"""Sparsifying and pruning by other methods than slimming, as stages of a run."""

import io
import json

import pytest
import torch
from rich.console import Console

from hwprune.errors import UserError
from hwprune.flow.pipeline import stages
from hwprune.flow.run_folder import RunFolder
from hwprune.flow.runner import Runner
from hwprune.flow.stage import StageContext
from hwprune.models.store import load_model
from hwprune.recipe import Recipe, load_recipe

TRAINING = {"epochs": 1, "warmup_epochs": 0, "batch_size": 8, "accelerator": "cpu"}
PHASES = [["conv1", "conv7"], ["conv7", "conv12"]]
MULTILAYER = {"method": "multilayer", "phases": PHASES, "min_channels": 1, "multiple": 1}
WIDTHS = {f"conv{i}": 8 for i in (*range(1, 10), 11, 12)}


def recipe(prune: dict, **sparsify) -> Recipe:
    return Recipe.model_validate({
        "data": {"source": "digits", "image_size": [64, 64], "train": 16, "val": 4},
        "model": {"widths": [8] * 11},
        **{stage: TRAINING for stage in ("train", "finetune")},
        "sparsify": {**TRAINING, **sparsify},
        "prune": prune,
    })  # fmt: skip


def run(settings: Recipe, out, last: str = "prune") -> RunFolder:
    folder = RunFolder(out)
    Runner(settings, folder, stages(settings.prune.rounds), Console(file=io.StringIO(), width=200)).run(last)
    return folder


def results(folder: RunFolder, stage: str) -> dict:
    return folder.record(stage).results


@pytest.fixture(scope="module")
def phased(tmp_path_factory):
    settings = recipe({**MULTILAYER, "filter_sparsity": 0.6, "weak_filter_sparsity": 0.5}, l1=[1e-2, 1e-3], max_drop=1)
    return settings, run(settings, tmp_path_factory.mktemp("phases") / "run", "finetune")


def test_each_phase_prunes_its_set(phased):
    _, folder = phased
    for stage, names in (
        ("prune", {f"conv{i}" for i in range(1, 11)}),
        ("prune-2", {f"conv{i}" for i in (7, 8, 11, 12, 13)}),
    ):
        found = results(folder, stage)
        assert found["method"] == "multilayer"
        # conv10 and conv13 are the heads that read conv9 and conv12.
        run_of_set = set(found["choice"]["set"])
        assert run_of_set == (names - {"conv8", "conv9", "conv10"} if stage == "prune" else names)
        kept = json.loads((folder.stage(stage) / "kept.json").read_text())
        assert set(kept) <= run_of_set and kept.keys() == found["choice"]["groups"].keys()
        changed = {name for name, (before, after) in found["widths"].items() if before != after}
        assert changed <= set(kept)
        choice = found["choice"]
        assert choice["score_thresholded"] >= choice["score_before"] - 0.1
    assert any(before != after for before, after in results(folder, "prune")["widths"].values())


def test_the_first_strength_that_costs_little_enough_is_taken(phased):
    _, folder = phased
    for stage in ("sparsify", "sparsify-2"):
        found, own = results(folder, stage), folder.stage(stage)
        assert found["l1"] == 1e-2 and found["tried"] == [{"l1": 1e-2, "map50": found["map50"]}]
        assert (own / "model.safetensors").read_bytes() == (own / "l1-0.01" / "model.safetensors").read_bytes()
        assert not (own / "l1-0.001").exists()


def test_strengths_are_tried_from_the_greatest_down(tmp_path, monkeypatch, phased):
    from hwprune.flow.stages import common, sparsify

    trained = []

    def train(context, network, head, settings, stage, hook):
        for parameter in network.parameters():
            parameter.grad = torch.zeros_like(parameter)
        hook(network, 0.5)
        trained.append(round(network.layers["conv3"].conv.weight.grad.abs().max().item(), 6))
        context.folder.mkdir()
        for name in common.CHECKPOINT:
            (context.folder / name).write_text(f"trained at {trained[-1]}")
        return common.checkpoint_outcome(context.folder, {"map50": {1.0: 0.3, 0.5: 0.61, 0.1: 0.9}[trained[-1]]})

    monkeypatch.setattr(common, "train_and_save", train)
    monkeypatch.setattr(common, "scorer", lambda context, head: lambda network: 0.7)
    settings = recipe(MULTILAYER, l1=[0.1, 1.0, 0.5], max_drop=0.1)
    inputs = {"train": phased[1].stage("train")}
    outcome = sparsify.run(StageContext(settings, tmp_path, inputs, round=0))
    assert trained == [1.0, 0.5]
    assert outcome.results["l1"] == 0.5 and outcome.results["before"] == 0.7
    assert [trial["map50"] for trial in outcome.results["tried"]] == [0.3, 0.61]
    assert [path.parent for path in outcome.artefacts] == [tmp_path] * 2
    assert all(path.read_text() == "trained at 0.5" for path in outcome.artefacts)


def test_no_strength_costs_little(tmp_path, monkeypatch):
    from hwprune.flow.stages import common

    monkeypatch.setattr(common, "scorer", lambda context, head: lambda network: 1.0)
    settings = recipe(MULTILAYER, l1=[1.0, 0.5], max_drop=0)
    with pytest.raises(
        UserError, match=r"sparsify\.l1: every strength takes map50 from 1\.000 down by more than .*0\.5"
    ):
        run(settings, tmp_path / "run", "sparsify")


def test_what_is_chosen_later_does_not_train_again(phased):
    settings, _ = phased
    other = settings.model_copy(update={"prune": settings.prune.model_copy(update={"threshold": 0.5, "multiple": 4})})
    assert other.on_which_depends("sparsify", 1) == settings.on_which_depends("sparsify", 1)
    assert other.on_which_depends("prune", 1) != settings.on_which_depends("prune", 1)
    backwards = settings.prune.model_copy(update={"phases": settings.prune.phases[::-1]})
    swapped = settings.model_copy(update={"prune": backwards})
    assert swapped.on_which_depends("sparsify", 0) != settings.on_which_depends("sparsify", 0)
    assert settings.on_which_depends("sparsify", 0) != recipe({}).on_which_depends("sparsify", 0)


@pytest.mark.parametrize("method", ["random", "l1_norm", "uniform"])
def test_methods_that_press_nothing_get_the_trained_network(method, tmp_path, phased):
    share = {"width": 0.5} if method == "uniform" else {"fraction": 0.5}
    folder = run(recipe({"method": method, **share, "multiple": 1}), tmp_path / "run")
    weights = [load_model(folder.stage(name))[0].state_dict() for name in ("train", "sparsify")]
    assert all((weights[0][name] == tensor).all() for name, tensor in weights[1].items())
    assert results(folder, "sparsify")["map50"] == results(folder, "train")["map50"]
    widths = results(folder, "prune")["widths"]
    assert {name: widths[name] for name in WIDTHS} == {name: [8, 4] for name in WIDTHS}
    # What goes is no constant: nothing is made good for it.
    big, small = (load_model(folder.stage(name))[0] for name in ("train", "prune"))
    stays = json.loads((folder.stage("prune") / "kept.json").read_text())["conv5"]
    means = [network.layers["conv5"].norm.running_mean for network in (big, small)]
    assert torch.equal(means[0][stays], means[1])


@pytest.mark.parametrize(
    ("text", "column", "told"),
    [
        ("prune: {method: multi}", 8, ["prune: method: 'multi' is not known; did you mean multilayer?", "uniform"]),
        ("prune: {method: multilayer}", 1, ["prune.phases: is missing: Sets of layers, each [first, last]"]),
        ("prune: {method: multilayer, phases: [[conv4, conv2]]}", 38, ["prune.phases[0]", "[conv2, conv4]"]),
        ("prune: {method: multilayer, phases: [[conv1, conv20]]}", 38, ["conv20 is no convolution of the network"]),
        ("prune: {method: uniform, fraction: 0.5}", 26, ["prune.fraction: unknown key", "width"]),
        ("prune: {method: random, layers: [fc6]}", 33, ["prune.layers: fc6 is no convolution"]),
        ("prune: {method: random, fraction: 1}", 35, ["prune.fraction: should be less than 1"]),
        ("prune: {method: uniform, width: 0.01, min_channels: 1, multiple: 1}", 33, ["prune.width: 0.01 would leave"]),
        ("prune: {rounds: 0}", 17, ["prune.rounds: should be greater than or equal to 1"]),
        ("sparsify: {l1: [1e-3, 0]}", 23, ["sparsify.l1", "greater than 0"]),
    ],
)
def test_a_bad_recipe_is_told_at_its_place(tmp_path, text, column, told):
    path = tmp_path / "bad.yaml"
    path.write_text(f"data: {{source: digits}}\n{text}\n")
    with pytest.raises(UserError) as error:
        load_recipe(path)
    message = str(error.value)
    assert f"bad.yaml:2:{column}:" in message and len(message.splitlines()) == 1
    for part in told:
        assert part in message
