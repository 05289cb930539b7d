"""Image files: finding, checking and decoding them."""

from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff"})

_ORIENTATION = 0x0112  # EXIF tag; 5 to 8 lie on their side


class BrokenImageError(Exception):
    """An image file that cannot be decoded; the message says why."""


def find_files(folder: Path) -> list[Path]:
    """Files in ``folder`` and below, sorted; hidden ones are left out."""
    return sorted(
        path
        for path in folder.rglob("*")
        if not any(part.startswith(".") for part in path.relative_to(folder).parts) and path.is_file()
    )


def check_image(path: Path) -> tuple[int, int]:
    """Height and width in pixels, upright, of an image that can be decoded to its last byte.

    A JPEG is decoded at an eighth of its size: that reads the whole file, at a third of the time.

    Raises
    ------
    BrokenImageError
        If it is damaged, cut short, no image, or not of 8 bits a channel.
    """
    with _reading(path) as image:
        width, height = image.size
        sideways = image.getexif().get(_ORIENTATION) in (5, 6, 7, 8)
        image.draft("RGB", (1, 1))
        image.load()
    return (width, height) if sideways else (height, width)


def load_image(path: Path) -> Tensor:
    """Pixels of an image, uint8 (3, height, width), upright, in RGB.

    Raises
    ------
    BrokenImageError
        As `check_image`.
    """
    with _reading(path) as image:
        pixels = np.array(ImageOps.exif_transpose(image).convert("RGB"))
    return torch.from_numpy(pixels).permute(2, 0, 1).contiguous()


class _reading:  # noqa: N801
    """Pillow's image of a file; whatever Pillow raises on a broken one becomes a `BrokenImageError`."""

    def __init__(self, path: Path):
        self.path, self.image = path, None

    def __enter__(self) -> Image.Image:
        try:
            self.image = Image.open(self.path)
        except Exception as error:
            raise BrokenImageError(_reason(error)) from None
        if self.image.mode.startswith(("I", "F")):
            mode = self.image.mode
            self.image.close()
            raise BrokenImageError(f"its pixels are {mode!r}; only 8 bits a channel are read: convert it")
        return self.image

    def __exit__(self, kind, error, trace) -> None:
        self.image.close()
        # Decoders raise OSError, SyntaxError, ValueError, struct.error and more, each for its own kind of damage.
        if isinstance(error, Exception):
            raise BrokenImageError(_reason(error)) from None


def _reason(error: Exception) -> str:
    if isinstance(error, Image.UnidentifiedImageError):
        return "it is no image of a known format"
    return str(error) or type(error).__name__
