"""Fitting an image into the network's input without changing its shape: resize, then grey bars, as darknet does."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torchvision.transforms.v2 import functional as F

GREY = 114
"""Value of the bars in all three channels."""


@dataclass(frozen=True)
class Placement:
    """Where an image lies in its canvas.

    Attributes
    ----------
    source
        Height and width of the image in pixels.
    canvas
        Height and width of the canvas in pixels.
    inner
        Height and width of the resized image; whole pixels, so the two axes' scales may differ by a rounding.
    top, left
        Of the resized image in the canvas.
    """

    source: tuple[int, int]
    canvas: tuple[int, int]
    inner: tuple[int, int]
    top: int
    left: int

    @classmethod
    def fit(cls, source: tuple[int, int], canvas: tuple[int, int]) -> "Placement":
        """The largest image of the same shape that the canvas holds, in its middle."""
        scale = min(canvas[0] / source[0], canvas[1] / source[1])
        height, width = (max(1, round(side * scale)) for side in source)
        return cls(tuple(source), tuple(canvas), (height, width), (canvas[0] - height) // 2, (canvas[1] - width) // 2)

    def to_canvas(self, boxes: Tensor) -> Tensor:
        """Boxes (..., 4), xyxy, from pixels of the image to pixels of the canvas; float32."""
        return boxes.float() * self._scale() + self._shift()

    def to_image(self, boxes: Tensor) -> Tensor:
        """Boxes (..., 4), xyxy, from pixels of the canvas to pixels of the image, cut at its borders; float32."""
        height, width = self.source
        limit = torch.tensor([width, height, width, height], dtype=torch.float32)
        return ((boxes.float() - self._shift()) / self._scale()).clamp(min=torch.zeros(4), max=limit)

    def _scale(self) -> Tensor:
        (height, width), (inner_height, inner_width) = self.source, self.inner
        return torch.tensor([inner_width / width, inner_height / height] * 2, dtype=torch.float32)

    def _shift(self) -> Tensor:
        return torch.tensor([self.left, self.top] * 2, dtype=torch.float32)


def letterbox(image: Tensor, size: tuple[int, int]) -> tuple[Tensor, Placement]:
    """Resize an image (bilinear, antialiased) and put it on a grey canvas.

    Parameters
    ----------
    image
        uint8 (3, h, w).
    size
        Height and width of the canvas in pixels.

    Returns
    -------
    canvas, placement
        uint8 (3, H, W), and the way of boxes there and back.
    """
    place = Placement.fit(tuple(image.shape[-2:]), size)
    height, width = place.inner
    if place.inner != place.source:
        image = F.resize(image, [height, width], F.InterpolationMode.BILINEAR, antialias=True)
    right, bottom = place.canvas[1] - width - place.left, place.canvas[0] - height - place.top
    return F.pad(image, [place.left, place.top, right, bottom], fill=GREY), place
