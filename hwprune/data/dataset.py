"""Opening the data that a recipe names."""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from hwprune.data.arrays import ArrayImages
from hwprune.data.cifar10 import CLASSES, read_cifar10
from hwprune.data.config import Cifar10Data, DataConfig, DigitImagesData, DigitsData, FilesData
from hwprune.data.folders import read_folders
from hwprune.data.images import BrokenImageError, load_image
from hwprune.data.letterbox import letterbox
from hwprune.data.problems import Problem, log_problems
from hwprune.data.progress import track_slow
from hwprune.data.records import ClassRecord, ImageRecord, Labelled
from hwprune.data.scenes import DigitImages, DigitScenes
from hwprune.data.split import split_indices
from hwprune.data.voc_xml import read_voc
from hwprune.data.yolo_txt import read_yolo
from hwprune.errors import UserError


class LetterboxedImages(Dataset):
    """Image files and their boxes or classes at the network's input size; decoded at first use.

    Parameters
    ----------
    records
        Images with boxes, or with a class each.
    classes
        Names of the labels.
    image_size
        Height and width in pixels.
    cached
        How many of the first images to keep in memory, as uint8.
    problems
        What was skipped or mended on the way here.
    """

    def __init__(
        self,
        records: Sequence[ImageRecord] | Sequence[ClassRecord],
        classes: tuple[str, ...],
        image_size: tuple[int, int],
        cached: int = 0,
        problems: Sequence[Problem] = (),
    ):
        self.records, self.classes, self.image_size = tuple(records), classes, tuple(image_size)
        self.cached, self.problems = min(cached, len(self.records)), tuple(problems)
        self._cache: dict[int, np.ndarray] = {}

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, index: int) -> tuple[Tensor, dict[str, Tensor]]:
        """Image, uint8 (3, H, W), and target: ``boxes`` float32 (n, 4), xyxy in pixels, with ``labels`` int64 (n,); or
        ``label`` int64 ()."""
        if not 0 <= index < len(self.records):
            raise IndexError(index)
        return torch.from_numpy(self._image(index).copy()), self.records[index].target(self.image_size)

    def preload(self) -> None:
        """Decode what the cache holds, in threads; call it before the workers of a `DataLoader` start, to share it."""
        with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as threads:
            for _ in track_slow(threads.map(self._image, range(self.cached)), "decoding images", self.cached):
                pass

    def _image(self, index: int) -> np.ndarray:
        if index in self._cache:
            return self._cache[index]
        record = self.records[index]
        try:
            image = load_image(record.path)
        except BrokenImageError as error:
            # The readers decode every image once, so this one has changed since.
            raise UserError(f"{record.path}: cannot be read any more ({error}); restore it, or start anew") from None
        if tuple(image.shape[-2:]) != record.size:
            raise UserError(f"{record.path}: has changed its size since the data set was opened; start anew")
        image = letterbox(image, self.image_size)[0].numpy()
        if index < self.cached:
            self._cache[index] = image
        return image


@dataclass(frozen=True)
class DataSplits:
    """Training and validation data, neither augmented, their classes, and the problems met on the way."""

    train: Dataset
    val: Dataset
    classes: tuple[str, ...]
    problems: tuple[Problem, ...]


def open_dataset(config: DataConfig) -> DataSplits:
    """Open the data that a recipe names; its problems are logged as one warning.

    Parameters
    ----------
    config
        The recipe's ``data``.

    Raises
    ------
    UserError
        If the folder, the class names or the split are wrong, or nothing can be used.
    """
    match config:
        case DigitsData():
            return _drawn(DigitScenes, config)
        case DigitImagesData():
            return _drawn(DigitImages, config)
        case Cifar10Data():
            return _cifar10(config)
        case _:
            return _from_files(_read(config), config)


def _drawn(kind: type[DigitScenes] | type[DigitImages], config: DigitsData | DigitImagesData) -> DataSplits:
    train = kind("train", config.train, config.image_size, config.seed)
    return DataSplits(train, kind("val", config.val, config.image_size, config.seed), train.classes, ())


def _cifar10(config: Cifar10Data) -> DataSplits:
    train, test = read_cifar10(config.path)
    if config.test:
        wanted = {"data.train": (config.train, train), "data.val": (config.val, test)}
        val = [values[: config.val] for values in test]
    else:
        wanted = {"data.train and data.val together": (config.train + config.val, train)}
        val = [values[-config.val :] for values in train]
    for field, (count, (_, labels)) in wanted.items():
        if count > len(labels):
            raise UserError(f"{field}: {count} images, but {config.path} has {len(labels)}; take fewer")
    sides = [values[: config.train] for values in train], val
    return DataSplits(*(ArrayImages(*side, CLASSES, config.image_size) for side in sides), CLASSES, ())


def _read(config: FilesData) -> Labelled:
    match config.source:
        case "yolo":
            return read_yolo(config.path, config.classes)
        case "voc":
            return read_voc(config.path, config.classes, config.difficult)
        case "folders":
            return read_folders(config.path, config.classes)


def _from_files(labelled: Labelled, config: FilesData) -> DataSplits:
    sides = split_indices([record.name for record in labelled.records], config.split)
    problems = labelled.problems + tuple(sides[2])
    log_problems(problems, config.path)
    height, width = config.image_size
    fitting = (config.cache_mib << 20) / (3 * height * width)
    share = min(1.0, fitting / len(labelled.records))
    train, val = (
        LetterboxedImages(
            [labelled.records[index] for index in indices],
            labelled.classes,
            config.image_size,
            int(share * len(indices)),
            problems,
        )
        for indices in sides[:2]
    )
    return DataSplits(train, val, labelled.classes, problems)
