import re
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from hwprune import yaml_places
from hwprune.errors import UserError
from hwprune.flow.run_folder import json_hash
from hwprune.recipe import COMPACT_WIDTHS, Recipe, load_recipe, save_recipe
from hwprune.recipes import ready_recipe, ready_recipes
from hwprune.train.settings import SamTraining, TrainSettings

MINIMAL = "data: {source: digits}\n"
SSD = """data: {source: digits, image_size: [96, 96]}
model:
  name: ssd300
"""
VGG = """data: {source: digit_images, image_size: [32, 32]}
model: {name: vgg16, norm: true}
"""


def write(tmp_path: Path, text: str | bytes, name: str = "r.yaml") -> Path:
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def errors(tmp_path: Path, text: str | bytes) -> list[tuple[int, int, str]]:
    """(line, column, message) of each problem that loading this recipe tells."""
    path = write(tmp_path, text)
    with pytest.raises(UserError) as caught:
        load_recipe(path)
    found = []
    for line in str(caught.value).splitlines():
        match = re.fullmatch(rf"{re.escape(str(path))}:(\d+):(\d+): (.+)", line)
        assert match, line
        found.append((int(match[1]), int(match[2]), match[3]))
    return found


def test_minimal_recipe_has_every_default(tmp_path):
    recipe = load_recipe(write(tmp_path, MINIMAL, "my run.yaml"))
    assert recipe.name == "my_run"
    assert recipe.seed == 1
    assert recipe.model.widths == COMPACT_WIDTHS
    assert recipe.quantize.weight_bits == 4
    assert recipe.compile.target_fps == 30
    assert recipe == load_recipe(write(tmp_path, MINIMAL, "my run.yaml"))


def test_saved_recipe_loads_again_as_the_same(tmp_path):
    recipe = load_recipe(write(tmp_path, MINIMAL + "compile: {max_luts: 40000}\nseed: 7\n"))
    save_recipe(tmp_path / "resolved.yaml", recipe)
    assert load_recipe(tmp_path / "resolved.yaml") == recipe


@pytest.mark.parametrize("path", ready_recipes(), ids=lambda path: path.stem)
def test_ready_recipes_load(path):
    assert load_recipe(path).name == path.stem
    # The first line stands in the list of `hwprune recipe`.
    assert path.read_text().startswith("# ")


@pytest.mark.parametrize("text", [SSD + "  detection_layers: 2\n  norm: true\n  widths: {conv4_3: 40}\n", VGG])
def test_a_saved_recipe_of_another_network_loads_again(tmp_path, text):
    recipe = load_recipe(write(tmp_path, text))
    save_recipe(tmp_path / "r.yaml", recipe)
    assert load_recipe(tmp_path / "r.yaml") == recipe


def test_widths_by_name_change_what_they_name():
    recipe = Recipe.model_validate({"data": {"source": "digits"}, "model": {"widths": {"conv7": 40}}})
    channels = recipe.model.architecture(3, (96, 96)).channels()
    assert (channels["conv7"], channels["conv1"], channels["conv12"]) == (40, 16, 256)
    recipe = Recipe.model_validate({"data": {"source": "digits"}, "model": {"widths": COMPACT_WIDTHS}})
    channels = recipe.model.architecture(3, (96, 96)).channels()
    assert [channels[name] for name in ("conv1", "conv9", "conv11", "conv12", "conv13")] == [8, 128, 48, 96, 24]


def test_unknown_ready_recipe_names_the_known():
    with pytest.raises(UserError, match="quickstart"):
        ready_recipe("quikstart")


def test_paths_are_relative_to_the_recipe(tmp_path, monkeypatch):
    monkeypatch.chdir("/")
    recipe = load_recipe(write(tmp_path, "data: {source: voc, path: ../pictures}\n"))
    assert recipe.data.path == tmp_path / ".." / "pictures"
    recipe = load_recipe(write(tmp_path, "data: {source: voc, path: /somewhere, split: {rule: list, val: v.txt}}\n"))
    assert recipe.data.path == Path("/somewhere")
    assert recipe.data.split.val == tmp_path / "v.txt"


