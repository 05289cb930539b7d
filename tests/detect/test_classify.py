import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.data import Dataset

from hwprune.detect.class_head import ClassHead
from hwprune.detect.classify import accuracy, class_loss, top_k
from hwprune.detect.evaluate import evaluate

HEAD = ClassHead(classes=("a", "b", "c"), image_size=(32, 32))


def targets(*labels: int) -> list[dict]:
    return [{"label": torch.tensor(label)} for label in labels]


def raw(rows: list[list[float]]) -> list[torch.Tensor]:
    return [torch.tensor(rows)[:, :, None, None]]


def test_loss_by_hand():
    loss = class_loss(raw([[0.0, 0.0, 0.0], [math.log(2), 0.0, 0.0]]), targets(1, 0), HEAD)
    assert loss.keys() == {"class"}
    assert loss["class"].item() == pytest.approx((math.log(3) - math.log(2 / 4)) / 2)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 999), count=st.integers(1, 4), k=st.integers(1, 5))
def test_the_best_by_softmax(seed, count, k):
    logits = torch.randn(count, 3, generator=torch.Generator().manual_seed(seed))
    for row, found in zip(logits.tolist(), top_k([logits[:, :, None, None]], HEAD, k), strict=True):
        wanted = sorted(range(3), key=lambda label: -row[label])[:k]
        assert found["labels"].tolist() == wanted
        total = sum(math.exp(value) for value in row)
        assert found["scores"].tolist() == pytest.approx([math.exp(row[label]) / total for label in wanted], rel=1e-5)


def test_ties_go_to_the_lower_label_and_nothing_is_not_finite():
    found = top_k(raw([[1.0, 1.0, 1.0], [math.inf, 0.0, math.nan], [-math.inf, 2e4, 1e6]]), HEAD)
    assert [f["labels"].tolist() for f in found] == [[0, 1, 2], [0, 1, 2], [1, 2, 0]]
    assert all(f["scores"].isfinite().all() for f in found)


def test_shares_by_class():
    found = top_k(raw([[3.0, 0, 0], [3.0, 0, 0], [0, 3.0, 0], [0, 3.0, 0]]), HEAD)
    result = accuracy(found, targets(0, 1, 1, 1), HEAD.classes)
    assert result == {"accuracy": 0.75, "per_class": {"a": 1.0, "b": 2 / 3, "c": None}}
    assert accuracy([], [], HEAD.classes)["accuracy"] == 0.0


class Constant(Dataset):
    classes = HEAD.classes

    def __len__(self):
        return 7

    def __getitem__(self, index):
        return torch.full((3, 32, 32), index, dtype=torch.uint8), {"label": torch.tensor(index % 3)}


def test_evaluate_by_any_batch_size():
    def predict(images):
        index = images[:, 0, 0, 0].long()
        right = torch.where(index < 5, index % 3, (index + 1) % 3)
        return [torch.nn.functional.one_hot(right, 3).float()[:, :, None, None]]

    results = [evaluate(predict, Constant(), HEAD, batch_size=size, progress=False) for size in (1, 3, 16)]
    assert results[0] == results[1] == results[2]
    assert results[0]["accuracy"] == 5 / 7 and results[0]["images"] == 7


def test_another_shape_is_refused():
    with pytest.raises(ValueError, match="head outputs"):
        top_k([torch.zeros(2, 4, 1, 1)], HEAD)
    with pytest.raises(ValueError, match="head outputs"):
        class_loss([torch.zeros(2, 3, 2, 2)], targets(0, 1), HEAD)
