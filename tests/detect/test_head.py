import pytest
from pydantic import ValidationError

from hwprune.detect.head import HeadSpec

FIELDS = dict(
    classes=("cat", "dog"), anchors=(((60.0, 80.0),), ((10.0, 20.0), (8.0, 8.0))), strides=(32, 16), image_size=(64, 96)
)


def test_shapes():
    assert HeadSpec(**FIELDS).shapes() == [(7, 2, 3), (14, 4, 6)]


def test_json_round_trip():
    head = HeadSpec(**FIELDS)
    assert HeadSpec.model_validate_json(head.model_dump_json()) == head


@pytest.mark.parametrize(
    "field, value",
    [("strides", (32,)), ("image_size", (64, 80)), ("anchors", (((0.0, 1.0),), ((1.0, 1.0),))), ("classes", ())],
)
def test_nonsense_is_refused(field, value):
    with pytest.raises(ValidationError, match=field):
        HeadSpec(**{**FIELDS, field: value})


def test_foreign_outputs_are_refused():
    head = HeadSpec(**FIELDS)
    head.check([(5, 7, 2, 3), (5, 14, 4, 6)])
    with pytest.raises(ValueError, match="14, 4, 6"):
        head.check([(5, 7, 2, 3), (5, 13, 4, 6)])
