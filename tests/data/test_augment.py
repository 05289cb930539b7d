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
SSD = OFF.model_copy(update={"distort": True, "zoom_out": 3.0, "crop": True, "flip": True})
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


@pytest.mark.parametrize("config", [STRONG, SSD])
def test_depends_on_seed_epoch_and_index_only(config):
    scenes = DigitScenes("train", 6, (64, 64))
    here = Augmented(scenes, config, seed=5)
    first, second = _epoch(here, 0), _epoch(here, 1)
    assert not _same(first, second)
    torch.manual_seed(99)
    torch.rand(7)
    again = Augmented(scenes, config, seed=5)
    assert _same(first, _epoch(again, 0))
    again.set_epoch(1)
    assert _same(second[::-1], [again[index] for index in reversed(range(6))])
    assert not _same(first, _epoch(Augmented(scenes, config, seed=6), 0))


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
@given(st.integers(0, 2**32), st.integers(0, 10**6), st.sampled_from([STRONG, SSD]))
def test_sample_keeps_the_contract(seed, epoch, config):
    augmented = Augmented(DigitScenes("train", 1, (64, 96)), config, seed)
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
        OFF.model_copy(update={"zoom_out": 1.5, "flip": True}),
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


class _Coordinates(Dataset):
    """Red is twice the column, green twice the row: an image's pixels tell where they come from."""

    classes = ("a", "b", "c")
    boxes = torch.tensor([[5.0, 5, 35, 45], [60.0, 20, 100, 60], [90.0, 50, 127, 95]])

    def __len__(self):
        return 1

    def __getitem__(self, index):
        rows, columns = torch.meshgrid(torch.arange(96), torch.arange(128), indexing="ij")
        image = torch.stack([2 * columns, 2 * rows, torch.zeros_like(rows)]).clamp(max=255).to(torch.uint8)
        return image, {"boxes": self.boxes.clone(), "labels": torch.arange(3)}


def _origin(image):
    """Left, top, right, bottom of the patch that was enlarged to this image of `_Coordinates`."""
    edges = []
    for channel, side in ((0, 128), (1, 96)):
        line = image[channel].double().mean(channel).numpy() / 2 + 0.5  # a column's pixels are alike in red
        place = np.arange(side) + 0.5
        inner = slice(side // 8, -side // 8)  # at the border the resampling repeats the last pixel
        slope, start = np.polyfit(place[inner], line[inner], 1)
        edges.append((start, start + slope * side))
    (left, right), (top, bottom) = edges
    return np.array([left, top, right, bottom])


def test_patches_are_those_of_the_paper():
    augmented = Augmented(_Coordinates(), OFF.model_copy(update={"crop": True}), seed=0)
    scales, whole, sliver = [], 0, False
    for epoch in range(150):
        augmented.set_epoch(epoch)
        image, target = augmented[0]
        patch = _origin(image)
        width, height = patch[2:] - patch[:2]
        if abs(width - 128) < 0.5 and abs(height - 96) < 0.5:
            whole += 1
        else:
            scales.append((width / 128, height / 96))
            assert 0.5 - 0.03 <= width / height <= 2 + 0.03
        stretch = np.tile([128 / width, 96 / height], 2)
        boxes = _Coordinates.boxes.numpy()
        centres = (boxes[:, :2] + boxes[:, 2:]) / 2
        inside = ((centres - patch[:2]).clip(-9, 9), (patch[2:] - centres).clip(-9, 9))
        margin = np.minimum(*inside).min(1)
        kept = target["labels"].tolist()
        assert kept  # a patch has an object
        assert set(np.nonzero(margin > 0.7)[0]) <= set(kept) <= set(np.nonzero(margin > -0.7)[0])
        moved = (boxes - np.tile(patch[:2], 2)) * stretch
        expected = np.clip(moved, 0, [128, 96, 128, 96])[kept]
        np.testing.assert_allclose(target["boxes"].numpy(), expected, atol=0.7 * stretch.max())
        area = np.prod(expected[:, 2:] - expected[:, :2], 1) / np.prod((moved[:, 2:] - moved[:, :2])[kept], 1)
        sliver |= area.min() < 0.38
    assert 5 < whole < 60  # one of seven choices, more where no patch fits another
    scales = np.array(scales)
    assert scales.min() > 0.27 and scales.min() < 0.45 and scales.max() > 0.9
    assert sliver  # kept by its centre, though less than LEAST_VISIBLE of it is left


def test_zoomed_out_objects_are_small_on_grey():
    augmented = Augmented(_Block((0, 0, 128, 96)), OFF.model_copy(update={"zoom_out": 3.0}), seed=0)
    sides, unchanged = [], 0
    for epoch in range(60):
        augmented.set_epoch(epoch)
        image, target = augmented[0]
        left, top, right, bottom = target["boxes"][0].tolist()
        unchanged += (left, top, right, bottom) == (0, 0, 128, 96)
        sides.append(right - left)
        seen = image[:, round(top) + 2 : round(bottom) - 2, round(left) + 2 : round(right) - 2]
        assert (seen == 255).all()
        around = torch.ones(96, 128, dtype=torch.bool)
        around[max(int(top) - 2, 0) : int(bottom) + 3, max(int(left) - 2, 0) : int(right) + 3] = False
        assert (image[:, around] == 114).all()
    assert 15 < unchanged < 45
    assert 31 < min(sides) < 45


def test_distortion_changes_colours_only():
    augmented = Augmented(_Coordinates(), OFF.model_copy(update={"distort": True}), seed=0)
    images = []
    for epoch in range(8):
        augmented.set_epoch(epoch)
        image, target = augmented[0]
        assert torch.equal(target["boxes"], _Coordinates.boxes)
        images.append(image)
    assert any(not torch.equal(images[0], image) for image in images[1:])
    assert any(image[2].float().std() > 20 for image in images)  # blue was even: channels change places


class _Bare(_Block):
    def __getitem__(self, index):
        image, target = super().__getitem__(index)
        return image, {key: value[:0] for key, value in target.items()}


@pytest.mark.parametrize("config", [STRONG, SSD])
def test_image_without_objects(config):
    augmented = Augmented(_Bare((1, 1, 5, 5)), config, 0)
    for epoch in range(10):
        augmented.set_epoch(epoch)
        image, target = augmented[0]
        assert image.shape == (3, 96, 128)
        assert target["boxes"].shape == (0, 4)
        assert target["labels"].shape == (0,)


def test_targets_without_boxes():
    class Whole(_Block):
        def __getitem__(self, index):
            return super().__getitem__(index)[0], {"label": torch.tensor(3)}

    image, target = Augmented(Whole((0, 0, 64, 96)), OFF.model_copy(update={"flip": True, "zoom_out": 1.0}), 1)[0]
    assert (image.dtype, image.shape) == (torch.uint8, (3, 96, 128))
    assert list(target) == ["label"] and target["label"] == 3
