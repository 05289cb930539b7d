import io
import logging

import numpy as np
import pytest
import torch
from PIL import Image
from pydantic import TypeAdapter
from rich.console import Console

from hwprune.data import progress
from hwprune.data.config import DataConfig
from hwprune.data.dataset import LetterboxedImages, open_dataset
from hwprune.data.problems import Problem, log_problems
from hwprune.errors import UserError


def _open(**text):
    return open_dataset(TypeAdapter(DataConfig).validate_python(text))


@pytest.fixture
def hands(tmp_path):
    """Ten images of 100 wide and 50 high, each with a white block and its box, in YOLO's layout; one label is bad."""
    for number in range(10):
        pixels = np.zeros((50, 100, 3), np.uint8)
        pixels[10:30, 20:60] = 255
        for folder in ("images", "labels"):
            (tmp_path / folder).mkdir(exist_ok=True)
        Image.fromarray(pixels).save(tmp_path / "images" / f"{'val' if number < 3 else 'train'}_{number}.png")
        name = f"{'val' if number < 3 else 'train'}_{number}.txt"
        (tmp_path / "labels" / name).write_text("0 0.4 0.4 0.4 0.4\n" + ("0 0.5\n" if number == 5 else ""))
    return tmp_path


def _hands(root, **more):
    return _open(source="yolo", path=str(root), classes=["hand"], image_size=[64, 64],
                 split={"rule": "prefix", "val": ["val_"]}, **more)  # fmt: skip


def test_digits():
    splits = _open(source="digits", train=4, val=2, image_size=[64, 96], seed=7)
    assert (len(splits.train), len(splits.val)) == (4, 2)
    assert splits.classes == splits.train.classes == splits.val.classes == tuple("0123456789")
    assert splits.train[0][0].shape == (3, 64, 96)
    assert splits.problems == ()


@pytest.mark.parametrize("cache_mib", [0, 1])
def test_boxes_lie_on_the_pixels_after_letterboxing(hands, cache_mib):
    splits = _hands(hands, cache_mib=cache_mib)
    assert (len(splits.train), len(splits.val), splits.classes) == (7, 3, ("hand",))
    for dataset in (splits.train, splits.val, splits.train):  # the third pass comes from the cache
        for index in range(len(dataset)):
            image, target = dataset[index]
            assert (image.dtype, image.shape) == (torch.uint8, (3, 64, 64))
            assert target["boxes"].dtype == torch.float32
            assert target["labels"].tolist() == [0]
            rows, columns = np.nonzero(image.float().mean(0).numpy() > 200)
            seen = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
            np.testing.assert_allclose(target["boxes"][0], seen, atol=1)


def test_problems_are_kept_and_logged(hands, caplog):
    with caplog.at_level(logging.WARNING):
        splits = _hands(hands)
    (problem,) = splits.problems
    assert splits.train.problems == splits.val.problems == splits.problems
    assert (problem.file.name, problem.line) == ("train_5.txt", 2)
    assert "1 problem\n" in caplog.text
    assert "train_5.txt:2: 2 fields instead of 5" in caplog.text


def test_preload_fills_the_cache_and_no_more(hands):
    splits = _hands(hands)
    splits.train.preload()
    before = [splits.train[index][0] for index in range(7)]
    for path in (hands / "images").iterdir():
        path.unlink()
    assert all(torch.equal(splits.train[index][0], before[index]) for index in range(7))
    partly = LetterboxedImages(splits.train.records, ("hand",), (64, 64), cached=0)
    partly.preload()  # nothing to do
    with pytest.raises(UserError, match=r"train_3\.png: cannot be read any more"):
        partly[0]


def test_the_cache_is_bounded(hands):
    # 64 * 64 * 3 bytes an image: 85 fit into 1 MiB, none into 0.
    assert [_hands(hands, cache_mib=mib).train.cached for mib in (0, 1)] == [0, 7]
    large = _open(source="yolo", path=str(hands), classes=["hand"], image_size=[416, 416], cache_mib=2,
                  split={"rule": "prefix", "val": ["val_"]})  # fmt: skip
    assert (large.train.cached + large.val.cached) * 416 * 416 * 3 <= 2 << 20
    assert large.train.cached > 0


def test_an_image_changed_since_opening_is_refused(hands):
    splits = _hands(hands)
    Image.new("RGB", (30, 30)).save(hands / "images" / "val_0.png")
    with pytest.raises(UserError, match=r"val_0\.png: has changed its size"):
        splits.val[0]


def test_changing_a_sample_does_not_change_the_set(hands):
    dataset = _hands(hands).train
    image, target = dataset[0]
    image.zero_()
    target["boxes"].zero_()
    target["labels"].fill_(9)
    again, target = dataset[0]
    assert again.max() == 255
    assert target["boxes"].max() > 0
    assert target["labels"].tolist() == [0]


def test_index_beyond_the_end(hands):
    dataset = _hands(hands).val
    assert len(list(dataset)) == 3
    with pytest.raises(IndexError):
        dataset[-1]


def test_an_empty_side_is_refused(hands):
    with pytest.raises(UserError, match="leaves no image for validation out of 10"):
        _open(source="yolo", path=str(hands), classes=["hand"], split={"rule": "prefix", "val": ["film"]})


def test_lines_of_a_list_that_name_nothing_are_told(hands):
    listed = hands / "val.txt"
    listed.write_text("val_0\nnobody\n")
    splits = _open(source="yolo", path=str(hands), classes=["hand"], split={"rule": "list", "val": str(listed)})
    assert [(problem.file, problem.line) for problem in splits.problems if problem.file == listed] == [(listed, 2)]


def test_summary_shows_ten_and_the_count(caplog, tmp_path):
    problems = [Problem(tmp_path / f"{number}.txt", number, "wrong") for number in range(1, 14)]
    with caplog.at_level(logging.WARNING):
        log_problems(problems, "there")
        log_problems([], "here")
    (record,) = caplog.records
    lines = record.getMessage().splitlines()
    assert lines[0] == "there: 13 problems"
    assert len(lines) == 12
    assert lines[10].endswith("10.txt:10: wrong")
    assert lines[11] == "  ... and 3 more"


def test_bar_appears_only_where_there_is_something_to_wait_for(monkeypatch):
    class Clock:
        now = 0.0

        def monotonic(self):
            self.now += 1.0
            return self.now

    def shown(count, terminal=True):
        screen = io.StringIO()
        monkeypatch.setattr(progress, "time", Clock())
        monkeypatch.setattr(progress, "Console", lambda **_: Console(file=screen, force_terminal=terminal))
        assert list(progress.track_slow(range(count), "counting", count)) == list(range(count))
        return screen.getvalue()

    assert shown(2) == ""
    assert "counting" in shown(6)
    assert shown(6, terminal=False) == ""
