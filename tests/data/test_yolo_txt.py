import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hwprune.data.yolo_txt import read_yolo
from hwprune.errors import UserError

SIZE = (48, 64)
boxes = st.tuples(st.integers(0, 2), st.integers(0, 60), st.integers(0, 44), st.integers(1, 64), st.integers(1, 48))
same_folder = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def _label(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text) if isinstance(text, str) else path.write_bytes(text)
    return path


@pytest.fixture
def yolo(tmp_path, picture):
    """A folder with one good image, `images/good.png`, to which a test adds others."""

    def add(name, text, image=True):
        if image:
            picture(tmp_path / "images" / f"{name}.png", *SIZE)
        if text is not None:
            _label(tmp_path / "labels" / f"{name}.txt", text)

    add("good", "1 0.5 0.5 0.5 0.25\n")
    return tmp_path, add


def _told(read, name):
    return [(problem.line, problem.message) for problem in read.problems if problem.file.name == name]


def test_known_boxes(yolo):
    root, _ = yolo
    read = read_yolo(root, ["a", "b"])
    (record,) = read.records
    assert (record.name, record.size, read.classes, read.problems) == ("images/good.png", SIZE, ("a", "b"), ())
    # By hand: centre (32, 24), 32 wide and 12 high.
    np.testing.assert_array_equal(record.boxes, np.array([[16, 18, 48, 30]], np.float32))
    np.testing.assert_array_equal(record.labels, [1])
    assert (record.boxes.dtype, record.labels.dtype) == (np.float32, np.int64)


@same_folder
@given(st.lists(boxes, min_size=1, max_size=6))
def test_what_is_written_is_read(yolo, objects):
    root, _ = yolo
    height, width = SIZE
    expected, lines = [], []
    for label, x0, y0, w, h in objects:
        x1, y1 = min(x0 + w, width), min(y0 + h, height)
        expected.append([x0, y0, x1, y1])
        centre = (x0 + x1) / 2 / width, (y0 + y1) / 2 / height
        lines.append(f"{label} {centre[0]:.6f} {centre[1]:.6f} {(x1 - x0) / width:.6f} {(y1 - y0) / height:.6f}")
    _label(root / "labels" / "good.txt", "\n".join(lines))
    read = read_yolo(root, "abc")
    np.testing.assert_allclose(read.records[0].boxes, expected, atol=1e-3)
    assert read.records[0].labels.tolist() == [label for label, *_ in objects]
    assert read.problems == ()


@same_folder
@given(st.one_of(st.binary(max_size=80), st.text("0123456789.-+e \nainf_,", max_size=80)))
def test_no_line_is_fatal_or_silent(yolo, text):
    root, add = yolo
    add("strange", text)
    read = read_yolo(root, ["a", "b"])
    strange = [record for record in read.records if record.name == "images/strange.png"]
    boxes = strange[0].boxes if strange else np.zeros((0, 4))
    content = text if isinstance(text, str) else text.decode("utf-8-sig", "replace")
    lines = sum(bool(line.strip()) for line in content.splitlines())
    assert np.isfinite(boxes).all()
    if len(boxes) < lines or not strange:
        assert _told(read, "strange.txt")


def test_an_empty_label_is_an_image_without_objects(yolo):
    root, add = yolo
    add("nothing", "")
    add("blank", "\n  \n")
    read = read_yolo(root, ["a", "b"])
    assert [(r.name, r.boxes.shape, r.labels.shape) for r in read.records if "good" not in r.name] == [
        ("images/blank.png", (0, 4), (0,)),
        ("images/nothing.png", (0, 4), (0,)),
    ]
    assert read.problems == ()


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("0 0.5 0.5 0.1", "4 fields instead of 5"),
        ("0 0.5 0.5 0.1 0.1 0.9", "6 fields"),
        ("0 0.5 zero 0.1 0.1", "not five numbers"),
        ("2 0.5 0.5 0.1 0.1", "class 2 is none of 0 to 1"),
        ("-1 0.5 0.5 0.1 0.1", "class -1"),
        ("0.5 0.5 0.5 0.1 0.1", "class 0.5"),
        ("nan 0.5 0.5 0.1 0.1", "class nan"),
        ("0 nan 0.5 0.1 0.1", "not finite"),
        ("0 0.5 0.5 0 0.1", "no area"),
        ("0 0.5 0.5 0.1 -0.1", "no area"),
        ("0 1.5 0.5 0.1 0.1", "lies outside"),
        ("0 1.0 0.5 0.3 0.1", "reaches out"),
    ],
)
def test_bad_lines_are_told_and_the_others_kept(yolo, line, told):
    root, add = yolo
    add("mixed", f"0 0.5 0.5 0.1 0.1\n{line}\n1 0.25 0.25 0.1 0.1\n")
    read = read_yolo(root, ["a", "b"])
    ((number, message),) = _told(read, "mixed.txt")
    assert number == 2
    assert told in message
    (mixed,) = (record for record in read.records if "mixed" in record.name)
    kept = [0, 1] if "reaches out" not in told else [0, 0, 1]
    assert mixed.labels.tolist() == kept


