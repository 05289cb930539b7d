import numpy as np
import pytest
from pydantic import ValidationError

from hwprune.detect.ssd_head import (
    SSD300_COCO,
    SSD300_VOC,
    SSD512_COCO,
    SSD512_VOC,
    SsdHead,
    fit_ssd_head,
    fitted_scales,
    linear_scales,
    ssd_head,
)
from hwprune.errors import UserError
from hwprune.models.ssd import ssd300, ssd512

FIELDS = dict(
    classes=("cat", "dog"),
    image_size=(64, 96),
    maps=((4, 6), (2, 3)),
    boxes=(((10.0, 10.0), (14.0, 14.0)), ((30.0, 20.0),)),
    steps=((16.0, 16.0), (32.0, 32.0)),
)
VOC = tuple(f"class{i}" for i in range(20))


def outputs_of(architecture, size):
    shapes = architecture.shapes(size, size)
    return [shapes[name] for name in architecture.heads]


def test_shapes():
    assert SsdHead(**FIELDS).shapes() == [(8, 4, 6), (6, 4, 6), (4, 2, 3), (3, 2, 3)]


def test_json_round_trip():
    head = ssd_head(outputs_of(ssd300(20), 300), VOC, (300, 300))
    assert SsdHead.model_validate_json(head.model_dump_json()) == head
    assert hash(SsdHead.model_validate(head.model_dump())) == hash(head)
    assert head.model_dump()["kind"] == "ssd" and head.metric == "map50"


@pytest.mark.parametrize(
    "field, value",
    [
        ("boxes", (((10.0, 10.0),),)),
        ("boxes", (((10.0, 10.0),), ())),
        ("boxes", (((10.0, 0.0),), ((1.0, 1.0),))),
        ("steps", ((16.0, 16.0),)),
        ("maps", ((4, 6), (2, 0))),
        ("classes", ()),
        ("kind", "yolo"),
        ("variances", (0.1, 0.0)),
    ],
)
def test_nonsense_is_refused(field, value):
    with pytest.raises(ValidationError, match=field):
        SsdHead(**{**FIELDS, field: value})


def test_foreign_outputs_are_refused():
    head = SsdHead(**FIELDS)
    head.check([(5, 8, 4, 6), (5, 6, 4, 6), (5, 4, 2, 3), (5, 3, 2, 3)])
    with pytest.raises(ValueError, match="4, 2, 3"):
        head.check([(5, 8, 4, 6), (5, 4, 2, 3), (5, 6, 4, 6), (5, 3, 2, 3)])


def test_published_numbers_of_boxes():
    # Table 1 of the SSD paper (8732) and its section 3.4 (24564).
    for build, size, count in ((ssd300, 300, 8732), (ssd512, 512, 24564)):
        head = ssd_head(outputs_of(build(20), size), VOC, (size, size))
        assert sum(h * w * len(boxes) for (h, w), boxes in zip(head.maps, head.boxes, strict=True)) == count


def test_published_sizes():
    # min_sizes and, last, max_size of the authors' scripts, in pixels.
    sizes = {
        (SSD300_VOC, 300): [30, 60, 111, 162, 213, 264, 315],
        (SSD300_COCO, 300): [21, 45, 99, 153, 207, 261, 315],
        (SSD512_VOC, 512): [35.84, 76.8, 153.6, 230.4, 307.2, 384.0, 460.8, 537.6],
        (SSD512_COCO, 512): [20.48, 51.2, 133.12, 215.04, 296.96, 378.88, 460.8, 542.72],
    }
    for (scales, side), expected in sizes.items():
        assert [scale * side for scale in scales] == pytest.approx(expected)


