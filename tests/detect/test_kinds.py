"""Every kind of head through the one table, and through JSON."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from hwprune.data.scenes import DigitImages, DigitScenes
from hwprune.detect.evaluate import evaluate, find
from hwprune.detect.heads import METRICS, parse_head
from hwprune.detect.kinds import KINDS, kind_of
from hwprune.models.catalogue import CATALOGUE

SCENES, SINGLE = DigitScenes("train", 12, (96, 96)), DigitImages("train", 12, (32, 32))
CASES = {
    "yolo": ("yolov3_tiny", SCENES, {}),
    "ssd": ("ssd300", SCENES, {"detection_layers": 3}),
    "classes": ("vgg16", SINGLE, {"fully_connected": (8,)}),
}


def made(kind: str):
    """(head, dataset) of a small network."""
    name, data, options = CASES[kind]
    assert CATALOGUE[name].head == kind
    table = CATALOGUE[name].build(10, None, data.image_size, **options)
    shapes = table.shapes(*data.image_size)
    return KINDS[kind].fit(data, [shapes[head] for head in table.heads], data.image_size, 1), data


def outputs(head, count: int, seed: int) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [2 * torch.randn(count, *shape, generator=generator) for shape in head.shapes()]


@pytest.mark.parametrize("kind", CASES)
def test_a_head_through_json(kind):
    head, data = made(kind)
    assert head.kind == kind and head.classes == data.classes and head.metric in METRICS
    assert parse_head(head.model_dump(mode="json")) == head


def test_a_head_from_before_there_were_others():
    head, _ = made("yolo")
    old = head.model_dump(mode="json")
    del old["kind"]
    assert parse_head(old) == head
    for wrong in (None, {}, {"kind": "polygons"}, {**old, "kind": "classes"}):
        with pytest.raises(ValidationError):
            parse_head(wrong)


@pytest.mark.parametrize("kind", CASES)
@settings(max_examples=4, deadline=None)
@given(seed=st.integers(0, 99))
def test_losses_are_finite_and_teach(kind, seed):
    head, data = made(kind)
    targets = [data[i][1] for i in range(3)]
    raw = [tensor.requires_grad_() for tensor in outputs(head, 3, seed)]
    loss = sum(kind_of(head).loss(raw, targets, head).values())
    loss.backward()
    assert loss.isfinite() and any(tensor.grad.abs().sum() > 0 for tensor in raw)


@pytest.mark.parametrize("kind", CASES)
def test_distillation_is_0_only_where_both_agree(kind):
    head, _ = made(kind)
    own, theirs = outputs(head, 2, 0), outputs(head, 2, 1)
    distance = kind_of(head).distillation
    assert abs(distance(own, [tensor.clone() for tensor in own], head).item()) < 1e-5
    assert distance(own, theirs, head) > 0.1
    raw = [tensor.clone().requires_grad_() for tensor in own]
    before = distance(raw, theirs, head)
    before.backward()
    assert distance([t.detach() - 1e-3 * t.grad / t.grad.norm() for t in raw], theirs, head) < before


def test_distillation_of_classes_by_numpy():
    head, _ = made("classes")
    own, theirs = outputs(head, 3, 0)[0].double(), outputs(head, 3, 1)[0].double()

    def softmax(values):
        e = np.exp(values.numpy().reshape(3, 10) / 4)
        return e / e.sum(1, keepdims=True)

    p, q = softmax(theirs), softmax(own)
    expected = 16 * (p * np.log(p / q)).sum(1).mean()
    assert KINDS["classes"].distillation([own], [theirs], head).item() == pytest.approx(expected)


@pytest.mark.parametrize("kind", CASES)
def test_what_is_found_does_not_depend_on_the_batch(kind):
    head, data = made(kind)
    raw = outputs(head, 4, 3)
    images = torch.stack([data[i][0] for i in range(4)])
    together = find(lambda _: raw, images, head, 0.01)
    for i, expected in enumerate(together):
        (alone,) = find(lambda _, i=i: [tensor[i : i + 1] for tensor in raw], images[:1], head, 0.01)
        assert alone.keys() == expected.keys() and all(alone[key].equal(expected[key]) for key in alone)
        assert alone["scores"].tolist() == sorted(alone["scores"].tolist(), reverse=True)


@pytest.mark.parametrize("kind", CASES)
def test_labels_and_figures(kind):
    head, data = made(kind)
    for i in range(3):
        labels = kind_of(head).labels(data[i][1])
        assert labels.dtype == torch.int64 and labels.ndim == 1 and len(labels) >= 1
    raw = outputs(head, 16, 5)
    result = evaluate(lambda images: [tensor[: len(images)] for tensor in raw], data, head, progress=False)
    assert 0 <= result[head.metric] <= 1 and result["images"] == 12
    assert result["per_class"].keys() == set(head.classes)
