"""The readers on real data; each test skips, and says so, where its pack is absent."""

from collections import Counter

import numpy as np
import pytest

from hwprune.data.config import VocData, YoloData
from hwprune.data.dataset import open_dataset
from hwprune.data.split import ListSplit, PrefixSplit
from hwprune.data.voc_xml import read_voc


def test_blood_cells(pack):
    """364 images, 4888 boxes, of which two have no area."""
    root = pack("bccd")
    read = read_voc(root)
    assert read.classes == ("Platelets", "RBC", "WBC")
    assert len(read.records) == 364
    assert sum(len(record.labels) for record in read.records) == 4888 - 2
    assert [problem.file.stem for problem in read.problems] == ["BloodImage_00338", "BloodImage_00343"]
    for problem in read.problems:
        assert "<object>" in problem.file.read_text().splitlines()[problem.line - 1]
        assert "no area" in problem.message


def test_blood_cells_by_their_own_list(pack):
    root = pack("bccd") / "BCCD"
    listed = root / "ImageSets" / "Main" / "val.txt"
    splits = open_dataset(VocData(source="voc", path=root, image_size=(96, 128), split=ListSplit(val=listed)))
    assert len(splits.val) == len(listed.read_text().split())
    assert len(splits.train) + len(splits.val) == 364
    image, target = splits.val[0]
    assert image.shape == (3, 96, 128)
    # 640x480 fills 128x96 whole; white cells are stained dark: darker than the picture as a whole.
    dark = []
    for index in range(len(splits.val)):
        image, target = splits.val[index]
        for box in target["boxes"][target["labels"] == 2].round().int().tolist():
            middle = image[1, box[1] : box[3], box[0] : box[2]].float()
            dark.append(float(middle.mean() < image[1].float().mean()))
    assert np.mean(dark) > 0.9


def test_hands(pack):
    root = pack("oxford_hand_416_q80")
    config = YoloData(
        source="yolo", path=root, classes=("hand",), image_size=(96, 96), split=PrefixSplit(val=("VOC2007_",))
    )
    splits = open_dataset(config)
    assert (len(splits.train), len(splits.val)) == (4069 - 820, 820)
    assert sum(len(record.labels) for side in (splits.train, splits.val) for record in side.records) == 9163
    assert splits.problems == ()
    for index in (0, len(splits.val) - 1):
        image, target = splits.val[index]
        assert image.shape == (3, 96, 96)
        assert len(target["boxes"]) > 0


def test_voc2007(pack):
    """Boxes of the test set, in pixels of the originals; the images are copies of at most 320 pixels."""
    root = pack("voc2007test_320_q80")
    read = read_voc(root)
    assert len(read.records) == 4952
    assert len(read.classes) == 20
    assert read.problems == ()
    # As the VOC 2007 development kit counts the test set: 4528 persons and 1201 cars that are not difficult.
    counts = Counter(read.classes[label] for record in read.records for label in record.labels)
    assert sum(counts.values()) == 14976 - 2944
    assert (counts["person"], counts["car"]) == (4528, 1201)
    for record in read.records:
        height, width = record.size
        assert max(record.size) <= 320
        assert (record.boxes[:, :2] >= 0).all()
        assert (record.boxes[:, 2] <= width + 1e-3).all()
        assert (record.boxes[:, 3] <= height + 1e-3).all()
    # The first annotation: the dog's xmin 48, ymin 240, xmax 195, ymax 371 in an original of 353x500.
    first = next(record for record in read.records if record.path.stem == "000001")
    dog = first.boxes[first.labels == read.classes.index("dog")][0]
    scale = np.array([first.size[1] / 353, first.size[0] / 500] * 2)
    assert dog == pytest.approx(np.array([47, 239, 195, 371]) * scale, abs=1e-3)
