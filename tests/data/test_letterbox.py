import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hwprune.data.letterbox import GREY, Placement, letterbox

sides = st.integers(1, 900)
canvases = st.tuples(st.sampled_from([32, 96, 320, 416]), st.sampled_from([32, 128, 416]))


@settings(max_examples=100, deadline=None)
@given(st.tuples(sides, sides), canvases)
def test_placement_fills_one_side_and_stays_inside(source, canvas):
    place = Placement.fit(source, canvas)
    bottom, right = place.top + place.inner[0], place.left + place.inner[1]
    assert place.top >= 0
    assert place.left >= 0
    assert bottom <= canvas[0]
    assert right <= canvas[1]
    assert place.inner[0] == canvas[0] or place.inner[1] == canvas[1]
    # In the middle, to within the odd pixel.
    assert canvas[0] - bottom - place.top in (0, 1)
    assert canvas[1] - right - place.left in (0, 1)
    # Same shape, to within a pixel.
    scale = min(canvas[0] / source[0], canvas[1] / source[1])
    assert abs(place.inner[0] - source[0] * scale) < 1
    assert abs(place.inner[1] - source[1] * scale) < 1


@settings(max_examples=100, deadline=None)
@given(st.tuples(sides, sides), canvases, st.lists(st.floats(0, 1), min_size=4, max_size=4))
def test_boxes_come_back(source, canvas, corners):
    place = Placement.fit(source, canvas)
    height, width = source
    boxes = torch.tensor([corners]) * torch.tensor([width, height, width, height])
    there = place.to_canvas(boxes)
    assert (there >= -1e-3).all()
    assert (there[:, 0::2] <= canvas[1] + 1e-2).all()
    assert (there[:, 1::2] <= canvas[0] + 1e-2).all()
    # A thin image shrunk to a pixel loses float digits; compare relative to the scale.
    tolerance = 1e-3 * max(height / place.inner[0], width / place.inner[1], 1)
    torch.testing.assert_close(place.to_image(there), boxes, atol=tolerance, rtol=1e-5)


def test_known_placement():
    """By hand: 200 wide and 100 high into 96x96 is 96 wide and 48 high, with 24 rows of grey above and below."""
    place = Placement.fit((100, 200), (96, 96))
    assert (place.inner, place.top, place.left) == ((48, 96), 24, 0)
    torch.testing.assert_close(place.to_canvas(torch.tensor([[0.0, 0, 200, 100], [50, 25, 150, 75]])),
                               torch.tensor([[0.0, 24, 96, 72], [24, 36, 72, 60]]))  # fmt: skip
    # Detections in the bars are cut at the image's border.
    torch.testing.assert_close(place.to_image(torch.tensor([[-5.0, 0, 96, 96]])), torch.tensor([[0.0, 0, 200, 100]]))


@pytest.mark.parametrize(("source", "size"), [((50, 150), (96, 96)), ((300, 70), (64, 128)), ((1, 500), (32, 32))])
def test_pixels_lie_where_the_boxes_say(source, size):
    image = torch.full((3, *source), 250, dtype=torch.uint8)
    canvas, place = letterbox(image, size)
    assert canvas.shape == (3, *size)
    assert canvas.dtype == torch.uint8
    left, top, right, bottom = place.to_canvas(torch.tensor([0.0, 0, source[1], source[0]])).round().int().tolist()
    inside = torch.zeros(size, dtype=torch.bool)
    inside[top:bottom, left:right] = True
    assert (canvas[:, inside] == 250).all()
    assert (canvas[:, ~inside] == GREY).all()


def test_an_image_of_the_right_size_is_left_alone():
    image = torch.randint(0, 256, (3, 64, 96), dtype=torch.uint8)
    assert torch.equal(letterbox(image, (64, 96))[0], image)
