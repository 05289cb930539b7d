import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hwprune.detect.decode import MAX_DETECTIONS, decode, select
from hwprune.detect.evaluate import find
from hwprune.detect.head import HeadSpec

HEAD = HeadSpec(
    classes=("a", "b"),
    anchors=(((40.0, 20.0),), ((8.0, 8.0), (10.0, 16.0))),
    strides=(32, 16),
    image_size=(64, 96),
)


def blank(n=1):
    """Outputs that detect nothing."""
    outputs = [torch.zeros(n, *shape) for shape in HEAD.shapes()]
    for raw, anchors in zip(outputs, HEAD.anchors, strict=True):
        raw.view(n, len(anchors), 7, *raw.shape[2:])[:, :, 4] = -20
    return outputs


def test_by_hand():
    outputs = blank()
    # Second anchor of the second head, row 1, column 4: channels 7 to 13 in darknet's order.
    values = [0.0, math.log(3), math.log(2), -math.log(2), math.log(4), math.log(9), -math.log(9)]
    outputs[1][0, 7:14, 1, 4] = torch.tensor(values)
    (found,) = find(lambda _: outputs, torch.zeros(1, 3, 64, 96, dtype=torch.uint8), HEAD, 0.05)
    # bx = (4 + 0.5) * 16, by = (1 + 0.75) * 16, bw = 2 * 10, bh = 16 / 2; objectness 0.8, classes 0.9 and 0.1.
    torch.testing.assert_close(found["boxes"], torch.tensor([[62.0, 24.0, 82.0, 32.0]] * 2))
    torch.testing.assert_close(found["scores"], torch.tensor([0.72, 0.08]))
    assert found["labels"].tolist() == [0, 1]


def test_order_of_boxes():
    outputs = blank()
    boxes, scores = decode(outputs, HEAD)
    assert boxes.shape == (1, 2 * 3 + 2 * 4 * 6, 4) and scores.shape == (1, 54, 2)
    outputs[0][0, 4, 1, 2] = 20
    assert decode(outputs, HEAD)[1][0, :, 0].argmax() == 5
    torch.testing.assert_close(boxes[0, 5], torch.tensor([60.0, 38.0, 100.0, 58.0]))


def test_suppression_is_class_by_class():
    boxes = torch.tensor([[10.0, 10, 30, 30], [11.0, 10, 31, 30], [60.0, 10, 80, 30]])
    scores = torch.tensor([[0.9, 0.0], [0.8, 0.7], [0.6, 0.0]])
    found = select(boxes, scores, (64, 96), 0.1)
    # The second box falls to the first in class 0, and stands in class 1.
    assert list(zip(found["labels"].tolist(), found["boxes"][:, 0].tolist(), strict=True)) == [
        (0, 10),
        (1, 11),
        (0, 60),
    ]


def test_boxes_are_clipped_and_counted():
    generator = torch.Generator().manual_seed(0)
    corner = torch.rand(3000, 2, generator=generator) * 300 - 100
    found = select(torch.cat([corner, corner + 3], 1), torch.rand(3000, 2, generator=generator), (64, 96), 0.0)
    assert len(found["boxes"]) == MAX_DETECTIONS
    assert (found["boxes"] >= 0).all() and (found["boxes"] <= torch.tensor([96.0, 64, 96, 64])).all()
    assert found["scores"].diff().le(0).all()


@settings(max_examples=30, deadline=None)
@given(
    st.lists(
        st.sampled_from([0.0, 1.0, -3.5, 88.0, -1e30, 3e38, math.inf, -math.inf, math.nan]), min_size=7, max_size=7
    )
)
def test_absurd_outputs_give_finite_boxes(values):
    outputs = [torch.tensor(values).repeat(len(a))[None, :, None, None].expand(1, -1, *shape[1:])
               for a, shape in zip(HEAD.anchors, HEAD.shapes(), strict=True)]  # fmt: skip
    boxes, scores = decode(outputs, HEAD)
    assert boxes.isfinite().all() and scores.isfinite().all()
    (found,) = find(lambda _: outputs, torch.zeros(1, 3, 64, 96, dtype=torch.uint8), HEAD, 0.0)
    assert all(tensor.isfinite().all() for tensor in found.values())


def test_detections_do_not_depend_on_the_batch():
    generator = torch.Generator().manual_seed(1)
    outputs = [torch.randn(5, *shape, generator=generator) * 3 for shape in HEAD.shapes()]
    images = torch.zeros(5, 3, 64, 96, dtype=torch.uint8)
    together = find(lambda _: [o.to(memory_format=torch.channels_last) for o in outputs], images, HEAD, 0.01)
    for i, found in enumerate(together):
        (alone,) = find(lambda _, i=i: [o[i : i + 1] for o in outputs], images[:1], HEAD, 0.01)
        assert all(torch.equal(found[key], alone[key]) for key in found)


def test_outputs_of_another_head_are_refused():
    with pytest.raises(ValueError, match="shapes"):
        decode(blank()[::-1], HEAD)
