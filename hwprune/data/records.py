"""What every reader of labels returns, and the one rule for boxes that leave the image."""

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from hwprune.data.letterbox import Placement
from hwprune.data.problems import Problem
from hwprune.errors import UserError

Box = tuple[float, float, float, float]

SLACK = 1.0
"""Pixels by which a box may leave its image without a word: rounding, or counting pixels from 0 or from 1."""


@dataclass(frozen=True)
class ImageRecord:
    """One image and its boxes.

    Attributes
    ----------
    path
        The image file.
    name
        Its path below the data set's folder, with ``/`` between folders.
    size
        Height and width in pixels, upright.
    boxes
        float32 (n, 4), corners x0, y0, x1, y1 in pixels of the image; n may be 0.
    labels
        int64 (n,), indices into the classes.
    """

    path: Path
    name: str
    size: tuple[int, int]
    boxes: np.ndarray
    labels: np.ndarray

    @property
    def objects(self) -> int:
        """How many boxes."""
        return len(self.labels)

    def target(self, canvas: tuple[int, int]) -> dict[str, Tensor]:
        """``boxes`` float32 (n, 4) in pixels of this canvas (height, width), and ``labels`` int64 (n,)."""
        boxes = Placement.fit(self.size, canvas).to_canvas(torch.from_numpy(self.boxes))
        return {"boxes": boxes, "labels": torch.tensor(self.labels)}

    @classmethod
    def make(cls, path: Path, root: Path, size: tuple[int, int], boxes: list[Box], labels: list[int]) -> "ImageRecord":
        """A record from plain lists."""
        name = path.relative_to(root).as_posix()
        return cls(path, name, size, np.array(boxes, np.float32).reshape(-1, 4), np.array(labels, np.int64))


@dataclass(frozen=True)
class ClassRecord:
    """One image and its class, an index into the classes; else as `ImageRecord`."""

    path: Path
    name: str
    size: tuple[int, int]
    label: int

    @property
    def objects(self) -> int:
        """The one that it shows."""
        return 1

    def target(self, canvas: tuple[int, int]) -> dict[str, Tensor]:
        """``label`` int64 ()."""
        return {"label": torch.tensor(self.label)}


@dataclass(frozen=True)
class Labelled:
    """A data set as read: its classes, its usable images sorted by name, and what was skipped or mended."""

    root: Path
    classes: tuple[str, ...]
    records: tuple[ImageRecord, ...] | tuple[ClassRecord, ...]
    problems: tuple[Problem, ...]

    def __post_init__(self):
        objects = sum(record.objects for record in self.records)
        if not objects:
            first = f"; the first of {len(self.problems)} problems: {self.problems[0]}" if self.problems else ""
            raise UserError(
                f"data.path: {self.root} has {len(self.records)} usable images and no usable object in them{first}"
            )


def data_folder(path: Path) -> Path:
    """``path``, if it is a folder; else a `UserError`."""
    if not path.is_dir():
        state = "is no folder" if path.exists() else "does not exist"
        raise UserError(f"data.path: {path} {state}; give the folder that holds the images and their labels")
    return path


def fit_box(box: Box, height: float, width: float) -> tuple[Box | None, str | None]:
    """Make a box lie in its image, or refuse it.

    A box that leaves the image by at most `SLACK` pixels is cut at the border without a word. One that leaves it by
    more is cut and told if at least half of its area is inside, else refused: its label is more likely wrong than its
    object mostly out of sight. A box with no area is refused.

    Parameters
    ----------
    box
        Corners x0, y0, x1, y1 in pixels.
    height, width
        Of the image, in the same pixels.

    Returns
    -------
    box, message
        The box to use, None if refused; and what to tell, None if nothing.
    """
    x0, y0, x1, y1 = box
    shown = f"box ({x0:g}, {y0:g}) to ({x1:g}, {y1:g})"
    if not all(map(math.isfinite, box)):
        return None, f"{shown} is not finite: skipped"
    if x1 <= x0 or y1 <= y0:
        return None, f"{shown} has no area: skipped"
    cut = (max(x0, 0.0), max(y0, 0.0), min(x1, float(width)), min(y1, float(height)))
    if max(-x0, -y0, x1 - width, y1 - height) <= SLACK and cut[0] < cut[2] and cut[1] < cut[3]:
        return cut, None
    where = f"the image of {width:g}x{height:g} pixels"
    inside = max(cut[2] - cut[0], 0.0) * max(cut[3] - cut[1], 0.0) / ((x1 - x0) * (y1 - y0))
    if inside == 0:
        return None, f"{shown} lies outside {where}: skipped"
    if inside < 0.5:
        return None, f"{shown} lies mostly outside {where}: skipped"
    return cut, f"{shown} reaches out of {where}: cut at its border"
