import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hwprune.data.voc_xml import read_voc
from hwprune.errors import UserError

SIZE = (48, 64)
names = st.sampled_from(["cat", "dog", "a < b & c", "물고기"])
boxes = st.tuples(names, st.integers(1, 60), st.integers(1, 44), st.integers(1, 63), st.integers(1, 47))
same_folder = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def _object(name, box, difficult=None):
    from xml.sax.saxutils import escape

    corners = "".join(f"<{k}>{v}</{k}>" for k, v in zip(("xmin", "ymin", "xmax", "ymax"), box, strict=True))
    hard = "" if difficult is None else f"<difficult>{difficult}</difficult>"
    return f"<object>\n<name>{escape(name)}</name>{hard}\n<bndbox>{corners}</bndbox></object>\n"


def _annotation(*objects, size=SIZE):
    stated = f"<size><width>{size[1]}</width><height>{size[0]}</height><depth>3</depth></size>\n" if size else ""
    return f"<annotation>\n{stated}{''.join(objects)}</annotation>"


@pytest.fixture
def voc(tmp_path, picture):
    """A folder with one good image, `JPEGImages/good.png`, to which a test adds others."""

    def add(name, text, image=True):
        if image:
            picture(tmp_path / "JPEGImages" / f"{name}.png", *SIZE)
        if text is not None:
            path = tmp_path / "Annotations" / f"{name}.xml"
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8") if isinstance(text, str) else path.write_bytes(text)

    add("good", _annotation(_object("cat", (11, 21, 30, 40))))
    return tmp_path, add


def _told(read, name):
    return [(problem.line, problem.message) for problem in read.problems if problem.file.name == name]


def _record(read, name):
    return next((record for record in read.records if record.name == f"JPEGImages/{name}.png"), None)


def test_pixels_count_from_one(voc):
    read = read_voc(voc[0])
    assert (read.classes, read.problems) == (("cat",), ())
    # Pixels 11 to 30 of a row are the span from 10 to 30.
    np.testing.assert_array_equal(_record(read, "good").boxes, np.array([[10, 20, 30, 40]], np.float32))
    assert _record(read, "good").size == SIZE


@same_folder
@given(st.lists(boxes, min_size=1, max_size=5))
def test_what_is_written_is_read(voc, objects):
    root, add = voc
    placed = [(n, (x, y, min(x + w, 64), min(y + h, 48))) for n, x, y, w, h in objects]
    add("good", _annotation(*(_object(*item) for item in placed)))
    read = read_voc(root)
    assert read.classes == tuple(sorted({name for name, _ in placed}))
    record = _record(read, "good")
    np.testing.assert_array_equal(record.boxes, [[x0 - 1, y0 - 1, x1, y1] for _, (x0, y0, x1, y1) in placed])
    assert [read.classes[label] for label in record.labels] == [name for name, _ in placed]
    assert read.problems == ()


@same_folder
@given(st.one_of(st.binary(max_size=60), st.text("<>/=\"'&; anotiszewdh", max_size=60)))
def test_no_file_is_fatal_or_silent(voc, text):
    root, add = voc
    add("strange", text)
    read = read_voc(root)
    assert _record(read, "good") is not None
    assert _told(read, "strange.xml")


def test_boxes_in_the_pixels_of_the_original(voc):
    """The image is a copy at a quarter of the size that the annotation states."""
    root, add = voc
    add("good", _annotation(_object("cat", (41, 81, 120, 160)), size=(192, 256)))
    read = read_voc(root)
    np.testing.assert_allclose(_record(read, "good").boxes, [[10, 20, 30, 40]])


def test_copy_whose_sides_shrank_differently(voc):
    root, add = voc
    add("good", _annotation(_object("cat", (1, 1, 50, 100)), size=(100, 100)))
    np.testing.assert_allclose(_record(read_voc(root), "good").boxes, [[0, 0, 32, 48]])


@pytest.mark.parametrize("size", [None, (0, 0)])
def test_no_size_stated(voc, size):
    root, add = voc
    add("good", _annotation(_object("cat", (11, 21, 30, 40)), size=size))
    read = read_voc(root)
    np.testing.assert_array_equal(_record(read, "good").boxes, [[10, 20, 30, 40]])
    assert "states no size" in _told(read, "good.xml")[0][1]


def test_turned_image_is_skipped(voc):
    root, add = voc
    add("turned", _annotation(_object("cat", (11, 21, 30, 40)), size=SIZE[::-1]))
    read = read_voc(root)
    assert _record(read, "turned") is None
    assert "states 48x64 pixels, the image has 64x48, turned" in _told(read, "turned.xml")[0][1]


def test_difficult_objects(voc):
    root, add = voc
    add("mixed", _annotation(_object("cat", (1, 1, 9, 9), 0), _object("cat", (11, 11, 19, 19), 1)))
    add("hard", _annotation(_object("dog", (1, 1, 9, 9), 1)))
    read = read_voc(root)
    assert read.classes == ("cat",)
    assert [len(_record(read, name).labels) for name in ("mixed", "hard")] == [1, 0]
    kept = read_voc(root, difficult=True)
    assert kept.classes == ("cat", "dog")
    assert [len(_record(kept, name).labels) for name in ("mixed", "hard")] == [2, 1]
    assert read.problems == kept.problems == ()


