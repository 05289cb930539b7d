import math

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torchvision.ops import box_iou

from hwprune.detect.decode import select
from hwprune.detect.multibox import hardest_negatives, match, multibox_loss
from hwprune.detect.ssd_boxes import decode_ssd
from hwprune.detect.ssd_head import SsdHead, ssd_head
from tests.detect import ssd_reference

SHAPES = [(16, 8, 12), (16, 8, 12), (24, 4, 6), (24, 4, 6), (16, 2, 3), (16, 2, 3)]
HEAD = ssd_head(SHAPES, ("a", "b", "c"), (64, 96))
ONE = SsdHead(classes=("a", "b"), image_size=(32, 32), maps=((2, 2),), boxes=(((16.0, 16.0),),), steps=((16.0, 16.0),))


def target(boxes, labels):
    return {"boxes": torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4), "labels": torch.tensor(labels).long()}


def random_case(seed, counts, dtype=torch.float32):
    generator = torch.Generator().manual_seed(seed)
    outputs = [torch.randn(len(counts), *shape, generator=generator, dtype=dtype) for shape in SHAPES]
    targets = []
    for count in counts:
        size = 6 + torch.rand(count, 2, generator=generator) * torch.tensor([50.0, 40.0])
        corner = torch.rand(count, 2, generator=generator) * (torch.tensor([96.0, 64.0]) - size)
        labels = torch.randint(3, (count,), generator=generator)
        targets.append({"boxes": torch.cat([corner, corner + size], 1), "labels": labels})
    return outputs, targets


def like_torchvision(targets):
    """Whether torchvision's matching means the same: no two targets share their best default box."""
    best = [box_iou(t["boxes"], ssd_reference.corners(HEAD)).argmax(1) for t in targets if len(t["boxes"])]
    return all(len(b.unique()) == len(b) for b in best)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.lists(st.integers(0, 6), min_size=1, max_size=4))
def test_loss_and_gradients_are_torchvisions(seed, counts):
    outputs, targets = random_case(seed, counts)
    assume(like_torchvision(targets))
    found, expected = [
        (parts := loss([raw.requires_grad_() for raw in outputs], targets, HEAD),
         torch.autograd.grad(sum(parts.values()), outputs, allow_unused=True))
        for loss in (multibox_loss, ssd_reference.loss)
    ]  # fmt: skip
    for name in ("box", "class"):
        torch.testing.assert_close(found[0][name], expected[0][name], rtol=1e-4, atol=1e-5)
    for ours, theirs in zip(found[1], expected[1], strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-5)


def test_by_hand():
    # The box of cell (0, 1), (16, 0) to (32, 16), answers for a target half as wide: offsets dx 0.25 / 0.1 and
    # dw log(1/2) / 0.2, beyond the quadratic part of smooth L1. Zero logits: each cross-entropy is log 3, the three
    # others are the negatives.
    outputs = [torch.zeros(1, 4, 2, 2), torch.zeros(1, 3, 2, 2)]
    parts = multibox_loss(outputs, [target([[24, 0, 32, 16]], [1])], ONE)
    assert parts["box"].item() == pytest.approx(2.5 - 0.5 + 5 * math.log(2) - 0.5, rel=1e-5)
    assert parts["class"].item() == pytest.approx(4 * math.log(3), rel=1e-5)


def test_each_target_has_a_box_of_its_own():
    defaults = torch.tensor([[0.0, 0, 10, 10], [0, 0, 20, 20], [30, 30, 40, 40], [0, 0, 10, 9]])
    # The first two both overlap box 0 most, by 0.81 and 0.9: the nearer takes it, the other its next best. The third
    # overlaps box 2 by a quarter only. Box 3 is left to the target that it overlaps most, over one half.
    targets = torch.tensor([[0.0, 0, 9, 9], [0, 0, 10, 9.5], [35, 35, 40, 40]])
    assert match(targets, defaults).tolist() == [1, -1, 2, 0]


def test_matched_by_overlap():
    defaults = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 6], [0, 0, 10, 5], [20, 0, 30, 10]])
    # 1.0 by its own right, 0.6 over one half, 0.5 not over one half.
    assert match(torch.tensor([[0.0, 0, 10, 10]]), defaults).tolist() == [0, 0, -1, -1]


