import math

import pytest
import torch
from torch.nn import functional as F

from hwprune.detect.head import HeadSpec
from hwprune.detect.loss import OBJECTNESS_WEIGHT, detection_loss

HEAD = HeadSpec(classes=("a", "b", "c"), anchors=(((16.0, 16.0),),), strides=(16,), image_size=(32, 32))


def target(boxes, labels):
    return {"boxes": torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4), "labels": torch.tensor(labels).long()}


def test_by_hand():
    # One predictor, cell (0, 1), answers: raw zeros mean the box 16x16 around (24, 8). The target is 8x8 in its middle:
    # IoU 1/4, same centre, same aspect, so complete IoU 1/4. Raw zeros are probabilities of one half.
    parts = detection_loss([torch.zeros(1, 8, 2, 2)], [target([[20, 4, 28, 12]], [1])], HEAD)
    assert parts["box"].item() == pytest.approx(0.75, abs=1e-5)
    assert parts["objectness"].item() == pytest.approx(OBJECTNESS_WEIGHT * math.log(2), abs=1e-5)
    assert parts["class"].item() == pytest.approx(3 * math.log(2), abs=1e-5)


def test_objectness_aims_at_the_overlap():
    raw = torch.zeros(1, 8, 2, 2, requires_grad=True)
    detection_loss([raw], [target([[20, 4, 28, 12]], [1])], HEAD)["objectness"].backward()
    # d BCE / d logit = sigmoid - target: 1/2 - 1/4 where it answers, 1/2 elsewhere; a mean over four predictors.
    expected = torch.tensor([[0.5, 0.25], [0.5, 0.5]]) * OBJECTNESS_WEIGHT / 4
    torch.testing.assert_close(raw.grad[0, 4], expected)


def test_a_batch_without_boxes():
    raw = torch.zeros(2, 8, 2, 2, requires_grad=True)
    parts = detection_loss([raw], [target([], []), target([], [])], HEAD)
    assert parts["box"] == parts["class"] == 0
    assert parts["objectness"].item() == pytest.approx(OBJECTNESS_WEIGHT * math.log(2))
    sum(parts.values()).backward()
    assert raw.grad.isfinite().all() and raw.grad[:, 4].gt(0).all()


def test_gradients_stay_finite():
    generator = torch.Generator().manual_seed(0)
    raw = (torch.randn(2, 8, 2, 2, generator=generator) * 100).requires_grad_()
    targets = [target([[0, 0, 1, 32], [5, 5, 9, 9], [0, 0, 32, 32]], [0, 1, 2]), target([[31, 31, 32, 32]], [0])]
    sum(detection_loss([raw], targets, HEAD).values()).backward()
    assert raw.grad.isfinite().all()


def test_the_right_answer_costs_next_to_nothing():
    raw = torch.zeros(1, 8, 2, 2)
    raw[0, 4] = -20
    raw[0, 4, 0, 1] = 20
    raw[0, 5:, 0, 1] = F.one_hot(torch.tensor(1), 3) * 40.0 - 20
    parts = detection_loss([raw], [target([[16, 0, 32, 16]], [1])], HEAD)
    assert sum(parts.values()) < 1e-3