@pytest.mark.parametrize(
    ("text", "line", "column", "words"),
    [
        # unknown keys, at each depth, point at the key
        ("dat: {source: digits}\ndata: {source: digits}\n", 1, 1, ["dat: unknown key", "did you mean data?"]),
        (MINIMAL + "train:\n  epoch: 3\n", 3, 3, ["train.epoch: unknown key", "did you mean epochs?", "batch_size"]),
        (MINIMAL + "train:\n  Epochs: 3\n", 3, 3, ["did you mean epochs?"]),
        ("data:\n  source: digits\n  imagesize: [96, 96]\n", 3, 3, ["data.imagesize: ", "did you mean image_size?"]),
        ("data:\n  source: digits\n  augment:\n    rotat: 3\n", 4, 5, ["data.augment.rotat", "did you mean rotate?"]),
        (MINIMAL + "zebra: 1\n", 2, 1, ["zebra: unknown key; allowed here: name, seed, data"]),
        # wrong types and values point at the value
        (MINIMAL + "train: {epochs: many}\n", 2, 17, ["train.epochs: should be a valid integer", '"many"']),
        (MINIMAL + "train: {epochs: 2.5}\n", 2, 17, ["train.epochs", "integer", "2.5"]),
        (MINIMAL + "train: {epochs: '3'}\n", 2, 17, ["train.epochs", "integer"]),
        (MINIMAL + "train: {epochs: true}\n", 2, 17, ["train.epochs", "integer", "true"]),
        (MINIMAL + "train: {epochs: -4}\n", 2, 17, ["train.epochs", "greater than 0", "-4"]),
        (MINIMAL + "train: fast\n", 2, 8, ["train", '"fast"']),
        (MINIMAL + "seed: no\n", 2, 7, ["seed", "integer", '"no"']),
        (MINIMAL + "seed: 1:30\n", 2, 7, ["seed", "integer", '"1:30"']),
        (MINIMAL + "seed:\n", 2, 6, ["seed", "integer", "null"]),
        (MINIMAL + "train: {devices: some}\n", 2, 18, ["train.devices", "integer", "'auto'"]),
        (MINIMAL + "model:\n  widths: [8, 16, 32]\n", 3, 11, ["model.widths", "11 items"]),
        (MINIMAL + f"model:\n  widths: {[8] * 10 + [0]}\n", 3, 42, ["model.widths[10]", "greater than 0"]),
        (MINIMAL + "model: {activation: relo}\n", 2, 21, ["model.activation", "'leaky' or", "did you mean relu?"]),
        ("data: {source: digit}\n", 1, 7, ["data", "'digit'", "did you mean digits?", "voc"]),
        ("data: {image_size: [96, 96]}\n", 1, 7, ["data", "needs the key 'source'"]),
        ("data: {source: voc}\n", 1, 1, ["data.path: is missing"]),
        ("seed: 3\n", 1, 1, ["data: is missing"]),
        # what cannot be, within a section and between two
        ("data: {source: digits, image_size: [96, 100]}\n", 1, 41, ["data.image_size[1]", "multiple of 32", "100"]),
        ("data: {source: voc, path: x, split: {rule: fraction, val: 1}}\n", 1, 59, ["data.split.val", "than 1"]),
        ("data: {source: voc, path: x, split: {rule: fraction, val: 0}}\n", 1, 59, ["data.split.val", "than 0"]),
        (MINIMAL + "quantize: {weight_bits: 1}\n", 2, 25, ["quantize.weight_bits", "greater than or equal to 2"]),
        (MINIMAL + "quantize: {activation_bits: 9}\n", 2, 29, ["quantize.activation_bits", "equal to 8"]),
        (MINIMAL + "compile: {target_fps: 30, max_luts: 9}\n", 2, 10, ["compile: give target_fps", "max_luts", "both"]),
        (MINIMAL + "model: {darknet_weights: w.weights}\n", 2, 8, ["model", "needs darknet_cfg"]),
        (MINIMAL + "prune: {multiple: 16}\n", 2, 19, ["prune.multiple: 16", "narrowest of model.widths, 8"]),
        (MINIMAL + "prune: {min_channels: 9}\n", 2, 23, ["prune.min_channels: 9", "narrowest of model.widths, 8"]),
        (MINIMAL + "simulate: {stall_percent: 100}\n", 2, 27, ["simulate.stall_percent", "90"]),
        (MINIMAL + "simulate: {levels: []}\n", 2, 20, ["simulate.levels: ", "at least 1 item"]),
        (MINIMAL + "simulate: {levels: [cycel]}\n", 2, 21, ["simulate.levels[0]", "did you mean cycle?"]),
        (MINIMAL + "simulate: {traces: {streams: [a], formats: [fst]}}\n", 2, 45, ["formats[0]", "'parquet'", '"fst"']),
        (MINIMAL + "simulate: {traces: {streams: []}}\n", 2, 30, ["simulate.traces.streams", "at least 1 item"]),
        (MINIMAL + "simulate: {traces: {streams: [a], max_mib: 0}}\n", 2, 44, ["traces.max_mib", "greater than 0"]),
        (MINIMAL + "simulate: {levels: [rtl], traces: {streams: [a]}}\n", 2, 35,
         ["simulate.traces: the level cycle writes them", "(rtl); add it"]),
        (MINIMAL + "simulate: {traces: {streams: [a], frames: 4}}\n", 2, 43,
         ["simulate.traces.frames: 4 with values", "simulate.frames, 3", "traces.values to false"]),
        (MINIMAL + "compile: {fifo_depth: 16, fifo_fps: 30}\n", 2, 37, ["compile.fifo_fps: ", "compile.fifo_depth"]),
        # boards and what is built for them
        (MINIMAL + "compile: {board: pynqz2}\n", 2, 10, ["board 'pynqz2' is not known (did you mean pynq-z2?)"]),
        (MINIMAL + "compile: {board: pynq-z2, part: xc7z010clg400-1}\n", 2, 10,
         ["board pynq-z2 has the part xc7z020clg400-1, not xc7z010clg400-1; leave part out"]),
        (MINIMAL + "compile: {board: pynq-z2, clock_mhz: 300}\n", 2, 10, ["clock_mhz 300 is more than the 250"]),
        (MINIMAL + "compile: {board: pynq-z2, target_fps: 9, max_clock_mhz: 300}\n", 2, 10,
         ["max_clock_mhz 300 is more than the 250"]),
        (MINIMAL + "compile: {board: pynq-z2, target_fps: 9, max_clock_mhz: 90}\n", 2, 10,
         ["max_clock_mhz 90 is less than clock_mhz 100"]),
        (MINIMAL + "compile: {board: pynq-z2, max_clock_mhz: 120}\n", 2, 10, ["for a target_fps on a board"]),
        (MINIMAL + "compile: {board: pynq-z2, share: 1.5}\n", 2, 34, ["compile.share", "less than or equal to 1"]),
        (MINIMAL + "compile: {share: 0.5}\n", 2, 10, ["share is that of a board: name one, board: pynq-z2"]),
        (MINIMAL + "compile: {board: 7}\n", 2, 18, ["compile.board", "string"]),
        (MINIMAL + "build: {}\n", 2, 8, ["build: a bitstream is for a board; name it: compile: {board: pynq-z2}"]),
        (MINIMAL + "compile: {board: zcu104}\nbuild: {backend: openxc7}\n", 3, 18,
         ["build.backend: openxc7 makes nothing for board zcu104 (zynq-ultrascale+); take vivado or finn"]),
        (MINIMAL + "compile: {board: zcu104}\nbuild: {backend: vivdo}\n", 3, 18, ["did you mean vivado?"]),
        # neurons: patterns, their values, and what the layers allow
        (MINIMAL + "model:\n  neurons:\n    convX: {neuron: mac}\n", 4, 12,
         ["model.neurons.convX: names no convolution", "there are conv1, conv2"]),
        (MINIMAL + "model:\n  neurons: {'pool*': {neuron: mac}}\n", 3, 22, ["model.neurons.pool*: names no convol"]),
        (MINIMAL + "model:\n  neurons: {conv2: sam}\n", 3, 20, ["model.neurons.conv2", "`key: value`", '"sam"']),
        (MINIMAL + "model:\n  neurons: {conv2: {group: 4}}\n", 3, 20, ["model.neurons.conv2: needs the key 'neuron'"]),
        (MINIMAL + "model:\n  neurons: {conv2: {neuron: som}}\n", 3, 20, ["did you mean sam?", "allowed: mac, sam"]),
        (MINIMAL + "model:\n  neurons: {conv2: {neuron: mac, group: 4}}\n", 3, 34, ["conv2.group: unknown key"]),
        (MINIMAL + "model:\n  neurons: {conv2: {neuron: sam, gruop: 4}}\n", 3, 34, ["did you mean group?"]),
        (MINIMAL + "model:\n  neurons: {conv2: {neuron: sam, form: max}}\n", 3, 40, ["conv2.form", "'maxmin', 'diff"]),
        (MINIMAL + "model:\n  neurons: {conv2: {neuron: sam, shift: 4}}\n", 3, 41, ["conv2.shift", "equal to 3"]),
        (MINIMAL + "model:\n  neurons: {conv2: {neuron: sam, group: 3}}\n", 3, 41,
         ["layer conv2: a SAM group of 3 does not divide 8 input channels; groups that do: 1, 2, 4, 8, or 0"]),
        (MINIMAL + "model:\n  neurons: {'conv[12]': {neuron: sam, form: difference}}\n", 3, 13,
         ["model.neurons.conv[12].group: layer conv1: a SAM group of 2 does not divide 3"]),
        (MINIMAL + "model:\n  neurons: {conv2: {neuron: sam, form: maxmin, floor: true}}\n", 3, 20,
         ["model.neurons.conv2: floor: the form maxmin has minima", "take signed or difference"]),
        (MINIMAL + "model:\n  neurons: {conv4: {neuron: sam, floor: true}}\n", 3, 41,
         ["model.neurons.conv4.floor: layer conv4: ", "quantize.activation", "or leave floor out"]),
        (MINIMAL + "model: {neurons_from: prune}\n", 2, 23, ["model.neurons_from", "'finetune'"]),
        (MINIMAL + "train: {sam: {temprature: 1}}\n", 2, 15, ["train.sam.temprature", "did you mean temperature?"]),
        (MINIMAL + "quantize: {sam: {conversion: 1.5}}\n", 2, 30, ["quantize.sam.conversion", "equal to 1"]),
        (MINIMAL + "name: ../escape\n", 2, 7, ["name", "pattern"]),
        # networks and data that do not go together
        (MINIMAL + "model: {name: vgg16}\n", 2, 15, ["model.name: vgg16 classifies", "digits has boxes", "ssd300"]),
        ("data: {source: digit_images}\nmodel: {name: ssd300}\n", 2, 15, ["ssd300 detects", "has classes", "vgg16"]),
        ("data: {source: digit_images}\n", 1, 1, ["model.name: yolov3_tiny detects"]),
        ("data: {source: folders, path: x}\nmodel: {darknet_cfg: a.cfg}\n", 2, 22, ["darknet network detects"]),
        (MINIMAL + "model: {name: vgg19}\n", 2, 15, ["model.name", "did you mean vgg16?"]),
        (MINIMAL + "model: {norm: true}\n", 2, 15, ["yolov3_tiny has no such option", "ssd300, ssd512, vgg16 have"]),
        (SSD + "  anchors_per_head: 4\n", 4, 21, ["model.anchors_per_head: ssd300 has no such option"]),
        (SSD + "  fully_connected: [8]\n", 4, 20, ["model.fully_connected: ssd300 has no such option; vgg16"]),
        (SSD + "  detection_layers: 7\n", 4, 21, ["model.detection_layers: ssd300 has 1 to 6 detection layers, not 7"]),
        (SSD + "  detection_layers: 6\n", 1, 36, ["data.image_size: ssd300", "fewer than 6 detection layers"]),
        (SSD + "  widths: [8, 8]\n", 4, 11, ["model.widths: ssd300 takes widths by the names of layers"]),
        (SSD + "  widths: {conv4_4: 8}\n", 4, 21, ["model.widths.conv4_4: ssd300 has no", "did you mean conv4_3"]),
        (SSD + "  widths: {conv4_3: 0}\n", 4, 21, ["model.widths.conv4_3", "greater than 0"]),
        (SSD + "  widths: {conv4_3: wide}\n", 4, 21, ["model.widths.conv4_3", "integer", '"wide"']),
        (SSD + "  widths: 8\n", 4, 11, ["model.widths", "8"]),
        (MINIMAL + "model: {widths: {conv3: 8, convX: 4}}\n", 2, 35, ["model.widths.convX: yolov3_tiny has no"]),
        (SSD + "  torchvision_weights: w.pth\n", 1, 36, ["data.image_size: torchvision's ssd300 needs [300, 300]"]),
        ("data: {source: digits, image_size: [512, 512]}\nmodel: {name: ssd512, norm: true, torchvision_weights: w}\n",
         2, 56, ["model.torchvision_weights: they are those of ssd300, not of ssd512"]),
        (VGG.replace("32, 32", "32, 64"), 1, 42, ["data.image_size: vgg16 takes square images, not 32x64"]),
        (VGG.replace("vgg16, norm: true", "vgg19_bn").replace("32, 32", "64, 64"), 1, 42,
         ["data.image_size: vgg19_bn takes images of 32x32, not 64x64"]),
        (VGG.replace(", norm: true", ""), 1, 1, ["prune.method: slimming goes by", "model.norm: true"]),
        (VGG + "prune: {multiple: 128}\n", 3, 19, ["narrowest of model.widths, 64"]),
        # the YAML itself
        (MINIMAL + "seed: 1\nseed: 2\n", 3, 1, ["seed: given twice; first in line 2"]),
        ("", 1, 1, ["empty"]),
        ("# only a comment\n", 1, 1, ["empty"]),
        ("- 1\n- 2\n", 1, 1, ["key: value"]),
        ("hello\n", 1, 1, ["key: value"]),
        ("data:\n\tsource: digits\n", 2, 1, ["tab"]),
        ("data: {source: digits\nseed: 1\n", 2, 5, ["is no YAML"]),
        ("data: [1, 2\n", 2, 1, ["is no YAML"]),
        ("a: 1\n---\nb: 2\n", 2, 1, ["is no YAML", "single document"]),
        (MINIMAL + "seed: &x 1\n", 2, 7, ["anchors"]),
        ("a: &a [*a]\n", 1, 4, ["anchors"]),
        (MINIMAL + "seed: !!python/object/apply:os.getcwd []\n", 2, 7, ["seed", "!!python"]),
        (MINIMAL + "seed: !!python/name:os.getcwd x\n", 2, 7, ["seed: tags such as !!python/name"]),
        (MINIMAL + "? [1, 2]\n: 3\n", 2, 3, ["plain word"]),
        (MINIMAL + "seed: 123456789012345678901234567890\n", 2, 7, ["seed", "too large"]),
        (MINIMAL + "seed: " + "9" * 5000 + "\n", 2, 7, ["seed", "too large"]),
        (MINIMAL + "seed: 4294967296\n", 2, 7, ["seed", "less than 4294967296"]),
        (MINIMAL + "train: {learning_rate: 1e999}\n", 2, 24, ["train.learning_rate", "finite"]),
        (MINIMAL + "train: {learning_rate: .nan}\n", 2, 24, ["train.learning_rate", "finite"]),
        (b"data: {source: digits}\nname: \xff\n", 2, 1, ["UTF-8"]),
        ("data: {source: digits}\nname: \x07\n", 2, 1, ["U+0007"]),
        ("a: " + "[" * 5000, 1, 1, ["nested too deeply"]),
    ],
)  # fmt: skip
def test_each_error_is_told_with_its_place(tmp_path, text, line, column, words):
    (found,) = errors(tmp_path, text)
    assert found[:2] == (line, column), found
    for word in words:
        assert word in found[2]