def test_an_image_with_bad_lines_only_is_skipped(yolo):
    root, add = yolo
    add("bad", "0 0.5\n")
    read = read_yolo(root, ["a", "b"])
    assert [record.name for record in read.records] == ["images/good.png"]
    assert [line for line, _ in _told(read, "bad.txt")] == [1, None]


def test_missing_partners(yolo):
    root, add = yolo
    add("lonely", None)
    add("orphan", "0 0.5 0.5 0.1 0.1", image=False)
    read = read_yolo(root, ["a", "b"])
    assert len(read.records) == 1
    assert "no label labels/lonely.txt: skipped" in _told(read, "lonely.png")[0][1]
    assert _told(read, "orphan.txt") == [(None, "no image of this name: skipped")]


def test_broken_images(yolo):
    root, add = yolo
    for name in ("short", "text"):
        add(name, "0 0.5 0.5 0.1 0.1")
    short, text = root / "images" / "short.png", root / "images" / "text.png"
    short.write_bytes(short.read_bytes()[:-400])
    text.write_text("no image")
    read = read_yolo(root, ["a", "b"])
    assert [record.name for record in read.records] == ["images/good.png"]
    assert "broken image" in _told(read, "short.png")[0][1]
    assert "no image of a known format" in _told(read, "text.png")[0][1]


def test_two_images_of_one_name(yolo, picture):
    root, _ = yolo
    picture(root / "images" / "good.jpg", *SIZE)
    read = read_yolo(root, ["a", "b"])
    assert [record.name for record in read.records] == ["images/good.jpg"]
    assert "belongs to good.jpg" in _told(read, "good.png")[0][1]


def test_side_by_side_and_nested_folders(tmp_path, picture):
    picture(tmp_path / "photos" / "a.jpg")
    _label(tmp_path / "photos" / "a.txt", "0 0.5 0.5 0.2 0.2")
    _label(tmp_path / "photos" / "b.txt", "0 0.5 0.5 0.2 0.2")
    picture(tmp_path / "set" / "train" / "images" / "a.jpg")
    _label(tmp_path / "set" / "train" / "labels" / "a.txt", "0 0.5 0.5 0.2 0.2")
    picture(tmp_path / "images" / "val" / "a.jpg")
    _label(tmp_path / "labels" / "val" / "a.txt", "0 0.5 0.5 0.2 0.2")
    _label(tmp_path / "SOURCE.txt", "not a label")
    _label(tmp_path / "photos" / "classes.txt", "dot\n")
    read = read_yolo(tmp_path, ["dot"])
    assert [r.name for r in read.records] == ["images/val/a.jpg", "photos/a.jpg", "set/train/images/a.jpg"]
    assert [problem.file.name for problem in read.problems] == ["b.txt"]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("classes.txt", "cat\n the dog \n\n"),
        ("labels/classes.txt", "\ufeffcat\r\nthe dog\r\n"),
        ("obj.names", "cat\nthe dog"),
        ("data.yaml", "nc: 2\nnames: [cat, the dog]\n"),
        ("data.yaml", "names:\n  1: the dog\n  0: cat\n"),
    ],
)
def test_names_files(yolo, name, text):
    root, _ = yolo
    _label(root / name, text)
    read = read_yolo(root)
    assert read.classes == ("cat", "the dog")
    assert read.problems == ()


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("data.yaml", "names: {0: cat, 2: dog}", "names: numbers"),
        ("data.yaml", "names: cat", "no list of class names"),
        ("data.yaml", "[1, 2", "cannot be read"),
        ("data.yaml", "nc: 2", "no list of class names"),
        ("classes.txt", "", "missing, empty or twice"),
        ("classes.txt", "cat\n\ndog", "missing, empty or twice"),
        ("classes.txt", "cat\ncat", "missing, empty or twice"),
        ("classes.txt", b"\xff\xfe\xfd", "cannot be read"),
    ],
)
def test_wrong_names_files(yolo, name, text, told):
    root, _ = yolo
    _label(root / name, text)
    with pytest.raises(UserError, match=name) as error:
        read_yolo(root)
    assert told in str(error.value)


def test_no_names(yolo):
    with pytest.raises(UserError, match=r"data\.classes: .* has no file of class names"):
        read_yolo(yolo[0])


def test_nothing_usable(tmp_path, picture):
    with pytest.raises(UserError, match="0 usable images"):
        read_yolo(tmp_path, ["a"])
    picture(tmp_path / "a.jpg")
    with pytest.raises(UserError, match=r"the first of 1 problems: .*a\.jpg: no label"):
        read_yolo(tmp_path, ["a"])
    _label(tmp_path / "a.txt", "")
    with pytest.raises(UserError, match="1 usable images and no usable object"):
        read_yolo(tmp_path, ["a"])
    with pytest.raises(UserError, match="does not exist"):
        read_yolo(tmp_path / "nowhere", ["a"])