def test_no_object_is_an_image_without_objects(voc):
    root, add = voc
    add("empty", _annotation())
    read = read_voc(root)
    assert _record(read, "empty").boxes.shape == (0, 4)
    assert read.problems == ()


@pytest.mark.parametrize(
    ("bad", "told"),
    [
        (_object("dog", (20, 20, 20, 30)), "no area"),  # the two of BCCD
        (_object("dog", (30, 20, 20, 30)), "no area"),
        (_object("dog", (200, 20, 220, 30)), "lies outside"),
        (_object("dog", (50, 20, 70, 30)), "reaches out"),
        (_object("dog", (5, 5, "nan", 30)), "not finite"),
        (_object("dog", (5, 5, "wide", 30)), "without a bndbox"),
        (_object("", (5, 5, 20, 30)), "without a name"),
        ("<object><name>dog</name></object>", "without a bndbox"),
    ],
)
def test_bad_objects_are_told_with_their_line(voc, bad, told):
    root, add = voc
    add("mixed", _annotation(_object("dog", (1, 1, 9, 9)), bad, _object("cat", (5, 5, 19, 19))))
    read = read_voc(root)
    ((line, message),) = _told(read, "mixed.xml")
    assert line == 6  # <annotation>, <size>, three lines of the first object
    assert told in message
    kept = 3 if "reaches out" in told else 2
    assert len(_record(read, "mixed").labels) == kept


def test_an_image_with_bad_objects_only_is_skipped(voc):
    root, add = voc
    add("bad", _annotation(_object("cat", (20, 20, 20, 30))))
    read = read_voc(root)
    assert _record(read, "bad") is None
    assert len(_told(read, "bad.xml")) == 2


@pytest.mark.parametrize(
    "text",
    ["", "<annotation>", "<annotation></size>", '<?xml version="1.0" encoding="martian"?><annotation/>', b"\xff\x00"],
)
def test_unreadable_xml(voc, text):
    root, add = voc
    add("broken", text)
    read = read_voc(root)
    assert _record(read, "broken") is None
    assert "unreadable XML" in _told(read, "broken.xml")[0][1]


def test_entities_do_not_unfold_without_end(voc):
    root, add = voc
    entities = '<!ENTITY a0 "0123456789">' + "".join(f'<!ENTITY a{i} "{f"&a{i - 1};" * 10}">' for i in range(1, 12))
    add("bomb", f"<!DOCTYPE annotation [{entities}]><annotation>&a11;</annotation>")
    assert "unreadable XML" in _told(read_voc(root), "bomb.xml")[0][1]


def test_missing_partners_and_broken_images(voc):
    root, add = voc
    add("lonely", None)
    add("orphan", _annotation(_object("cat", (1, 1, 9, 9))), image=False)
    add("short", _annotation(_object("cat", (1, 1, 9, 9))))
    short = root / "JPEGImages" / "short.png"
    short.write_bytes(short.read_bytes()[:-400])
    read = read_voc(root)
    assert len(read.records) == 1
    assert _told(read, "lonely.png") == [(None, "no annotation: skipped")]
    assert _told(read, "orphan.xml") == [(None, "no image: skipped")]
    assert "broken image" in _told(read, "short.png")[0][1]


def test_given_classes(voc):
    root, add = voc
    add("zoo", _annotation(*(_object(name, (1, 1, 9, 9)) for name in ("dog", "emu", "emu", "cat"))))
    read = read_voc(root, ["dog", "cat", "yak"])
    assert read.classes == ("dog", "cat", "yak")
    assert _record(read, "zoo").labels.tolist() == [0, 1]
    assert [problem.message for problem in read.problems] == [
        "class 'emu' is not among the given ones: 2 objects left out, this is the first",
        "no object of class 'yak'",
    ]
    assert read.problems[0].line == 6


def test_folders_around_and_masks_beside(tmp_path, voc, picture):
    """VOC's whole tree: the data set is found from above it, and masks with the images' names are no images."""
    root, _ = voc
    picture(root / "SegmentationClass" / "good.png", *SIZE)
    assert len(read_voc(root).records) == 1
    assert read_voc(root).problems == ()
    above = tmp_path / "devkit"
    (above / "VOC2007").mkdir(parents=True)
    for name in ("JPEGImages", "Annotations", "SegmentationClass"):
        (root / name).rename(above / "VOC2007" / name)
    assert [record.name for record in read_voc(above).records] == ["VOC2007/JPEGImages/good.png"]


def test_side_by_side(tmp_path, picture):
    picture(tmp_path / "train" / "a.jpg", *SIZE)
    (tmp_path / "train" / "a.xml").write_text(_annotation(_object("cat", (1, 1, 9, 9))))
    assert [record.name for record in read_voc(tmp_path).records] == ["train/a.jpg"]


def test_nothing_usable(tmp_path, picture):
    with pytest.raises(UserError, match="0 usable images"):
        read_voc(tmp_path)
    picture(tmp_path / "JPEGImages" / "a.jpg")
    with pytest.raises(UserError, match=r"the first of 1 problems: .*a\.jpg: no annotation"):
        read_voc(tmp_path)