def test_all_errors_at_once_in_the_order_of_the_file(tmp_path):
    text = """\
data:
  source: digits
  image_size: [96, 31]
  vall: 3
train:
  epochs: -1
  optimizer: adam
sparsify: 3
quantize:
  weight_bits: 1
"""
    found = errors(tmp_path, text)
    assert [line for line, _, _ in found] == [3, 4, 6, 7, 8, 10]
    assert "did you mean adamw?" in found[3][2]


def test_floats_may_be_written_without_a_point(tmp_path):
    assert load_recipe(write(tmp_path, MINIMAL + "train: {learning_rate: 1e-3}\n")).train.learning_rate == 1e-3
    assert load_recipe(write(tmp_path, MINIMAL + "train: {warmup_epochs: 2}\n")).train.warmup_epochs == 2.0


NEURONS = """\
model:
  neurons:
    "conv*": {neuron: sam, form: signed, group: 1}
    conv1: {neuron: mac}
  neurons_from: STAGE
"""


def test_neurons_count_where_they_begin(tmp_path):
    """What a stage's results depend on: neurons only where the layers become what they say, in their order."""
    parts = ("train", "finetune", "quantize")
    mac = load_recipe(write(tmp_path, MINIMAL))
    whole = {stage: load_recipe(write(tmp_path, MINIMAL + NEURONS.replace("STAGE", stage))) for stage in parts}
    for begin, recipe in whole.items():
        assert list(recipe.model.neurons) == ["conv*", "conv1"]
        save_recipe(tmp_path / "resolved.yaml", recipe)
        again = load_recipe(tmp_path / "resolved.yaml")
        assert again == recipe and list(again.model.neurons) == ["conv*", "conv1"]
        for stage in parts:
            same = recipe.on_which_depends(stage) == mac.on_which_depends(stage)
            assert same == (stage != begin)
    turned = MINIMAL + NEURONS.replace("    conv1: {neuron: mac}\n", "").replace(
        "neurons:\n", "neurons:\n    conv1: {neuron: mac}\n"
    ).replace("STAGE", "finetune")
    other = load_recipe(write(tmp_path, turned))
    assert other.model == whole["finetune"].model  # dicts know no order
    assert json_hash(other.on_which_depends("finetune")) != json_hash(whole["finetune"].on_which_depends("finetune"))
    assert json_hash(other.on_which_depends("train")) == json_hash(mac.on_which_depends("train"))


