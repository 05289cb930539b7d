"""Data sets for classification: folders, CIFAR-10 in its three forms, single digits."""

import json
import pickle

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from pydantic import TypeAdapter

from hwprune.data.augment import Augmented
from hwprune.data.cifar10 import read_cifar10
from hwprune.data.config import AugmentConfig, DataConfig
from hwprune.data.dataset import open_dataset
from hwprune.data.folders import read_folders
from hwprune.data.scenes import DigitImages
from hwprune.errors import UserError

ADAPTER = TypeAdapter(DataConfig)
BATCHES = [f"data_batch_{i}" for i in range(1, 6)]


def picture(path, colour, size=(6, 4)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour).save(path)


@pytest.fixture
def zoo(tmp_path):
    """Cats are red, dogs are blue; half of each in val/."""
    for side in ("train", "val"):
        for number in range(3):
            picture(tmp_path / side / "cat" / f"{number}.png", (200 + number, 0, 0))
            picture(tmp_path / side / "dog" / f"{number}.png", (0, 0, 200 + number))
    return tmp_path


def test_the_innermost_folder_is_the_class_and_the_split_is_by_path(zoo):
    config = {"source": "folders", "path": zoo, "image_size": [16, 24], "split": {"rule": "prefix", "val": ["val/"]}}
    splits = open_dataset(ADAPTER.validate_python(config))
    assert splits.classes == ("cat", "dog") and splits.problems == ()
    assert (len(splits.train), len(splits.val)) == (6, 6)
    for side in (splits.train, splits.val):
        for image, target in (side[i] for i in range(6)):
            assert image.dtype == torch.uint8 and image.shape == (3, 16, 24)
            assert target["label"].dtype == torch.int64 and target["label"].shape == ()
            assert int(image[:, 8, 12].argmax()) == (0, 2)[target["label"]]


def test_named_classes_decide_over_labels(zoo):
    picture(zoo / "train" / "eel" / "a.png", (9, 9, 9))
    assert read_folders(zoo).classes == ("cat", "dog", "eel")
    read = read_folders(zoo, ("dog", "cat"))
    assert {(r.name.split("/")[1], r.label) for r in read.records} == {("cat", 1), ("dog", 0)}
    assert [p.message for p in read.problems] == ["folder eel is none of data.classes: skipped"]


def test_what_cannot_be_used_is_told(zoo):
    picture(zoo / "stray.png", (0, 0, 0))
    (zoo / "train" / "cat" / "cut.png").write_bytes((zoo / "train" / "cat" / "0.png").read_bytes()[:40])
    messages = {p.file.name: p.message for p in read_folders(zoo).problems}
    assert messages.keys() == {"stray.png", "cut.png"}
    assert "no class's folder" in messages["stray.png"] and "broken" in messages["cut.png"]


def test_too_few_classes_and_empty_ones(tmp_path, zoo):
    with pytest.raises(UserError, match="no usable image of eel"):
        read_folders(zoo, ("cat", "eel"))
    with pytest.raises(UserError, match=r"1 classes \(cat\)"):
        read_folders(zoo / "train" / "cat" / "..", ("cat",))
    with pytest.raises(UserError, match="does not exist"):
        read_folders(tmp_path / "nowhere")


def arrays(count: int, seed: int) -> tuple[np.ndarray, list[int]]:
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (count, 3, 32, 32), dtype=np.uint8), rng.integers(0, 10, count).tolist()


def write_python(folder, name, images, labels):
    content = {b"batch_label": b"x", b"data": images.reshape(len(images), -1), b"labels": labels}
    (folder / name).write_bytes(pickle.dumps(content, protocol=2))


def write_binary(folder, name, images, labels):
    rows = np.concatenate([np.array(labels, np.uint8)[:, None], images.reshape(len(images), -1)], 1)
    (folder / f"{name}.bin").write_bytes(rows.tobytes())


def write_sheet(folder, name, images, labels):
    pixels = images.transpose(0, 2, 3, 1).reshape(len(images), 32 * 32, 3)
    Image.fromarray(pixels).save(folder / f"{name}.png")
    file = folder / ("test_lables.json" if name == "test_batch" else "train_lables.json")
    before = json.loads(file.read_text()) if file.exists() else []
    file.write_text(json.dumps(before + labels))


def write(folder, writer, counts=(3, 1, 2, 4, 2, 5)):
    parts = [arrays(count, seed) for seed, count in enumerate(counts)]
    for name, part in zip([*BATCHES, "test_batch"], parts, strict=True):
        writer(folder, name, *part)
    return parts


@pytest.mark.parametrize("writer", [write_python, write_binary, write_sheet])
def test_every_form_of_cifar10_gives_the_same(tmp_path, writer):
    parts = write(tmp_path, writer)
    train, test = read_cifar10(tmp_path)
    np.testing.assert_array_equal(train[0], np.concatenate([images for images, _ in parts[:5]]))
    assert train[1].tolist() == [label for _, labels in parts[:5] for label in labels]
    np.testing.assert_array_equal(test[0], parts[5][0])
    assert test[1].tolist() == parts[5][1]


