import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hwprune.detect.head import HeadSpec
from hwprune.detect.targets import assign

HEAD = HeadSpec(
    classes=("a", "b", "c"),
    anchors=(((40.0, 40.0), (60.0, 30.0), (30.0, 60.0)), ((8.0, 8.0), (16.0, 10.0), (10.0, 24.0))),
    strides=(32, 16),
    image_size=(96, 128),
)


def reference(targets, head, ratio=4.0):
    """Box by box and anchor by anchor: {(head, image, anchor, row, column): (misfit, box, label)}."""
    taken = {}
    for image, target in enumerate(targets):
        for box, label in zip(target["boxes"].numpy(), target["labels"].numpy(), strict=True):
            x0, y0, x1, y1 = box
            w, h = x1 - x0, y1 - y0
            options = []
            for i, anchors in enumerate(head.anchors):
                for a, (aw, ah) in enumerate(anchors):
                    aw, ah = np.float32(aw), np.float32(ah)
                    misfit = max(w / aw, 1 / (w / aw), h / ah, 1 / (h / ah))
                    column = min(int((x0 + x1) / 2 // head.strides[i]), head.image_size[1] // head.strides[i] - 1)
                    row = min(int((y0 + y1) / 2 // head.strides[i]), head.image_size[0] // head.strides[i] - 1)
                    options.append((misfit, (i, image, a, row, column)))
            best = min(m for m, _ in options)
            for misfit, place in options:
                answers = misfit <= ratio or misfit == best
                if answers and (place not in taken or misfit < taken[place][0]):
                    taken[place] = (misfit, tuple(box.tolist()), int(label))
    return {place: (box, label) for place, (_, box, label) in taken.items()}


def places(assignments):
    found = {}
    for i, a in enumerate(assignments):
        for k in range(len(a.labels)):
            place = (i, int(a.image[k]), int(a.anchor[k]), int(a.row[k]), int(a.column[k]))
            assert place not in found, "one predictor answers for two boxes"
            found[place] = (tuple(a.boxes[k].tolist()), int(a.labels[k]))
    return found


def target(boxes, labels):
    return {"boxes": torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4), "labels": torch.tensor(labels).long()}


box = st.tuples(st.integers(0, 126), st.integers(0, 94), st.integers(1, 90), st.integers(1, 90), st.integers(0, 2))


@settings(max_examples=50, deadline=None)
@given(st.lists(st.lists(box, max_size=6), min_size=1, max_size=3))
def test_agrees_with_the_loops(images):
    targets = [
        target([[x, y, min(x + w, 128), min(y + h, 96)] for x, y, w, h, _ in boxes], [b[4] for b in boxes])
        for boxes in images
    ]
    assert places(assign(targets, HEAD)) == reference(targets, HEAD)


def test_by_hand():
    # Centre (50, 40): cell (1, 1) of the stride 32, (3, 2) of the stride 16. 10x10: within 4 of (40, 40) on both
    # sides, not of 60x30 or 30x60; within 4 of all the small ones.
    found = places(assign([target([[45, 35, 55, 45]], [2])], HEAD))
    assert set(found) == {(0, 0, 0, 1, 1), (1, 0, 0, 2, 3), (1, 0, 1, 2, 3), (1, 0, 2, 2, 3)}


def test_a_box_like_no_anchor_gets_the_likest():
    found = places(assign([target([[0, 0, 120, 2]], [0])], HEAD))
    assert list(found) == [(1, 0, 1, 0, 3)]  # 120/16 and 10/2: 7.5; all others are further off


def test_the_nearer_shape_wins_a_contested_predictor():
    boxes = [[30, 30, 46, 40], [31, 31, 45, 39]]  # 16x10, and 14x8 in the same cell
    for order in ([0, 1], [1, 0]):
        found = places(assign([target([boxes[i] for i in order], order)], HEAD))
        assert found[1, 0, 1, 2, 2][1] == 0  # the anchor of 16x10
        assert found[1, 0, 0, 2, 2][1] == 1  # the anchor of 8x8


def test_no_boxes():
    assert all(len(a.labels) == 0 for a in assign([target([], []), target([], [])], HEAD))


@pytest.mark.parametrize("corner", [128.0, 127.999])
def test_centre_on_the_border_stays_inside(corner):
    (coarse, fine) = assign([target([[corner, 96, corner, 96.5]], [0])], HEAD)
    assert all(a.column.le(7).all() and a.row.le(5).all() for a in (coarse, fine))
