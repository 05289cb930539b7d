"""Several rounds of sparsifying, pruning and fine-tuning."""

import io
import json

import pytest
from rich.console import Console

from hwprune.flow.pipeline import stages
from hwprune.flow.run_folder import RunFolder
from hwprune.flow.runner import Runner
from hwprune.models.store import load_model
from hwprune.recipe import Recipe
from hwprune.report.render import render_report

TRAINING = {"epochs": 1, "warmup_epochs": 0, "batch_size": 8, "accelerator": "cpu"}


def recipe(rounds: int, **prune) -> Recipe:
    return Recipe.model_validate({
        "data": {"source": "digits", "image_size": [64, 64], "train": 16, "val": 4},
        "model": {"widths": [8] * 11},
        **{stage: TRAINING for stage in ("train", "sparsify", "finetune")},
        "prune": {"rounds": rounds, "fraction": 0.3, "multiple": 1, "min_channels": 1, **prune},
    })  # fmt: skip


def run(settings: Recipe, out, last: str = "finetune") -> str:
    said = io.StringIO()
    Runner(settings, RunFolder(out), stages(settings.prune.rounds), Console(file=said, width=200)).run(last)
    return said.getvalue()


@pytest.mark.parametrize("rounds", [1, 2, 5])
def test_every_round_begins_where_the_last_ended(rounds):
    chain = stages(rounds)
    assert len({stage.name for stage in chain}) == len(chain) == len(stages()) + 3 * (rounds - 1)
    for number, stage in enumerate(chain):
        assert set(stage.sources.values()) <= {earlier.name for earlier in chain[:number]}
    tuned = ["train", *(stage.name for stage in chain if stage.kind == "finetune")]
    begun = [stage.sources["train"] for stage in chain if stage.kind == "sparsify"]
    assert begun == tuned[:-1]
    assert next(stage for stage in chain if stage.name == "quantize").sources == {"finetune": tuned[-1]}
    assert [stage.final for stage in chain if stage.kind == "prune"] == [False] * (rounds - 1) + [True]


@pytest.fixture(scope="module")
def twice(tmp_path_factory):
    out = tmp_path_factory.mktemp("rounds") / "run"
    run(recipe(2), out)
    return out


def test_each_round_removes_its_share_of_what_is_there(twice):
    widths = []
    for name in ("train", "prune", "prune-2", "finetune-2"):
        table = load_model(twice / name)[0].architecture
        widths.append(sum(layer.out_channels for layer in table.layers if layer.op == "conv" and layer.norm))
    assert widths[0] == 88
    # A floor of one channel a layer may keep a few that fell.
    assert round(0.7 * 88) <= widths[1] <= round(0.7 * 88) + 4
    assert round(0.7 * widths[1]) <= widths[2] <= round(0.7 * widths[1]) + 6
    assert widths[3] == widths[2]


def test_a_further_round_keeps_those_that_are_done(twice):
    said = run(recipe(3), twice)
    kept = {line.split()[0] for line in said.splitlines() if "kept, unchanged" in line}
    assert kept == {"train", "sparsify", "prune", "finetune", "sparsify-2", "prune-2", "finetune-2"}
    rounds = json.loads((twice / "summary.json").read_text())["rounds"]
    assert [row["round"] for row in rounds] == [1, 2, 3]
    assert rounds[0]["params"] > rounds[1]["params"] > rounds[2]["params"]
    page = render_report(twice).read_text()
    assert all(f"<td>{row['params']:,}</td>" in page for row in rounds)


def test_neurons_change_in_the_last_round_only(tmp_path):
    settings = Recipe.model_validate(
        recipe(2).model_dump(mode="json", exclude_none=True)
        | {"model": {"widths": [8] * 11, "neurons": {"conv8": {"neuron": "sam"}}}}
    )
    run(settings, tmp_path / "run")
    first, last = (load_model(tmp_path / "run" / name)[0].architecture for name in ("finetune", "finetune-2"))
    assert first["conv8"].sam is None
    assert last["conv8"].sam is not None