@pytest.mark.parametrize(("floor", "counts"), [("", True), (", floor: false", False)])
def test_an_open_floor_makes_the_activation_count(tmp_path, floor, counts):
    """Layers that `finetune` makes depend on the activation of `quantize` only where the recipe leaves floors open."""
    model = f"model: {{neurons: {{conv4: {{neuron: sam{floor}}}}}}}\n"
    relu, same = (
        load_recipe(write(tmp_path, f"{MINIMAL}quantize: {{activation: {activation}}}\n{model}"))
        for activation in ("relu", "same")
    )
    assert relu.model.neurons_from == "finetune"
    for stage in ("train", "finetune"):
        models = [recipe.on_which_depends(stage)["model"] for recipe in (relu, same)]
        assert (models[0] != models[1]) == (counts and stage == "finetune")


def test_training_settings_of_sam(tmp_path):
    recipe = load_recipe(write(tmp_path, MINIMAL + "finetune: {sam: {conversion: 0.25}}\n"))
    assert recipe.finetune == TrainSettings(sam=SamTraining(conversion=0.25))


def test_recipe_in_python_is_held_to_the_same_rules():
    with pytest.raises(ValueError, match="narrowest"):
        Recipe.model_validate({"data": {"source": "digits"}, "prune": {"multiple": 16}})


