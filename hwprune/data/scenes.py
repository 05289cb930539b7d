"""Scenes of handwritten digits, and single ones: the data sets that need no download.

The digits are the 1797 real ones of 8x8 pixels that scikit-learn ships (Alpaydin and Kaynak, "Optical Recognition of
Handwritten Digits", UCI, 1998). The backgrounds are drawn: a gradient, stripes, clutter that is no digit, noise.
"""

from functools import lru_cache
from typing import Literal

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import Tensor
from torch.utils.data import Dataset

from hwprune.data.progress import track_slow

CLASSES = tuple("0123456789")
TRAIN_DIGITS = 1437
"""Source digits 0 to 1436 are for training, the rest (other writers, since the file goes by writer) for validation."""
MOST_DIGITS = 5
SMALLEST, LARGEST = 18, 42
"""Height of a digit in pixels before it is turned, in images whose shorter side is 64 to 128; else in proportion."""
SINGLE = (0.6, 0.85)
"""Least and greatest height of a digit that has an image to itself, in the image's shorter side."""
CONTRAST = (75, 125)
"""Least and greatest difference in luminance of a digit to what lies under it, in grey levels; under 127, so that one
side always has room for it."""

_LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601


class _Drawn(Dataset):
    """Images made at first use and kept in memory."""

    classes = CLASSES
    problems = ()

    def __init__(self, split: Literal["train", "val"], count: int, image_size: tuple[int, int], seed: int = 0):
        if split not in ("train", "val"):
            raise ValueError(f"split is {split!r}, not 'train' or 'val'")
        if min(image_size) < 32:
            raise ValueError(f"a scene of {image_size[0]}x{image_size[1]} pixels has no room for digits")
        self.split, self.count, self.image_size, self.seed = split, count, tuple(image_size), seed
        self._cache: dict[int, tuple[np.ndarray, dict[str, np.ndarray]]] = {}

    def __len__(self) -> int:
        return self.count

    def preload(self) -> None:
        """Make all images; call it before the workers of a `DataLoader` start, to share them."""
        for _ in track_slow(map(self._make, range(self.count)), "making scenes", self.count):
            pass

    def __getitem__(self, index: int) -> tuple[Tensor, dict[str, Tensor]]:
        """Image, uint8 (3, H, W), and target, as `draw` says."""
        if not 0 <= index < self.count:
            raise IndexError(index)
        pixels, target = self._make(index)
        # Copies: who changes a sample in place must not change the set.
        return torch.from_numpy(pixels.copy()), {k: torch.from_numpy(v.copy()) for k, v in target.items()}

    def draw(self, rng: np.random.Generator) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """Pixels uint8 (H, W, 3) and target of one image."""
        raise NotImplementedError

    def _make(self, index: int) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        if index not in self._cache:
            pixels, target = self.draw(self._rng(index))
            self._cache[index] = np.ascontiguousarray(pixels.transpose(2, 0, 1)), target
        return self._cache[index]

    def _rng(self, index: int) -> np.random.Generator:
        return np.random.default_rng([self.seed, ("train", "val").index(self.split), index])


class DigitScenes(_Drawn):
    """One to five digits an image, in colour, on a cluttered background; boxes tight around the ink.

    An image depends on ``seed``, ``split`` and its index only: a longer set starts with the images of a shorter one.
    Images are made at first use and kept in memory.

    Parameters
    ----------
    split
        ``train`` and ``val`` take their digits from different writers.
    count
        Number of images.
    image_size
        Height and width in pixels, at least 32.
    seed
        Not negative.
    """

    def draw(self, rng: np.random.Generator) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """``boxes`` float32 (n, 4), xyxy in pixels; ``labels`` int64 (n,)."""
        pixels, boxes, labels = _scene(rng, self.split, self.image_size)
        target = {"boxes": np.array(boxes, np.float32).reshape(-1, 4), "labels": np.array(labels, np.int64)}
        return pixels, target