def test_published_variants_are_chosen_by_their_maps():
    def first_sides(head):
        return [boxes[0][0] for boxes in head.boxes]

    three = ssd_head(outputs_of(ssd300(20, detection_layers=3), 300), VOC, (300, 300))
    assert first_sides(three) == pytest.approx([30, 60, 111])
    assert three.steps == ((8, 8), (16, 16), (32, 32))  # not 300 / 38 and 300 / 10
    one = ssd_head(outputs_of(ssd512(20, detection_layers=1), 512), VOC, (512, 512))
    assert first_sides(one) == pytest.approx([35.84])
    coco = ssd_head(outputs_of(ssd512(20), 512), VOC, (512, 512), SSD512_COCO)
    assert first_sides(coco) == pytest.approx([20.48, 51.2, 133.12, 215.04, 296.96, 378.88, 460.8])


def test_equation_4():
    assert linear_scales(6) == pytest.approx([0.1, 0.2, 0.375, 0.55, 0.725, 0.9, 1.075])
    assert linear_scales(2) == pytest.approx([0.1, 0.2, 0.9])
    assert linear_scales(1) == pytest.approx([0.1, 0.2])


def test_fitted_scales():
    # Squares of 1 to 100 pixels in an image of 100, out of order: quarters of 25, whose medians are 13, 38, 63, 88.
    sides = np.random.default_rng(0).permutation(np.arange(1.0, 101))
    expected = np.array([0.13, 0.38, 0.63, 0.88, 0.88 * 0.88 / 0.63])
    assert fitted_scales(np.stack([sides, sides], 1), 4, (100, 120)) == pytest.approx(expected, abs=0.01)
    assert fitted_scales([[40, 10]], 1, (100, 100)) == pytest.approx([0.2, 0.2 * 2**0.5])
    assert fitted_scales([[40, 10]], 3, (100, 100)) == pytest.approx([0.2] * 4)


@pytest.mark.parametrize("sizes", [np.zeros((0, 2)), [[3, 0]], [[3, float("nan")]]])
def test_nothing_to_fit(sizes):
    with pytest.raises(UserError, match="box"):
        fitted_scales(sizes, 3, (64, 64))


def test_only_unpublished_heads_are_fitted():
    sizes = [[20, 20], [40, 40]]
    published = outputs_of(ssd300(20, detection_layers=2), 300)
    assert fit_ssd_head(sizes, published, VOC, (300, 300)) == ssd_head(published, VOC, (300, 300))
    small = outputs_of(ssd300(20, detection_layers=2, image_size=(96, 96)), 96)
    head = fit_ssd_head(sizes, small, VOC, (96, 96))
    assert [boxes[0] for boxes in head.boxes] == [pytest.approx((25, 25)), pytest.approx((35, 35))]


def test_other_sizes():
    shapes = [(16, 12, 16), (12, 12, 16), (24, 6, 8), (18, 6, 8), (8, 3, 4), (6, 3, 4)]
    head = ssd_head(shapes, ("a", "b"), (96, 128))
    assert head.shapes() == shapes
    assert head.steps == ((8, 8), (16, 16), (32, 32))
    # Scale 0.2 of the shorter side, the next 0.9; wide before tall, ratio 2 before 3.
    expected = [(19.2, 19.2), (40.7294, 40.7294), (27.1529, 13.5765), (13.5765, 27.1529), (33.2554, 11.0851)]
    assert [side for box in head.boxes[1][:5] for side in box] == pytest.approx(
        [side for box in expected for side in box], abs=1e-3
    )
    assert len(head.boxes[2]) == 2


@pytest.mark.parametrize(
    "shapes, scales, message",
    [
        ([(20, 4, 4), (10, 4, 4)], None, "5"),
        ([(16, 4, 4), (8, 4, 4)], None, "belong"),
        ([(16, 4, 4), (12, 3, 4)], None, "belong"),
        ([(16, 4, 4)], None, "belong"),
        ([(16, 4, 4), (12, 4, 4)], (0.5,), "1 scales for 1"),
    ],
)
def test_what_is_no_ssd_is_refused(shapes, scales, message):
    with pytest.raises(ValueError, match=message):
        ssd_head(shapes, ("a", "b"), (64, 64), scales)