@pytest.mark.parametrize("name", ["missing.yaml", "."])
def test_a_file_that_cannot_be_read(tmp_path, name):
    with pytest.raises(UserError, match="cannot be read"):
        load_recipe(tmp_path / name)


def test_a_file_that_is_no_recipe_at_all(tmp_path):
    with pytest.raises(UserError, match="over 1 MiB"):
        load_recipe(write(tmp_path, "#" * (1 << 20) + "\n"))


# PyYAML leaves 0E0 without quotes: in its YAML 1.1 that is a text, in 1.2, as we read, a number.
texts = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs"), exclude_characters="\ufeff")).filter(
    lambda text: not re.fullmatch(r"[-+]?(\.\d+|\d+(\.\d*)?)[eE][-+]?\d+", text)
)
scalars = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False)
trees = st.recursive(
    scalars | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abcxyz_", min_size=1), inner, max_size=3),
    max_leaves=10,
)


@settings(max_examples=60, deadline=None)
@given(content=st.dictionaries(st.text("abcxyz", min_size=1).map("k".__add__), trees, min_size=1, max_size=4))
def test_what_a_yaml_writer_wrote_is_read_back(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("yaml") / "a.yaml"

    class Plain(yaml.SafeDumper):
        def ignore_aliases(self, data):
            return True

    path.write_text(yaml.dump(content, Dumper=Plain, allow_unicode=True), encoding="utf-8")
    document = yaml_places.read(path)
    assert document.value == content
    assert set(document.keys) >= {(key,) for key in content}


@settings(max_examples=150, deadline=None)
@given(text=st.text(st.sampled_from("ab:-[]{},\n \t'\"#&*!|>%@`?0.9\x00é"), max_size=60) | st.binary(max_size=40))
def test_any_text_gives_a_recipe_or_a_message(tmp_path_factory, text):
    path = tmp_path_factory.mktemp("any") / "a.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(UserError):
        load_recipe(path)


def test_a_board_gives_part_clock_and_goal(tmp_path):
    recipe = load_recipe(write(tmp_path, MINIMAL + "compile: {board: zcu104}\nbuild: {}\n"))
    goal = recipe.compile
    assert (goal.part, goal.clock_mhz, goal.share) == ("xczu7ev-ffvc1156-2-e", 200, 0.85)
    assert goal.target_fps is None and recipe.build.backend is None
    said = load_recipe(
        write(tmp_path, MINIMAL + "compile: {board: pynq-z2, clock_mhz: 80, share: 0.5, target_fps: 9}\n")
    )
    assert (said.compile.clock_mhz, said.compile.share, said.compile.target_fps) == (80, 0.5, 9)
    assert load_recipe(write(tmp_path, MINIMAL)).compile.target_fps == 30
    save_recipe(tmp_path / "saved.yaml", recipe)
    assert load_recipe(tmp_path / "saved.yaml").compile == goal


def test_a_board_of_ones_own_lies_beside_the_recipe_and_counts_by_what_it_says(tmp_path, monkeypatch):
    from importlib.resources import files

    text = (files("hwprune") / "boards" / "pynq-z2.toml").read_text()
    (tmp_path / "mine.toml").write_text(text)
    path = write(tmp_path, MINIMAL + "compile: {board: mine.toml}\n")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    recipe = load_recipe(path)
    assert recipe.compile.board == str(tmp_path.resolve() / "mine.toml")
    before = recipe.on_which_depends("compile")["compile"]
    (tmp_path / "mine.toml").write_text(text.replace("luts = 53200", "luts = 53000"))
    assert load_recipe(path).on_which_depends("compile")["compile"] != before