def test_cifar10_as_data_of_a_recipe(tmp_path):
    parts = write(tmp_path, write_binary)
    config = {"source": "cifar10", "path": tmp_path, "train": 7, "val": 4}
    splits = open_dataset(ADAPTER.validate_python(config))
    assert (len(splits.train), len(splits.val), splits.classes[3]) == (7, 4, "cat")
    image, target = splits.train[3]
    np.testing.assert_array_equal(image.numpy(), parts[1][0][0])
    assert int(target["label"]) == parts[1][1][0]
    held_out = [label for _, labels in parts[:5] for label in labels][-4:]
    assert [int(target["label"]) for _, target in splits.val] == held_out
    final = open_dataset(ADAPTER.validate_python({**config, "train": 12, "test": True}))
    assert [int(target["label"]) for _, target in final.val] == parts[5][1][:4]
    larger = open_dataset(ADAPTER.validate_python({**config, "image_size": [64, 64]}))
    assert larger.val[0][0].shape == (3, 64, 64)
    with pytest.raises(UserError, match=r"data.train and data.val together: 13 images, but .* has 12"):
        open_dataset(ADAPTER.validate_python({**config, "train": 9}))
    with pytest.raises(UserError, match=r"data.val: 6 images, but .* has 5"):
        open_dataset(ADAPTER.validate_python({**config, "val": 6, "test": True}))


class Evil:
    def __reduce__(self):
        return print, ("code that ran",)


@pytest.mark.parametrize(
    ("damage", "complaint"),
    [
        (lambda folder: (folder / "data_batch_3").unlink(), "data_batch_3: No such file"),
        (lambda folder: (folder / "data_batch_2").write_bytes(b"\x80\x02}"), "data_batch_2: "),
        (lambda folder: (folder / "test_batch").write_bytes(pickle.dumps(Evil())), "builtins.print, which is no array"),
        (lambda folder: write_python(folder, "test_batch", arrays(2, 0)[0], [1]), "1 labels for 2 images"),
        (lambda folder: write_python(folder, "test_batch", arrays(2, 0)[0], [1, 10]), "numbers from 0 to 9"),
        (lambda folder: write_python(folder, "test_batch", arrays(2, 0)[0].astype(int), [1, 2]), "not uint8"),
        (lambda folder: [path.unlink() for path in folder.iterdir()], "holds no CIFAR-10"),
    ],
)
def test_damaged_batches_are_told_and_run_nothing(tmp_path, capsys, damage, complaint):
    write(tmp_path, write_python)
    damage(tmp_path)
    with pytest.raises(UserError, match=complaint):
        read_cifar10(tmp_path)
    assert "code that ran" not in capsys.readouterr().out


def test_damaged_binaries_and_sheets(tmp_path):
    write(tmp_path, write_binary)
    (tmp_path / "data_batch_1.bin").write_bytes(b"12345")
    with pytest.raises(UserError, match="no whole number of images"):
        read_cifar10(tmp_path)
    (tmp_path / "data_batch_1.bin").unlink()
    write(tmp_path, write_sheet)
    (tmp_path / "test_lables.json").write_text("[1, 2")
    with pytest.raises(UserError, match=r"test_lables\.json"):
        read_cifar10(tmp_path)
    Image.new("RGB", (33, 5)).save(tmp_path / "data_batch_5.png")
    with pytest.raises(UserError, match="5x33 pixels"):
        read_cifar10(tmp_path)


@settings(max_examples=8, deadline=None)
@given(height=st.integers(32, 70), width=st.integers(32, 70), seed=st.integers(0, 50))
def test_single_digits_have_any_size_and_depend_on_seed_and_index_only(height, width, seed):
    one, other = (DigitImages("val", count, (height, width), seed) for count in (3, 5))
    for index in (2, 0):
        image, target = one[index]
        assert image.shape == (3, height, width) and image.dtype == torch.uint8
        assert 0 <= int(target["label"]) < 10 and target["label"].dtype == torch.int64
        assert image.equal(other[index][0]) and target["label"].equal(other[index][1]["label"])
    assert not one[0][0].equal(one[1][0])


def test_augmented_classes_keep_their_label_and_change_with_the_epoch():
    config = AugmentConfig(jitter=0.2, scale=0.1, translate=0.125, flip=True, zoom_out=0.5, distort=True)
    images = DigitImages("train", 4, (32, 32))
    augmented = Augmented(images, config, 7)
    first = [augmented[i] for i in range(4)]
    assert all(a["label"].equal(images[i][1]["label"]) for i, (_, a) in enumerate(first))
    assert all(image.shape == (3, 32, 32) and image.dtype == torch.uint8 for image, _ in first)
    augmented.set_epoch(1)
    assert not all(augmented[i][0].equal(first[i][0]) for i in range(4))
    augmented.set_epoch(0)
    assert all(augmented[i][0].equal(first[i][0]) for i in range(4))


@pytest.mark.parametrize("source", [{"source": "folders", "path": "x"}, {"source": "digit_images"},
                                    {"source": "cifar10", "path": "x"}])  # fmt: skip
def test_patches_by_boxes_need_boxes(source):
    with pytest.raises(ValueError, match="crop must be false"):
        ADAPTER.validate_python({**source, "augment": {"crop": True}})
    with pytest.raises(ValueError, match="flip must be false"):
        ADAPTER.validate_python({"source": "digit_images", "augment": {"flip": True}})