class DigitImages(_Drawn):
    """One digit an image, in colour, on a cluttered background, about in the middle; else as `DigitScenes`."""

    def draw(self, rng: np.random.Generator) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """``label`` int64 ()."""
        height, width = self.image_size
        canvas = _background(rng, height, width)
        images, labels = source_digits(self.split)
        source, room = rng.integers(len(images)), min(height, width)
        ink = digit_ink(images[source], room * rng.uniform(*SINGLE), rng)
        # Turned, it may be a little larger than a narrow image.
        ink = ink[:height, :width]
        free = [side - length for side, length in zip(self.image_size, ink.shape, strict=True)]
        place = tuple(round(room * rng.triangular(0, 0.5, 1)) for room in free)
        draw_ink(canvas, ink, place, rng)
        return _noisy(canvas, rng), {"label": np.array(labels[source])}


@lru_cache
def source_digits(split: Literal["train", "val"]) -> tuple[np.ndarray, np.ndarray]:
    """The split's digits, float32 (n, 8, 8) in 0..1, and their labels, int64 (n,)."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    part = slice(None, TRAIN_DIGITS) if split == "train" else slice(TRAIN_DIGITS, None)
    return (digits.images[part] / 16).astype(np.float32), digits.target[part].astype(np.int64)


def _scene(rng: np.random.Generator, split: str, size: tuple[int, int]):
    """Pixels uint8 (H, W, 3), boxes and labels of one scene."""
    height, width = size
    canvas = _background(rng, height, width)
    images, targets = source_digits(split)
    room = min(height, width)
    scale = room / 64 if room < 64 else max(1.0, room / 128)
    boxes, labels = [], []
    for _ in range(rng.integers(1, MOST_DIGITS + 1)):
        source = rng.integers(len(images))
        # Uniform in the logarithm: small digits as often as large ones.
        ink = digit_ink(images[source], SMALLEST * scale * (LARGEST / SMALLEST) ** rng.random(), rng)
        place = _free_place(rng, ink.shape, size, boxes)
        if place is None:
            continue
        boxes.append(draw_ink(canvas, ink, place, rng))
        labels.append(int(targets[source]))
    return _noisy(canvas, rng), boxes, labels


def _noisy(canvas: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Whole numbers of grey levels, with noise."""
    canvas += rng.normal(0, rng.uniform(1, 7), canvas.shape).astype(np.float32)
    return np.clip(np.rint(canvas), 0, 255).astype(np.uint8)


