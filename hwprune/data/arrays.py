"""Labelled images that lie in memory."""

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from hwprune.data.letterbox import letterbox


class ArrayImages(Dataset):
    """Images of one size, each of one class, at the network's input size.

    Parameters
    ----------
    images
        uint8 (N, 3, h, w).
    labels
        int64 (N,).
    classes
        Names of the labels.
    image_size
        Height and width in pixels; where it is not the images' own, they are fitted into it.
    """

    problems = ()

    def __init__(self, images: np.ndarray, labels: np.ndarray, classes: tuple[str, ...], image_size: tuple[int, int]):
        self.images, self.labels, self.classes, self.image_size = images, labels, classes, tuple(image_size)

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, dict[str, Tensor]]:
        """Image, uint8 (3, H, W), and target: ``label`` int64 ()."""
        if not 0 <= index < len(self):
            raise IndexError(index)
        image = torch.from_numpy(self.images[index].copy())  # who changes a sample must not change the set
        if tuple(image.shape[-2:]) != self.image_size:
            image = letterbox(image, self.image_size)[0]
        return image, {"label": torch.tensor(int(self.labels[index]))}
