"""CIFAR-10 (Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009), in the forms it comes in."""

import json
import pickle
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from hwprune.errors import UserError

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
BATCHES = ("data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4", "data_batch_5")
TEST = "test_batch"
TRAIN_LABELS, TEST_LABELS = "train_lables.json", "test_lables.json"  # so spelt in the sheets' publication
SIDE = 32


class Cifar10(NamedTuple):
    """Images uint8 (N, 3, 32, 32) and labels int64 (N,) of both parts."""

    train: tuple[np.ndarray, np.ndarray]
    test: tuple[np.ndarray, np.ndarray]


def read_cifar10(folder: Path) -> Cifar10:
    """Read the data set from its unpacked files.

    Parameters
    ----------
    folder
        With the batches of the Python archive (``data_batch_1``, ..., ``test_batch``), of the binary one
        (``data_batch_1.bin``, ...), or sheets: PNGs (``data_batch_1.png``, ...) whose rows are images, with lists of
        labels in ``train_lables.json`` and ``test_lables.json``. Batches may have any number of images.

    Raises
    ------
    UserError
        If there is none of them, or a file is missing, damaged, or holds anything else. No code in a file is run.
    """
    folder = Path(folder)
    for suffix, read in _FORMS.items():
        if (folder / f"{BATCHES[0]}{suffix}").is_file():
            return read(folder)
    names = ", ".join(f"{BATCHES[0]}{suffix}" for suffix in _FORMS)
    raise UserError(f"{folder}: holds no CIFAR-10: none of {names}; give the folder of an unpacked archive")


def _from_python(folder: Path) -> Cifar10:
    def batch(name: str) -> tuple[np.ndarray, np.ndarray]:
        path = folder / name
        try:
            with path.open("rb") as file:
                content = _PlainArrays(file, encoding="bytes").load()
            pixels, labels = content[b"data"], content[b"labels"]
        except OSError as error:
            raise _unreadable(path, error.strerror or error) from None
        except Exception as error:  # what a damaged pickle raises is anybody's guess
            raise _unreadable(path, str(error) or type(error).__name__) from None
        return _checked(path, pixels, labels)

    return _joined(batch, BATCHES, TEST)


def _from_binary(folder: Path) -> Cifar10:
    def batch(name: str) -> tuple[np.ndarray, np.ndarray]:
        path = folder / f"{name}.bin"
        try:
            content = np.frombuffer(path.read_bytes(), np.uint8)
        except OSError as error:
            raise _unreadable(path, error.strerror or error) from None
        if not len(content) or len(content) % (1 + 3 * SIDE**2):
            raise _unreadable(path, f"{len(content)} bytes are no whole number of images of {1 + 3 * SIDE**2}")
        rows = content.reshape(-1, 1 + 3 * SIDE**2)
        return _checked(path, rows[:, 1:], rows[:, 0])

    return _joined(batch, BATCHES, TEST)


def _from_sheets(folder: Path) -> Cifar10:
    def part(sheets: tuple[str, ...], labels: str) -> tuple[np.ndarray, np.ndarray]:
        images = np.concatenate([_sheet(folder / f"{name}.png") for name in sheets])
        path = folder / labels
        try:
            listed = json.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise _unreadable(path, error.strerror or error) from None
        except ValueError as error:
            raise _unreadable(path, error) from None
        return _checked(path, images, listed)

    return Cifar10(part(BATCHES, TRAIN_LABELS), part((TEST,), TEST_LABELS))


def _sheet(path: Path) -> np.ndarray:
    try:
        with Image.open(path) as sheet:
            pixels = np.asarray(sheet.convert("RGB"))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise _unreadable(path, error) from None
    if pixels.size % (3 * SIDE**2):
        raise _unreadable(path, f"{pixels.shape[0]}x{pixels.shape[1]} pixels are no whole number of images")
    return pixels.reshape(-1, SIDE, SIDE, 3).transpose(0, 3, 1, 2).reshape(-1, 3 * SIDE**2)


def _joined(batch, train: tuple[str, ...], test: str) -> Cifar10:
    images, labels = zip(*map(batch, train), strict=True)
    return Cifar10((np.concatenate(images), np.concatenate(labels)), batch(test))


def _checked(path: Path, pixels: Any, labels: Any) -> tuple[np.ndarray, np.ndarray]:
    """Images and labels of the shapes and values that they have to have."""
    pixels = np.asarray(pixels)
    if pixels.dtype != np.uint8 or pixels.ndim != 2 or pixels.shape[1] != 3 * SIDE**2:
        raise _unreadable(path, f"pixels are {pixels.dtype} {pixels.shape}, not uint8 (N, {3 * SIDE**2})")
    try:
        labels = np.asarray(labels)
        known = labels.dtype.kind in "iu" and labels.ndim == 1 and len(labels) > 0
        known = known and labels.min() >= 0 and labels.max() < len(CLASSES)
    except ValueError:
        known = False
    if not known:
        raise _unreadable(path, f"labels are no list of numbers from 0 to {len(CLASSES) - 1}")
    if len(labels) != len(pixels):
        raise _unreadable(path, f"{len(labels)} labels for {len(pixels)} images")
    return np.ascontiguousarray(pixels).reshape(-1, 3, SIDE, SIDE), labels.astype(np.int64)


def _unreadable(path: Path, why: object) -> UserError:
    return UserError(f"{path}: {why}; give the folder of an unpacked archive of CIFAR-10")


class _PlainArrays(pickle.Unpickler):
    """Loads plain values and NumPy arrays, and nothing that could run."""

    def find_class(self, module: str, name: str) -> Any:
        if (name == "_reconstruct" and module in ("numpy.core.multiarray", "numpy._core.multiarray")) or (
            module == "numpy" and name in ("ndarray", "dtype")
        ):
            # The module of the first has moved since the archive was made.
            return np.empty(0).__reduce__()[0] if name == "_reconstruct" else getattr(np, name)
        if (module, name) == ("_codecs", "encode"):  # how newer pickles of the same protocol spell bytes
            import _codecs

            return _codecs.encode
        raise pickle.UnpicklingError(f"holds {module}.{name}, which is no array")


_FORMS = {"": _from_python, ".bin": _from_binary, ".png": _from_sheets}
"""Readers by the suffix of a batch."""
