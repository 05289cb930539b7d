"""Recipes with SAM layers, from images to integers: from the start, and by conversion of the pruned network."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from rich.console import Console

from hwprune.errors import UserError
from hwprune.flow.pipeline import STAGES
from hwprune.flow.run_folder import RunFolder
from hwprune.flow.runner import Runner
from hwprune.flow.stage import StageContext
from hwprune.flow.stages import common, conversion, train
from hwprune.models.darknet import save_darknet_weights
from hwprune.models.network import Network
from hwprune.models.yolov3_tiny import yolov3_tiny
from hwprune.quant.store import load_integer
from hwprune.recipe import Recipe, load_recipe
from hwprune.sam.blend import Blend
from hwprune.sam.choice import SamNeuron
from hwprune.sam.settings import Sam
from tests.flow.test_interrupted_run import OF_ITS_TIME, kill_when
from tests.flow.test_stages import cfg

QUICK = "{epochs: 2, batch_size: 8, accelerator: cpu, sam: {distillation: 0.5, conversion: 0.9}}"
TEXT = f"""\
name: sam
data: {{source: digits, image_size: [64, 64], train: 16, val: 2}}
model:
  widths: [4, 8, 16, 16, 8, 8, 8, 8, 8, 8, 8]
  neurons:
    "conv[4-6]": {{neuron: sam, form: signed, group: 16}}
    conv6: {{neuron: sam, form: difference, group: 4}}
    conv13: {{neuron: sam, form: maxmin, group: 2}}
  neurons_from: STAGE
train: {{epochs: 2, batch_size: 8, accelerator: cpu}}
sparsify: {{epochs: 2, batch_size: 8, accelerator: cpu}}
prune: {{fraction: 0.6, multiple: 4}}
finetune: {QUICK}
quantize: {QUICK}
"""
SAM_LAYERS = ["conv4", "conv5", "conv6", "conv13"]
"""Those of the recipe."""
FIRST = ("train", "sparsify", "prune")


def recipe(folder: Path, stage: str) -> Path:
    path = folder / "sam.yaml"
    path.write_text(TEXT.replace("STAGE", stage))
    return path


def run(folder: Path, stage: str, last: str = "quantize", **model) -> RunFolder:
    """In this process, on one thread as small images have."""
    settings = load_recipe(recipe(folder, stage))
    settings = settings.model_copy(update={"model": settings.model.model_copy(update=model)})
    out = RunFolder(folder / "run")
    Runner(settings, out, STAGES, Console(quiet=True)).run(last)
    return out


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Runs to `quantize` by the stage in which SAM begins; made when first asked for. To be copied by who writes."""
    made: dict[str, RunFolder] = {}

    def give(stage: str) -> RunFolder:
        if stage not in made:
            folder = tmp_path_factory.mktemp(stage)
            if stage != "train" and made.keys() & {"finetune", "quantize"}:
                shutil.copytree(next(made[s].root for s in ("finetune", "quantize") if s in made), folder / "run")
            made[stage] = run(folder, stage)
        return made[stage]

    return give


def neurons(out: RunFolder, stage: str) -> dict[str, Sam]:
    network, _ = common.load_checkpoint(out.stage(stage))
    return {layer.name: layer.sam for layer in network.architecture.layers if layer.op == "conv" and layer.sam}


@pytest.mark.parametrize("begin", ["train", "finetune", "quantize"])
def test_sam_begins_where_the_recipe_says(whole, begin):
    out = whole(begin)
    stages = ["train", "sparsify", "prune", "finetune"]
    for stage in stages:
        is_sam = begin in stages and stages.index(stage) >= stages.index(begin)
        assert list(neurons(out, stage)) == (SAM_LAYERS if is_sam else []), stage
        assert ("sam" in out.record(stage).results) == (is_sam and stage != "prune")
    network, _ = load_integer(out.stage("quantize"))
    channels = network.architecture.channels()
    for name in SAM_LAYERS:
        layer, conv = network.architecture[name], network.layers[name].conv
        assert channels[layer.input] % layer.sam.group == 0
        codes = conv.p.permute(0, 2, 3, 1).reshape(len(conv.p), -1, conv.group)
        assert codes.max() <= (255 if name == "conv13" else 15)  # heads have edge_bits
        assert (codes == codes.round()).all() and (codes.min(-1).values == 0).all()
        assert codes.unique().numel() > 1 or conv.group == 1
    results = out.record("quantize").results
    assert list(results["sam"]) == SAM_LAYERS
    assert results["sam"]["conv6"]["form"] == "difference" and results["weight_bits"]["conv5"] == 4
    if begin != "train":
        history = out.record(begin).results["history"]
        assert all(record["distillation"] > 0 for record in history)


def test_groups_that_pruning_breaks_become_smaller_and_it_is_said(whole, tmp_path, capsys):
    shutil.copytree(whole("finetune").root, tmp_path / "run")
    out = run(tmp_path, "finetune", last="finetune", neurons={})
    assert neurons(out, "finetune") == {}
    capsys.readouterr()
    out = run(tmp_path, "finetune", last="finetune")
    said = capsys.readouterr().out.splitlines()
    left = common.load_checkpoint(out.stage("finetune"))[0].architecture.channels()["pool3"]
    assert left < 16  # of conv3
    assert f"finetune: layer conv4 reads {left} channels after pruning: SAM groups of {left}, not 16" in said
    assert neurons(out, "finetune")["conv4"].group == left
    # The recipe's activation is leaky, and the form maxmin of conv13 has no floor behind any.
    assert any(line.startswith("finetune: SAM without a floor") and "in conv4, conv5, conv6, whose" in line
               for line in said)  # fmt: skip


