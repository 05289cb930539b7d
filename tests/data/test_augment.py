import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.data import DataLoader, Dataset

from hwprune.data.augment import LEAST_SIDE, Augmented
from hwprune.data.config import AugmentConfig
from hwprune.data.scenes import DigitScenes

OFF = AugmentConfig(jitter=0, hue=0, scale=0, translate=0, rotate=0, flip=False)
STRONG = AugmentConfig(jitter=0.5, hue=0.1, scale=0.8, translate=0.5, rotate=20, flip=True)


class _Block(Dataset):
    """A white block on black, and its box."""

    classes = ("block",)

    def __init__(self, box, size=(96, 128)):
        self.box, self.size = box, size

    def __len__(self):
        return 1

    def __getitem__(self, index):
        image = torch.zeros(3, *self.size, dtype=torch.uint8)
        left, top, right, bottom = self.box
        image[:, top:bottom, left:right] = 255
        return image, {"boxes": torch.tensor([self.box], dtype=torch.float32), "labels": torch.tensor([0])}


def _epoch(augmented, epoch, **loader):
    augmented.set_epoch(epoch)
    return list(DataLoader(augmented, batch_size=None, **loader))


def _flat(samples):
    return [tensor for image, target in samples for tensor in (image, target["boxes"], target["labels"])]


def _same(a, b):
    return all(torch.equal(x, y) for x, y in zip(_flat(a), _flat(b), strict=True))


def test_depends_on_seed_epoch_and_index_only():
    scenes = DigitScenes("train", 6, (64, 64))
    here = Augmented(scenes, STRONG, seed=5)
    first, second = _epoch(here, 0), _epoch(here, 1)
    assert not _same(first, second)
    torch.manual_seed(99)
    torch.rand(7)
    again = Augmented(scenes, STRONG, seed=5)
    assert _same(first, _epoch(again, 0))
    again.set_epoch(1)
    assert _same(second[::-1], [again[index] for index in reversed(range(6))])
    assert not _same(first, _epoch(Augmented(scenes, STRONG, seed=6), 0))


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_persistent_workers_see_the_epoch(method):
    augmented = Augmented(DigitScenes("train", 4, (64, 64)), STRONG, seed=1)
    expected = [_epoch(augmented, epoch) for epoch in (0, 1)]
    loader = DataLoader(
        augmented, batch_size=None, num_workers=1, persistent_workers=True, multiprocessing_context=method
    )
    for epoch in (0, 1):
        augmented.set_epoch(epoch)
        assert _same(list(loader), expected[epoch])


def test_global_generator_is_left_alone():
    augmented = Augmented(DigitScenes("train", 1, (64, 64)), STRONG, seed=1)
    torch.manual_seed(3)
    expected = torch.rand(4)
    torch.manual_seed(3)
    augmented[0]
    assert torch.equal(torch.rand(4), expected)


def test_all_off_changes_nothing():
    scenes = DigitScenes("train", 3, (64, 96))
    assert _same([scenes[index] for index in range(3)], [Augmented(scenes, OFF, 0)[index] for index in range(3)])


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32), st.integers(0, 10**6))
def test_sample_keeps_the_contract(seed, epoch):
    augmented = Augmented(DigitScenes("train", 1, (64, 96)), STRONG, seed)
    augmented.set_epoch(epoch)
    image, target = augmented[0]
    assert type(image) is torch.Tensor
    assert (image.dtype, image.shape) == (torch.uint8, (3, 64, 96))
    boxes = target["boxes"]
    assert type(boxes) is torch.Tensor
    assert boxes.dtype == torch.float32
    assert boxes.shape == (len(target["labels"]), 4)
    assert (boxes >= 0).all()
    assert (boxes[:, 2:] - boxes[:, :2] >= LEAST_SIDE).all()
    assert (boxes[:, 2:] <= torch.tensor([96, 64])).all()


@pytest.mark.parametrize(
    "config",
    [
        OFF.model_copy(update={"scale": 0.5, "translate": 0.2}),
        OFF.model_copy(update={"flip": True}),
        OFF.model_copy(update={"scale": 0.3, "translate": 0.1, "flip": True, "jitter": 0.2}),
    ],
)
def test_box_follows_the_pixels(config):
    augmented = Augmented(_Block((40, 30, 70, 60)), config, seed=0)
    corners = set()
    for epoch in range(30):
        augmented.set_epoch(epoch)
        image, target = augmented[0]
        grey = image.float().mean(0).numpy()
        rows, columns = np.nonzero(grey > 150)  # the block's white; the padding is 114, the ground 0
        seen = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
        np.testing.assert_allclose(target["boxes"][0], seen, atol=1.01)
        corners.add(tuple(target["boxes"][0].tolist()))
    assert len(corners) > 1


def test_vanished_boxes_are_dropped_with_their_labels():
    # A block at the very edge, moved by up to half the width: often it leaves the image.
    augmented = Augmented(_Block((0, 40, 20, 60)), OFF.model_copy(update={"translate": 0.5}), seed=0)
    counts = set()
    for epoch in range(40):
        augmented.set_epoch(epoch)
        _, target = augmented[0]
        counts.add(len(target["boxes"]))
        assert len(target["boxes"]) == len(target["labels"])
        if len(target["boxes"]):
            left, top, right, bottom = target["boxes"][0].tolist()
            assert (right - left) * (bottom - top) >= 0.4 * 400 - 1
    assert counts == {0, 1}


def test_image_without_objects():
    class Empty(_Block):
        def __getitem__(self, index):
            image, target = super().__getitem__(index)
            return image, {key: value[:0] for key, value in target.items()}

    _, target = Augmented(Empty((1, 1, 5, 5)), STRONG, 0)[0]
    assert target["boxes"].shape == (0, 4)
    assert target["labels"].shape == (0,)