def digit_ink(image: np.ndarray, height: float, rng: np.random.Generator) -> np.ndarray:
    """A digit of 8x8 pixels as opacity, float32 in 0..1, enlarged to ``height`` pixels, a little turned and slanted.

    Every side of the result touches ink: its shape is the size of the tight box.
    """
    angle, slant, stretch = np.deg2rad(rng.uniform(-8, 8)), rng.uniform(-0.1, 0.1), rng.uniform(0.9, 1.15)
    rows = np.flatnonzero(image.max(1) > 0.4)
    zoom = height / (rows[-1] - rows[0] + 1)
    side = int(np.ceil(12 * zoom * max(1.0, stretch)))
    # Pillow wants the way back, from a pixel of the result to one of the source.
    cos, sin = np.cos(angle), np.sin(angle)
    forward = zoom * np.array([[cos, -sin], [sin, cos]]) @ np.array([[stretch, slant], [0, 1]])
    back = np.linalg.inv(forward)
    offset = 4 - back @ np.array([side / 2, side / 2])
    source = Image.fromarray(np.pad(image, 4))
    data = (back[0, 0], back[0, 1], offset[0] + 4, back[1, 0], back[1, 1], offset[1] + 4)
    opacity = np.asarray(source.transform((side, side), Image.Transform.AFFINE, data, Image.Resampling.BICUBIC))
    # A stroke's edge, blurred by the enlargement, gets back a slope of about a pixel or two.
    opacity = np.clip((opacity - 0.4) / 0.3, 0, 1)
    opacity[opacity < 0.25] = 0
    rows, columns = np.flatnonzero(opacity.any(1)), np.flatnonzero(opacity.any(0))
    return opacity[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def draw_ink(canvas: np.ndarray, ink: np.ndarray, place: tuple[int, int], rng: np.random.Generator) -> list[int]:
    """Draw ``ink`` at ``place`` (top, left) on ``canvas``, float32 (H, W, 3), in a colour that stands out; its box."""
    top, left = place
    height, width = ink.shape
    under = canvas[top : top + height, left : left + width]
    mean = float((under @ _LUMA).mean())
    contrast = rng.uniform(*CONTRAST)
    # Towards the side with room for that much contrast; either where both have it.
    lighter = rng.random() < 0.5 if contrast <= mean <= 255 - contrast else mean + contrast <= 255
    grey = mean + contrast if lighter else mean - contrast
    tint = rng.uniform(-255, 255, 3)
    tint -= tint @ _LUMA
    # As much of the tint as keeps the colour in 0..255: its luminance stays what was asked for.
    share = min(1.0, *(np.where(tint > 0, 255 - grey, grey) / np.abs(tint)))
    under += ink[..., None] * ((grey + share * tint).astype(np.float32) - under)
    return [left, top, left + width, top + height]


def _free_place(rng: np.random.Generator, shape: tuple[int, int], size: tuple[int, int], boxes: list) -> tuple | None:
    """Top and left of a free place for a box of ``shape``, or None if thirty tries find none."""
    height, width = shape
    if height > size[0] or width > size[1]:
        return None
    for _ in range(30):
        top, left = rng.integers(size[0] - height + 1), rng.integers(size[1] - width + 1)
        overlaps = (
            max(0, min(left + width, x1) - max(left, x0)) * max(0, min(top + height, y1) - max(top, y0))
            / min(height * width, (x1 - x0) * (y1 - y0))
            for x0, y0, x1, y1 in boxes
        )  # fmt: skip
        if all(overlap <= 0.05 for overlap in overlaps):
            return int(top), int(left)
    return None


def _background(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """Pixels, float32 (H, W, 3): a gradient between two colours, perhaps stripes, then clutter."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    angle = rng.uniform(0, 2 * np.pi)
    along = (np.cos(angle) * x + np.sin(angle) * y) / np.hypot(height, width)
    start, end = rng.uniform(20, 235, (2, 3)).astype(np.float32)
    canvas = start + (along - along.min())[..., None] / np.ptp(along) * (end - start)
    if rng.random() < 0.6:
        angle, period = rng.uniform(0, np.pi), rng.uniform(5, 28)
        wave = np.sin(2 * np.pi * (np.cos(angle) * x + np.sin(angle) * y) / period + rng.uniform(0, 2 * np.pi))
        if rng.random() < 0.5:
            wave = np.sign(wave)
        canvas += wave[..., None] * rng.uniform(-22, 22, 3).astype(np.float32)
    picture = Image.fromarray(np.clip(canvas, 0, 255).astype(np.uint8))
    _clutter(rng, picture)
    return np.asarray(picture).astype(np.float32)


def _clutter(rng: np.random.Generator, picture: Image.Image) -> None:
    """Shapes as strong as a digit that are none: long lines, filled polygons, discs, crosses and rows of dots."""
    draw = ImageDraw.Draw(picture)
    width, height = picture.size
    for _ in range(rng.integers(1, 6)):
        colour = tuple(int(c) for c in rng.integers(0, 256, 3))
        x, y, r = rng.uniform(0, width), rng.uniform(0, height), rng.uniform(3, 0.18 * min(width, height))
        match rng.integers(5):
            case 0:  # as long as the picture, so that it is no "1"
                angle = rng.uniform(0, np.pi)
                dx, dy = (width + height) * np.cos(angle), (width + height) * np.sin(angle)
                draw.line((x - dx, y - dy, x + dx, y + dy), colour, int(rng.integers(1, 4)))
            case 1:
                corners = rng.uniform(-r, r, (int(rng.integers(3, 6)), 2)) + np.array([x, y])
                draw.polygon([tuple(corner) for corner in corners], colour)
            case 2:
                draw.ellipse((x - r, y - r * rng.uniform(0.5, 1), x + r, y + r * rng.uniform(0.5, 1)), colour)
            case 3:
                thick = int(rng.integers(1, 4))
                draw.line((x - r, y - r, x + r, y + r), colour, thick)
                draw.line((x - r, y + r, x + r, y - r), colour, thick)
            case 4:
                dot, gap = rng.uniform(1, 3), rng.uniform(5, 9)
                for i in range(int(rng.integers(3, 8))):
                    draw.rectangle((x + i * gap - dot, y - dot, x + i * gap + dot, y + dot), colour)
