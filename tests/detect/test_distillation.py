import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hwprune.detect.distillation import distillation_loss
from tests.train.toys import HEAD

SIZES = ((3, 4), (6, 8))


def outputs(seed: int) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [2 * torch.randn(2, 14, *size, generator=generator, dtype=torch.float64) for size in SIZES]


def by_numpy(own: list[np.ndarray], theirs: list[np.ndarray]) -> float:
    """Cell by cell: channels are those of darknet, anchor by anchor."""

    def sigmoid(v):
        return 1 / (1 + np.exp(-v))

    def divergence(a, b):
        p, q = sigmoid(b), sigmoid(a)
        return p * np.log(p / q) + (1 - p) * np.log((1 - p) / (1 - q))

    found = seen = count = there = 0.0
    for mine, wanted in zip(own, theirs, strict=True):
        for image, row, column, anchor in np.ndindex(2, *mine.shape[2:], 2):
            a, b = (v[image, 7 * anchor : 7 * anchor + 7, row, column] for v in (mine, wanted))
            weight = sigmoid(b[4])
            found += weight * (((a[:4] - b[:4]) ** 2).sum() + divergence(a[5:], b[5:]).sum())
            there += divergence(a[4], b[4])
            seen, count = seen + weight, count + 1
    return found / max(seen, 1) + 4 * there / count


@settings(max_examples=5, deadline=None)
@given(seed=st.integers(0, 99))
def test_against_a_plain_sum(seed):
    own, theirs = outputs(seed), outputs(seed + 100)
    expected = by_numpy([v.numpy() for v in own], [v.numpy() for v in theirs])
    assert abs(distillation_loss(own, theirs, HEAD).item() - expected) < 1e-9 * expected


def test_nothing_is_left_to_learn_from_itself():
    own = [v.requires_grad_() for v in outputs(0)]
    loss = distillation_loss(own, [v.detach() for v in own], HEAD)
    loss.backward()
    assert abs(loss.item()) < 1e-9
    assert all(v.grad.abs().max() < 1e-12 for v in own)


def test_where_the_teacher_sees_nothing_boxes_do_not_count():
    own, theirs = outputs(1), outputs(2)
    for mine, wanted in zip(own, theirs, strict=True):
        for objectness in (4, 11):
            mine[:, objectness] = wanted[:, objectness] = -60
    assert distillation_loss(own, theirs, HEAD) < 1e-9
