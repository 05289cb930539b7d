"""The stages that tie the recipe to the rooms; the whole chain runs in tests/test_cli.py."""

import pytest

from hwprune.errors import UserError
from hwprune.flow.pipeline import STAGES
from hwprune.flow.stage import StageContext
from hwprune.flow.stages import common, train
from hwprune.models.darknet import save_darknet_weights
from hwprune.models.network import Network
from hwprune.recipe import Recipe

SECTION = "[convolutional]\nbatch_normalize={norm}\nfilters={filters}\nsize=3\nstride=2\npad=1\nactivation={act}\n\n"
CLASSES = 10


def cfg(size: int = 64, classes: int = CLASSES) -> str:
    """A detector with one head of stride 32."""
    body = "".join(SECTION.format(norm=1, filters=4, act="leaky") for _ in range(5))
    head = SECTION.format(norm=0, filters=2 * (5 + classes), act="linear").replace("stride=2", "stride=1")
    head = head.replace("batch_normalize=0\n", "")
    yolo = f"[yolo]\nmask=0,1\nanchors=10,14, 30,40\nclasses={classes}\nnum=2\n"
    return f"[net]\nheight={size}\nwidth={size}\nchannels=3\n\n{body}{head}{yolo}"


def context(folder, **model) -> StageContext:
    settings = {"epochs": 2, "batch_size": 4, "accelerator": "cpu"}
    data = {"source": "digits", "image_size": [64, 64], "train": 4, "val": 2}
    recipe = Recipe.model_validate({"data": data, "model": model, "train": settings})
    (folder / "train").mkdir()
    return StageContext(recipe, folder / "train", {})


def test_each_stage_reads_earlier_ones_and_sections_that_there_are():
    for number, stage in enumerate(STAGES):
        assert set(stage.reads) <= {earlier.name for earlier in STAGES[:number]}
        assert set(stage.sections) <= set(Recipe.model_fields)
    assert STAGES[-1].name == "report"


def test_a_darknet_detector_is_taken_up_with_its_anchors_and_weights(tmp_path):
    path, weights = tmp_path / "net.cfg", tmp_path / "net.weights"
    path.write_text(cfg())
    ready = context(tmp_path, darknet_cfg=path)
    train.run(ready)
    network, head = common.load_checkpoint(ready.folder)
    assert head.anchors == (((10, 14), (30, 40)),)
    assert head.classes == tuple("0123456789")
    save_darknet_weights(network, weights)

    (tmp_path / "again").mkdir()
    with_weights = context(tmp_path / "again", darknet_cfg=path, darknet_weights=weights)
    found, _ = train.start(with_weights, common.open_data(with_weights)[0])
    assert isinstance(found, Network)
    expected = dict(network.named_parameters())
    assert all(expected[name].equal(value) for name, value in found.named_parameters())


@pytest.mark.parametrize(
    ("text", "complaint"),
    [(cfg(classes=3), "detects 3 classes, but the data has 10"), (cfg(size=96), r"\(96, 96\).*is \[64, 64\]")],
)
def test_a_darknet_detector_for_other_data(tmp_path, text, complaint):
    (tmp_path / "net.cfg").write_text(text)
    with pytest.raises(UserError, match=complaint):
        train.run(context(tmp_path, darknet_cfg=tmp_path / "net.cfg"))


def test_a_checkpoint_without_a_head_names_the_way_out(tmp_path):
    from hwprune.models.store import save_model
    from hwprune.models.yolov3_tiny import yolov3_tiny

    save_model(tmp_path, Network(yolov3_tiny(1, [4] * 11)))
    with pytest.raises(UserError, match="holds no head"):
        common.load_checkpoint(tmp_path)