def test_other_neurons_leave_the_stages_before_them_as_they_are(whole, tmp_path):
    shutil.copytree(whole("finetune").root, tmp_path / "run")
    before = {stage: RunFolder(tmp_path / "run").record(stage) for stage in (*FIRST, "finetune")}
    out = run(tmp_path, "finetune", last="finetune", neurons={"conv5": SamNeuron(neuron="sam", group=0)})
    assert all(out.record(stage) == before[stage] for stage in FIRST)
    assert out.record("finetune").digest != before["finetune"].digest


@pytest.mark.parametrize("begin", ["finetune", "quantize"])
def test_killed_while_it_converts(whole, tmp_path, begin):
    """`hwprune quantize` dies with SIGKILL right after the first epoch of the stage that converts."""
    shutil.copytree(whole(begin).root, tmp_path / "run")
    for stage in ("finetune", "quantize") if begin == "finetune" else ("quantize",):
        shutil.rmtree(tmp_path / "run" / stage)
    path = recipe(tmp_path, begin)
    checkpoint = tmp_path / "run" / begin / "last.ckpt"
    kill_when(lambda: checkpoint.exists() and checkpoint.stat().st_size > 0, path, tmp_path / "run", "quantize")
    assert RunFolder(tmp_path / "run").record(begin) is None
    out = run(tmp_path, begin)
    for stage in ("finetune", "quantize"):
        records = [folder.record(stage) for folder in (out, whole(begin))]
        assert records[0].artefacts == records[1].artefacts
        assert records[0].model_dump(exclude=OF_ITS_TIME) == records[1].model_dump(exclude=OF_ITS_TIME)


def context(folder: Path, **model) -> StageContext:
    data = {"source": "digits", "image_size": [64, 64], "train": 4, "val": 2}
    settings = {"epochs": 2, "batch_size": 4, "accelerator": "cpu"}
    content = {"data": data, "model": {k: str(v) if isinstance(v, Path) else v for k, v in model.items()}}
    content = Recipe.model_validate_json(json.dumps(content | {"train": settings}))
    (folder / "train").mkdir(exist_ok=True)
    return StageContext(content, folder / "train", {})


@pytest.mark.parametrize("begin", ["train", "finetune"])
@pytest.mark.parametrize(
    ("neurons", "complaint"),
    [({"conv99": {"neuron": "mac"}}, r"model\.neurons: conv99: names no convolution.*there are conv1"),
     ({"conv*": {"neuron": "sam", "group": 3}}, r"neurons: conv\*: layer conv2, .*does not divide 4 .*: 1, 2, 4")],
)  # fmt: skip
def test_neurons_that_a_darknet_network_cannot_have_are_told_before_it_is_trained(tmp_path, neurons, complaint, begin):
    (tmp_path / "net.cfg").write_text(cfg())
    with pytest.raises(UserError, match=complaint):
        train.run(context(tmp_path, darknet_cfg=tmp_path / "net.cfg", neurons=neurons, neurons_from=begin))
    assert not list((tmp_path / "train").iterdir())


def test_trained_darknet_weights_are_converted(tmp_path, capsys):
    path, weights = tmp_path / "net.cfg", tmp_path / "net.weights"
    path.write_text(cfg())
    chosen = {"neurons": {"conv2": {"neuron": "sam", "form": "difference", "group": 2}}, "neurons_from": "train"}
    fresh, _ = train.start(ready := context(tmp_path, darknet_cfg=path, **chosen), data(ready))
    assert fresh.architecture["conv2"].sam == Sam(form="difference", group=2)
    assert "train: SAM without a floor, which costs accuracy, in conv2, whose inputs" in capsys.readouterr().out
    mac, _ = train.start(plain := context(tmp_path, darknet_cfg=path), data(plain))
    save_darknet_weights(mac, weights)
    ready = context(tmp_path, darknet_cfg=path, darknet_weights=weights, **chosen)
    network, _ = train.start(ready, data(ready))
    assert network.architecture == mac.architecture
    twin = conversion.converted(ready, "train", network, data(ready).train)
    assert twin.architecture["conv2"].sam == Sam(form="difference", group=2)
    assert torch.equal(twin.layers["conv1"].conv.weight, mac.layers["conv1"].conv.weight)
    train.run(ready)
    trained, _ = common.load_checkpoint(ready.folder)
    assert trained.architecture == twin.architecture
    assert not any(isinstance(module, Blend) for module in trained.modules())


def data(ready: StageContext):
    return common.open_data(ready)[0]


def test_no_group_fits(tmp_path):
    table = yolov3_tiny(10, [4, 8, 5, 8, 8, 8, 8, 8, 8, 8, 8])
    ready = context(tmp_path, neurons={"conv4": {"neuron": "sam", "form": "difference", "group": 4}})
    with pytest.raises(UserError, match=r"model\.neurons: layer 'conv4': .*divide 5 .*prune\.multiple"):
        conversion.converted(ready, "finetune", Network(table), data(ready).train)
