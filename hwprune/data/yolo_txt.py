"""Images with YOLO text labels (darknet's): a line an object, ``class cx cy width height`` as shares of the image."""

from collections.abc import Sequence
from pathlib import Path

import yaml

from hwprune.data.images import SUFFIXES, BrokenImageError, check_image, find_files
from hwprune.data.problems import Problem
from hwprune.data.progress import track_slow
from hwprune.data.records import Box, ImageRecord, Labelled, data_folder, fit_box
from hwprune.errors import UserError

NAMES_FILES = ("data.yaml", "data.yml", "dataset.yaml", "classes.txt", "obj.names", "labels/classes.txt")
"""Where class names are looked for, in this order."""


def read_yolo(root: Path, classes: Sequence[str] | None = None) -> Labelled:
    """Read a data set with YOLO labels.

    The label of ``.../images/.../a.jpg`` is ``.../labels/.../a.txt``; that of an image in no folder called ``images``
    lies beside it. An empty label file says that the image shows no object. What cannot be used is skipped and told in
    ``problems``: an image without label, a label without image, a broken image, an unreadable line, a class that has
    no name, a box without area or outside the image (see `fit_box`). An image none of whose lines can be used is
    skipped too, for it is not an image without objects.

    Parameters
    ----------
    root
        The data set's folder.
    classes
        Names of classes 0, 1, ...; by default those of the first of `NAMES_FILES` in ``root``.

    Raises
    ------
    UserError
        If the folder or the names are missing or wrong, or no object can be used.
    """
    root = data_folder(Path(root))
    names_file = next((root / name for name in NAMES_FILES if (root / name).is_file()), None)
    if classes is None:
        classes = _class_names(root, names_file)
    files = find_files(root)
    images = [path for path in files if path.suffix.lower() in SUFFIXES]
    labels = {path for path in files if path.suffix == ".txt" and path.name != "classes.txt"}
    wanted: dict[Path, Path] = {}
    problems: list[Problem] = []
    for image in images:
        label = _label_path(image, root)
        if label in wanted:
            problems.append(Problem(image, None, f"its label belongs to {wanted[label].name} already: skipped"))
        elif label not in labels:
            message = f"no label {label.relative_to(root)}: skipped (an empty one would say that it shows no object)"
            problems.append(Problem(image, None, message))
        else:
            wanted[label] = image
    beside = {image.parent for image in images if "images" not in image.relative_to(root).parts[:-1]}
    for label in sorted(labels - wanted.keys()):
        if "labels" in label.relative_to(root).parts[:-1] or label.parent in beside:
            problems.append(Problem(label, None, "no image of this name: skipped"))

    records = []
    for label, image in track_slow(wanted.items(), "reading labels", len(wanted)):
        try:
            size = check_image(image)
        except BrokenImageError as error:
            problems.append(Problem(image, None, f"broken image, skipped: {error}"))
            continue
        found = _read_label(label, size, len(classes), problems)
        if found is not None:
            records.append(ImageRecord.make(image, root, size, *found))
    return Labelled(root, tuple(classes), tuple(records), tuple(problems))


def _label_path(image: Path, root: Path) -> Path:
    parts = list(image.relative_to(root).with_suffix(".txt").parts)
    folders = parts[:-1]
    if "images" in folders:
        last = len(folders) - 1 - folders[::-1].index("images")
        parts[last] = "labels"
    return root.joinpath(*parts)


def _read_label(
    path: Path, size: tuple[int, int], classes: int, problems: list[Problem]
) -> tuple[list[Box], list[int]] | None:
    """Boxes in pixels and labels of one file; None if it has lines and not one of them can be used."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        problems.append(Problem(path, None, f"unreadable label, its image is skipped: {error}"))
        return None
    boxes, labels, refused = [], [], 0
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            label, box = _read_line(line, size, classes)
        except ValueError as error:
            problems.append(Problem(path, number, f"{error}: skipped"))
            refused += 1
            continue
        box, message = fit_box(box, *size)
        if message:
            problems.append(Problem(path, number, message))
        if box is None:
            refused += 1
            continue
        boxes.append(box)
        labels.append(label)
    if refused and not boxes:
        problems.append(Problem(path, None, "no line can be used: its image is skipped"))
        return None
    return boxes, labels


def _read_line(line: str, size: tuple[int, int], classes: int) -> tuple[int, Box]:
    fields = line.split()
    if len(fields) != 5:
        raise ValueError(f"{len(fields)} fields instead of 5 (class cx cy width height)")
    try:
        values = [float(field) for field in fields]
    except ValueError:
        raise ValueError(f"not five numbers: {line.strip()[:80]!r}") from None
    label, cx, cy, w, h = values
    if not label.is_integer() or not 0 <= label < classes:
        raise ValueError(f"class {fields[0]} is none of 0 to {classes - 1}")
    height, width = size
    return int(label), ((cx - w / 2) * width, (cy - h / 2) * height, (cx + w / 2) * width, (cy + h / 2) * height)


def _class_names(root: Path, path: Path | None) -> list[str]:
    if path is None:
        raise UserError(
            f"data.classes: {root} has no file of class names ({', '.join(NAMES_FILES)}); add one, or give "
            "`classes: [...]` in the recipe"
        )
    try:
        text = path.read_text(encoding="utf-8-sig")
        names = yaml.safe_load(text) if path.suffix in (".yaml", ".yml") else text.split("\n")
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UserError(f"{path}: class names cannot be read: {error}") from None
    if path.suffix in (".yaml", ".yml"):
        names = names.get("names") if isinstance(names, dict) else None
        if isinstance(names, dict):
            if set(names) != set(range(len(names))):
                raise UserError(f"{path}: names: numbers {list(names)[:20]} are not 0, 1, 2, ...; number them so")
            names = [names[index] for index in range(len(names))]
        if not isinstance(names, list) or not all(isinstance(name, str | int) for name in names):
            raise UserError(f"{path}: names: is no list of class names; write `names: [first, second]`")
    names = [str(name).strip() for name in names]
    while names and not names[-1]:
        names.pop()
    if not names or "" in names or len(set(names)) < len(names):
        raise UserError(f"{path}: class names {names[:20]} are missing, empty or twice there; give each class one name")
    return names
