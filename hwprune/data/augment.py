"""Augmentation that one seed fixes: what happens to item i in epoch e depends on (seed, e, i) and on nothing else."""

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset
from torchvision import tv_tensors
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional as F

from hwprune.data.config import AugmentConfig
from hwprune.data.letterbox import GREY

LEAST_VISIBLE = 0.4
"""Share of a box that must stay in the image; less of an object is no example of it."""
LEAST_SIDE = 2.0
"""Pixels that each side of a box must keep."""


class Augmented(Dataset):
    """A data set whose samples are changed at random, differently each epoch.

    `set_epoch` reaches the workers of a `DataLoader` too, persistent ones included.

    Parameters
    ----------
    dataset
        Of (image uint8 (3, H, W), target) samples, with ``classes``.
    config
        What to change, and by how much.
    seed
        Of the run; not negative.
    """

    def __init__(self, dataset: Dataset, config: AugmentConfig, seed: int):
        self.dataset, self.seed = dataset, seed
        self.classes: tuple[str, ...] = dataset.classes
        self._transform = _transform(config)
        self._epoch = torch.zeros((), dtype=torch.int64).share_memory_()

    def set_epoch(self, epoch: int) -> None:
        """Draw the changes of this epoch from now on."""
        self._epoch.fill_(epoch)

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> tuple[Tensor, dict[str, Tensor]]:
        """Image and target as the data set underneath gives them, changed; boxes that all but vanished are dropped.

        Of a target without ``boxes`` (classification) the image alone is changed.
        """
        image, target = self.dataset[index]
        size = list(image.shape[-2:])
        given = target.get("boxes", torch.zeros(0, 4))
        boxes = tv_tensors.BoundingBoxes(given, format="XYXY", canvas_size=size, clamping_mode=None)
        seed = np.random.SeedSequence([self.seed, self._epoch.item(), index]).generate_state(1, np.uint64)
        # The transforms draw from torch's CPU generator; devices' generators are not touched.
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(int(seed[0]))
            image, boxes = self._transform(tv_tensors.Image(image), boxes)
        if list(image.shape[-2:]) != size:
            image, boxes = F.resize(image, size), F.resize(boxes, size)
        image = image.as_subclass(Tensor)
        if "boxes" not in target:
            return image, target
        cut = F.clamp_bounding_boxes(boxes, clamping_mode="hard").as_subclass(Tensor)
        whole, sides = _area(boxes.as_subclass(Tensor)), cut[:, 2:] - cut[:, :2]
        keep = (_area(cut) >= LEAST_VISIBLE * whole) & (sides >= LEAST_SIDE).all(1)
        return image, {"boxes": cut[keep], "labels": target["labels"][keep]}


class _Patch(v2.RandomIoUCrop):
    """A random patch (Liu et al., "SSD", 2016, section 2.2). Of a box whose centre is in it what lies in it counts,
    however little."""

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        output = super().transform(inpt, params)
        if params and isinstance(output, tv_tensors.BoundingBoxes):
            return F.clamp_bounding_boxes(output, clamping_mode="hard")
        return output


def _transform(config: AugmentConfig) -> v2.Transform:
    steps: list[v2.Transform] = []
    if config.flip:
        steps.append(v2.RandomHorizontalFlip(0.5))
    if config.rotate or config.translate or config.scale:
        steps.append(
            v2.RandomAffine(
                degrees=config.rotate,
                translate=(config.translate, config.translate),
                scale=(1 / (1 + config.scale), 1 + config.scale),
                interpolation=v2.InterpolationMode.BILINEAR,
                fill=GREY,
            )
        )
    if config.jitter or config.hue:
        steps.append(v2.ColorJitter(config.jitter, config.jitter, config.jitter, config.hue))
    # SSD's, in the order of the authors' code; these change the image's size.
    if config.distort:
        steps.append(v2.RandomPhotometricDistort())
    if config.zoom_out:
        steps.append(v2.RandomZoomOut(fill=GREY, side_range=(1, 1 + config.zoom_out)))
    if config.crop:
        steps.append(_Patch())
    return v2.Compose(steps or [v2.Identity()])


def _area(boxes: Tensor) -> Tensor:
    return (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
