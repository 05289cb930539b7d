"""The stages that need no hardware, with each kind of network; the whole chain of one runs in tests/test_cli.py."""

import json

import pytest
import torch
from PIL import Image
from rich.console import Console

from hwprune.errors import UserError
from hwprune.flow.detections import load_detections
from hwprune.flow.pipeline import STAGES
from hwprune.flow.run_folder import RunFolder
from hwprune.flow.runner import Runner
from hwprune.flow.stage import StageContext
from hwprune.flow.stages import common, train
from hwprune.models.network import Network
from hwprune.models.ssd import ssd300, ssd300_widths
from hwprune.models.vgg import vgg16_widths
from hwprune.recipe import Recipe
from hwprune.report.render import render_report

SSD = {
    "data": {"source": "digits", "image_size": [64, 64], "train": 8, "val": 3},
    "model": {
        "name": "ssd300", "detection_layers": 2, "norm": True, "widths": dict.fromkeys(ssd300_widths(2), 8),
    },
}  # fmt: skip
VGG = {
    "data": {"source": "digit_images", "train": 8, "val": 3},
    "model": {
        "name": "vgg16", "fully_connected": [8], "norm": True, "widths": dict.fromkeys(vgg16_widths((8,)), 8),
    },
}  # fmt: skip


def recipe(content: dict) -> Recipe:
    steps = {"epochs": 2, "batch_size": 4, "learning_rate": 1e-3, "accelerator": "cpu"}
    sections = {name: steps for name in ("train", "sparsify", "finetune")}
    return Recipe.model_validate({**content, **sections, "prune": {"fraction": 0.3}})


@pytest.mark.parametrize(("content", "metric", "kind"), [(SSD, "map50", "ssd"), (VGG, "accuracy", "classes")])
def test_from_training_to_the_report(tmp_path, content, metric, kind):
    folder, console = RunFolder(tmp_path / "run"), Console(record=True, width=200)
    Runner(recipe(content), folder, STAGES, console).run("finetune")

    records = folder.records(["train", "sparsify", "prune", "finetune"])
    assert all(0 <= record.results[metric] <= 1 for record in records.values())
    summary = json.loads((folder.root / "summary.json").read_text())
    assert [key for key in ("map50", "accuracy") if key in summary] == [metric]
    levels = {"float": "train", "sparse": "sparsify", "pruned": "prune", "finetuned": "finetune"}
    assert {level: summary[metric][level] for level in levels} == {
        level: records[stage].results[metric] for level, stage in levels.items()
    }
    assert summary["params"]["after"] < summary["params"]["before"]
    assert summary["rounds"][0]["finetuned"] == summary[metric]["finetuned"]

    network, head = common.load_checkpoint(folder.stage("finetune"))
    assert head.kind == kind
    outputs = network.eval()(torch.zeros(1, 3, *head.image_size))
    head.check([output.shape for output in outputs])
    drawn = load_detections(folder.stage("finetune"))
    assert len(drawn.images) == 3 and all(image.truth for image in drawn.images)
    boxes = [thing.box for image in drawn.images for thing in image.truth]
    assert all(box is None for box in boxes) if kind == "classes" else all(boxes)

    page = render_report(folder.root).read_text()
    assert {"map50": "mAP50, finetuned", "accuracy": "accuracy, finetuned"}[metric] in page
    assert ("Share of the validation images" in page) == (metric == "accuracy")
    assert ("<h2>Classes</h2>" in page) == (metric == "accuracy")
    if kind == "classes":
        first = drawn.images[0]
        assert f"<strong>{drawn.classes[first.truth[0].label]}</strong>" in page
        best = first.predictions[0]
        assert f"{drawn.classes[best.label]} {best.score:.2f}</span>" in page
        assert page.count("<figcaption>") == 3

    Runner(recipe(content), folder, STAGES, console).run("finetune")
    assert console.export_text().count("kept, unchanged") == 4


def test_a_classifier_has_the_classes_of_its_folders(tmp_path):
    for name, shade in (("a", 0), ("b", 255)):
        (tmp_path / name).mkdir()
        for number in range(10):
            Image.new("RGB", (40, 40), (shade,) * 3).save(tmp_path / name / f"{number}.png")
    data = {"source": "folders", "path": tmp_path, "image_size": [32, 32]}
    ready = StageContext(recipe({**VGG, "data": data}), tmp_path / "run", {})
    splits = common.open_data(ready)[0]
    network, head = train.start(ready, splits)
    assert head.classes == ("a", "b") and network.architecture["fc7"].out_channels == 2


def published(tmp_path, classes: int):
    """(context of a run that starts from it, a state dict as torchvision writes it) of random weights."""
    from torchvision.models.detection import ssd300_vgg16

    torch.manual_seed(0)
    state = ssd300_vgg16(weights=None, weights_backbone=None, num_classes=classes + 1).state_dict()
    torch.save(state, tmp_path / "ssd.pth")
    content = {
        "data": {"source": "digits", "image_size": [300, 300], "train": 1, "val": 1},
        "model": {"name": "ssd300", "torchvision_weights": tmp_path / "ssd.pth"},
        "prune": {"method": "l1_norm"},
    }
    return StageContext(Recipe.model_validate(content), tmp_path, {}), state


def test_torchvision_weights_for_other_classes(tmp_path, capsys):
    ready, state = published(tmp_path, 2)
    network, head = train.start(ready, common.open_data(ready)[0])
    assert isinstance(network, Network) and network.architecture == ssd300(10)
    assert head.kind == "ssd" and head.classes == tuple("0123456789")
    assert "tells 2 classes, the data has 10" in capsys.readouterr().out
    names = {"offsets3": "head.regression_head.module_list.2", "conv5_2": "backbone.extra.0.3"}
    for layer, name in names.items():
        assert network.layers[layer].conv.weight.equal(state[f"{name}.weight"])
    ready, state = published(tmp_path, 10)
    network, _ = train.start(ready, common.open_data(ready)[0])
    assert network.layers["classes6"].conv.weight.equal(state["head.classification_head.module_list.5.weight"])
    assert "start anew" not in capsys.readouterr().out


def test_broken_torchvision_weights(tmp_path):
    ready, _ = published(tmp_path, 2)
    (tmp_path / "ssd.pth").write_bytes(b"nothing")
    with pytest.raises(UserError, match=r"ssd\.pth"):
        train.start(ready, common.open_data(ready)[0])
