import subprocess
import sys

import pytest
from pydantic import TypeAdapter, ValidationError

from hwprune.data.config import AugmentConfig, DataConfig, DigitsData, VocData, YoloData

ADAPTER = TypeAdapter(DataConfig)


def test_defaults():
    digits = ADAPTER.validate_python({"source": "digits"})
    assert isinstance(digits, DigitsData)
    assert (digits.train, digits.val, digits.image_size) == (1500, 200, (96, 96))
    assert (digits.augment.jitter, digits.augment.flip) == (0, False)
    assert ADAPTER.validate_python({"source": "voc", "path": "x"}).difficult is False


@pytest.mark.parametrize(
    "text",
    [
        {"source": "digits", "image_size": [96, 128], "train": 10, "val": 5, "seed": 3, "augment": {"scale": 0}},
        {"source": "yolo", "path": "data/hands", "classes": ["hand"], "split": {"rule": "prefix", "val": ["VOC2007_"]}},
        {"source": "voc", "path": "/data/voc", "difficult": True, "split": {"rule": "list", "val": "val.txt"}},
    ],
)
def test_json_round_trip(text):
    config = ADAPTER.validate_python(text)
    assert isinstance(config, DigitsData | YoloData | VocData)
    assert ADAPTER.validate_json(ADAPTER.dump_json(config)) == config


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ({"source": "coco"}, ()),
        ({"source": "digits", "image_size": [96, 31]}, ("digits", "image_size", 1)),
        ({"source": "digits", "image_size": [0, 96]}, ("digits", "image_size", 0)),
        ({"source": "digits", "image_size": [96]}, ("digits", "image_size", 1)),
        ({"source": "digits", "train": 0}, ("digits", "train")),
        ({"source": "digits", "path": "x"}, ("digits", "path")),
        ({"source": "digits", "seed": -1}, ("digits", "seed")),
        ({"source": "digits", "augment": {"flip": True}}, ("digits", "augment")),
        ({"source": "digits", "augment": {"shear": 1}}, ("digits", "augment", "shear")),
        ({"source": "yolo"}, ("yolo", "path")),
        ({"source": "yolo", "path": "x", "classes": []}, ("yolo", "classes")),
        ({"source": "yolo", "path": "x", "classes": ["a", "a"]}, ("yolo", "classes")),
        ({"source": "voc", "path": "x", "classes": [""]}, ("voc", "classes", 0)),
        ({"source": "yolo", "path": "x", "difficult": True}, ("yolo", "difficult")),
        ({"source": "voc", "path": "x", "cache_mib": -1}, ("voc", "cache_mib")),
    ],
)
def test_wrong_fields_are_named(text, place):
    with pytest.raises(ValidationError) as error:
        ADAPTER.validate_python(text)
    assert place in [problem["loc"] for problem in error.value.errors()]


@pytest.mark.parametrize("model", [DigitsData, YoloData, VocData, AugmentConfig])
def test_every_field_says_what_it_is(model):
    for name, field in model.model_fields.items():
        if name not in ("source", "split", "augment"):
            assert field.description, f"{model.__name__}.{name}"


def test_the_recipe_can_be_read_without_torch():
    code = "import sys, hwprune.data.config; assert not {'torch', 'numpy', 'sklearn'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
