import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwprune.data.records import data_folder, fit_box
from hwprune.errors import UserError

reach = st.floats(-300, 600)


@settings(max_examples=300, deadline=None)
@given(st.tuples(reach, reach, reach, reach), st.integers(1, 300), st.integers(1, 300))
def test_what_is_kept_lies_in_the_image(box, height, width):
    fitted, message = fit_box(box, height, width)
    if fitted is None:
        assert message
        return
    x0, y0, x1, y1 = fitted
    assert 0 <= x0 < x1 <= width
    assert 0 <= y0 < y1 <= height
    assert (x0, y0) >= box[:2] or message or min(box[:2]) >= -1
    if message is None:
        assert max(abs(a - b) for a, b in zip(fitted, box, strict=True)) <= 1


@settings(max_examples=100, deadline=None)
@given(st.lists(st.floats(0, 100, width=32), min_size=4, max_size=4))
def test_boxes_inside_are_not_touched(corners):
    x0, x1 = sorted(corners[:2])
    y0, y1 = sorted(corners[2:])
    expected = ((x0, y0, x1, y1), True) if x0 < x1 and y0 < y1 else (None, False)
    box, message = fit_box((x0, y0, x1, y1), 100, 100)
    assert (box, message is None) == expected


@pytest.mark.parametrize(
    ("box", "fitted", "told"),
    [
        ((-1, 0, 50, 51), (0, 0, 50, 50), None),  # a pixel off: rounding
        ((-5, 0, 45, 50), (0, 0, 45, 50), "reaches out of the image of 100x50 pixels: cut"),
        ((80, 10, 120, 40), (80, 10, 100, 40), "cut"),  # half inside
        ((81, 10, 120, 40), None, "mostly outside"),
        ((100, 0, 101, 50), None, "lies outside"),  # within the slack, and still nothing left
        ((-30, -30, -5, -5), None, "lies outside"),
        ((20, 20, 20, 30), None, "no area"),
        ((30, 20, 20, 30), None, "no area"),
        ((0, 0, math.nan, 5), None, "not finite"),
        ((0, 0, math.inf, 5), None, "not finite"),
    ],
)
def test_the_rule_by_hand(box, fitted, told):
    got, message = fit_box(box, 50, 100)
    assert got == fitted
    assert (message is None) if told is None else told in message


def test_folder(tmp_path):
    assert data_folder(tmp_path) == tmp_path
    with pytest.raises(UserError, match=r"data\.path: .*nowhere does not exist"):
        data_folder(tmp_path / "nowhere")
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="file is no folder"):
        data_folder(tmp_path / "file")
