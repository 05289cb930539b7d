import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_digits
from sklearn.neighbors import KNeighborsClassifier

from hwprune.data.scenes import CLASSES, CONTRAST, DigitScenes, digit_ink, draw_ink, source_digits

LUMA = np.array([0.299, 0.587, 0.114])


def _same(a, b):
    return torch.equal(a[0], b[0]) and all(torch.equal(a[1][key], b[1][key]) for key in ("boxes", "labels"))


@settings(max_examples=25, deadline=None)
@given(
    st.sampled_from(["train", "val"]),
    st.tuples(st.sampled_from([32, 64, 96, 128, 224]), st.sampled_from([32, 96, 160])),
    st.integers(0, 2**32),
    st.integers(0, 500),
)
def test_sample_keeps_the_contract(split, size, seed, index):
    image, target = DigitScenes(split, index + 1, size, seed)[index]
    boxes, labels = target["boxes"], target["labels"]
    assert image.dtype == torch.uint8
    assert image.shape == (3, *size)
    assert boxes.dtype == torch.float32
    assert labels.dtype == torch.int64
    assert boxes.shape == (len(labels), 4)
    assert 1 <= len(labels) <= 5
    assert ((labels >= 0) & (labels < len(CLASSES))).all()
    assert (boxes[:, :2] >= 0).all()
    assert (boxes[:, 2:] <= torch.tensor([size[1], size[0]])).all()
    assert (boxes[:, 2:] > boxes[:, :2]).all()


def test_image_depends_on_seed_split_and_index_only():
    forwards, backwards = DigitScenes("train", 8, (96, 96), 3), DigitScenes("train", 300, (96, 96), 3)
    reverse = {index: backwards[index] for index in reversed(range(8))}
    assert all(_same(forwards[index], reverse[index]) for index in range(8))
    assert not _same(forwards[0], forwards[1])
    assert not _same(forwards[0], DigitScenes("train", 8, (96, 96), 4)[0])
    assert not _same(forwards[0], DigitScenes("val", 8, (96, 96), 3)[0])


def test_preload_gives_the_same_images():
    lazy, eager = DigitScenes("val", 5, (96, 128)), DigitScenes("val", 5, (96, 128))
    eager.preload()
    assert all(_same(lazy[index], eager[index]) for index in range(5))


def test_changing_a_sample_does_not_change_the_set():
    scenes = DigitScenes("val", 1, (64, 64))
    image, target = scenes[0]
    before = image.clone(), {key: value.clone() for key, value in target.items()}
    image.zero_()
    target["boxes"].zero_()
    assert _same(scenes[0], before)


def test_splits_share_no_source_digit():
    train, val = source_digits("train"), source_digits("val")
    everything = load_digits()
    assert len(train[0]) + len(val[0]) == len(everything.images)
    np.testing.assert_array_equal(np.concatenate([train[0], val[0]]) * 16, everything.images)
    np.testing.assert_array_equal(np.concatenate([train[1], val[1]]), everything.target)
    # Every class is on both sides.
    assert set(train[1]) == set(val[1]) == set(range(10))


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 1436), st.floats(14, 80), st.integers(0, 2**32))
def test_box_is_tight_around_the_ink(digit, height, seed):
    rng = np.random.default_rng(seed)
    ink = digit_ink(source_digits("train")[0][digit], height, rng)
    canvas = np.full((160, 160, 3), 90, np.float32)
    before = canvas.copy()
    left, top, right, bottom = draw_ink(canvas, ink, (10, 20), rng)
    rows, columns = np.nonzero(np.abs(canvas - before).max(2) > 0)
    assert (rows.min(), rows.max() + 1, columns.min(), columns.max() + 1) == (top, bottom, left, right)
    assert 0.6 * height <= bottom - top <= 1.5 * height


@settings(max_examples=60, deadline=None)
@given(st.floats(0, 255), st.integers(0, 2**32))
def test_ink_stands_out_as_much_as_promised(grey, seed):
    canvas = np.full((20, 20, 3), grey, np.float32)
    draw_ink(canvas, np.ones((20, 20), np.float32), (0, 0), np.random.default_rng(seed))
    assert canvas.min() >= -1e-3
    assert canvas.max() <= 255 + 1e-3
    assert CONTRAST[0] - 0.1 <= abs(float(canvas[0, 0] @ LUMA) - grey) <= CONTRAST[1] + 0.1


def test_digits_hardly_overlap_and_are_large_enough():
    scenes = DigitScenes("train", 150, (96, 96))
    for _, target in (scenes[index] for index in range(150)):
        boxes = target["boxes"]
        area = (boxes[:, 2:] - boxes[:, :2]).prod(1)
        low, high = torch.maximum(boxes[:, None, :2], boxes[:, :2]), torch.minimum(boxes[:, None, 2:], boxes[:, 2:])
        share = (high - low).clamp(min=0).prod(2) / torch.minimum(area[:, None], area)
        assert (share - torch.eye(len(boxes))).max() <= 0.05
        assert (boxes[:, 3] - boxes[:, 1]).min() >= 15


def test_labels_name_what_the_boxes_hold():
    """Nearest neighbours, a witness that shares no code with the scenes, reads the crops of unseen writers."""

    def crops(split, count):
        scenes = DigitScenes(split, count, (96, 96))
        found, labels = [], []
        for image, target in (scenes[index] for index in range(count)):
            for box, label in zip(target["boxes"].int().tolist(), target["labels"].tolist(), strict=True):
                crop = image[:, box[1] : box[3], box[0] : box[2]].float()
                rim = torch.cat([crop[:, 0], crop[:, -1], crop[:, :, 0], crop[:, :, -1]], 1).median(1).values
                away = (crop - rim[:, None, None]).abs().sum(0)
                small = torch.nn.functional.interpolate(away[None, None], (8, 8), mode="area")[0, 0]
                found.append((small / small.max().clamp(min=1)).flatten().numpy())
                labels.append(label)
        return np.stack(found), np.array(labels)

    reader = KNeighborsClassifier(5).fit(*crops("train", 400))
    assert reader.score(*crops("val", 100)) > 0.5  # chance is 0.1


def test_all_classes_appear_equally_often():
    scenes = DigitScenes("train", 400, (96, 96))
    counts = torch.bincount(torch.cat([scenes[index][1]["labels"] for index in range(400)]), minlength=10)
    assert counts.min() > 0.06 * counts.sum()


@pytest.mark.parametrize("index", [-1, 3])
def test_index_beyond_the_end(index):
    with pytest.raises(IndexError):
        DigitScenes("train", 3, (96, 96))[index]


def test_wrong_arguments():
    with pytest.raises(ValueError, match="'test'"):
        DigitScenes("test", 3, (96, 96))
    with pytest.raises(ValueError, match="16x96"):
        DigitScenes("train", 3, (16, 96))