def test_more_targets_than_boxes_and_targets_without_area():
    defaults = torch.tensor([[0.0, 0, 10, 10]])
    assert match(torch.tensor([[0.0, 0, 5, 5], [0, 0, 10, 9], [1, 1, 3, 3]]), defaults).tolist() == [1]
    assert match(torch.tensor([[5.0, 5, 5, 9]]), defaults).tolist() == [-1]
    assert match(torch.zeros(0, 4), defaults).tolist() == [-1]


@pytest.mark.parametrize("counts", [(0, 0), (0, 3)])
def test_images_without_objects_teach_nothing(counts):
    outputs, targets = random_case(3, counts)
    outputs = [raw.requires_grad_() for raw in outputs]
    parts = multibox_loss(outputs, targets, HEAD)
    sum(parts.values()).backward()
    assert all((raw.grad[0] == 0).all() for raw in outputs)
    assert (sum(parts.values()) > 0) == any(counts)


def test_hardest_negatives():
    loss = torch.tensor([[5.0, 1, 9, 3, 2, 4, 7], [1, 2, 3, 4, 5, 6, 7], [1, 1, 1, 1, 1, 1, 1]])
    positive = torch.zeros(3, 7, dtype=torch.bool)
    positive[0, 2] = positive[1, :3] = positive[2, 6] = True
    chosen = hardest_negatives(loss, positive)
    assert chosen[0].nonzero()[:, 0].tolist() == [0, 5, 6]
    assert chosen[1].nonzero()[:, 0].tolist() == [3, 4, 5, 6]  # all that there are
    assert chosen[2].nonzero()[:, 0].tolist() == [0, 1, 2]
    assert not hardest_negatives(loss, torch.zeros_like(positive)).any()


def test_gradients_by_differences():
    outputs, targets = random_case(5, (2, 0, 3), torch.float64)
    outputs = [raw.requires_grad_() for raw in outputs]

    def loss(*raw):
        return tuple(multibox_loss(list(raw), targets, HEAD).values())

    assert torch.autograd.gradcheck(loss, outputs, fast_mode=True)


def test_descent_ends_at_the_targets():
    # What costs least is what detects the targets: the loss, the order of boxes and the decoding agree.
    outputs, _ = random_case(2, (2,))
    outputs = [raw[:1].clone().requires_grad_() for raw in outputs]
    wanted = target([[8, 6, 30, 26], [40, 20, 90, 60], [60, 2, 72, 16]], [2, 0, 1])
    optimizer = torch.optim.Adam(outputs, 0.3)
    for _ in range(300):
        optimizer.zero_grad()
        loss = sum(multibox_loss(outputs, [wanted], HEAD).values())
        loss.backward()
        optimizer.step()
    assert loss < 0.05
    boxes, scores = decode_ssd([raw.detach() for raw in outputs], HEAD)
    found = select(boxes[0], scores[0], HEAD.image_size, 0.5)
    order = found["boxes"][:, 0].argsort()
    torch.testing.assert_close(found["boxes"][order], wanted["boxes"], rtol=0, atol=1.0)
    assert found["labels"][order].tolist() == [2, 0, 1]


def test_runs_repeat_bit_for_bit():
    outputs, targets = random_case(7, (4, 2))
    first, second = (multibox_loss(outputs, targets, HEAD) for _ in range(2))
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_gradients_stay_finite():
    outputs, _ = random_case(1, (2, 2))
    outputs = [(raw * 1e4).requires_grad_() for raw in outputs]
    targets = [target([[0, 0, 1, 64], [5, 5, 5, 9]], [0, 1]), target([[0, 0, 96, 64], [95.99, 63.9, 96, 64]], [2, 0])]
    sum(multibox_loss(outputs, targets, HEAD).values()).backward()
    assert all(raw.grad.isfinite().all() for raw in outputs)


def test_the_right_answer_costs_next_to_nothing():
    outputs = [torch.zeros(1, 4, 2, 2), torch.zeros(1, 3, 2, 2)]
    outputs[1][0, 0] = 20
    outputs[1][0, :, 0, 1] = torch.tensor([0.0, 0, 20])
    assert sum(multibox_loss(outputs, [target([[16, 0, 32, 16]], [1])], ONE).values()) < 1e-3
