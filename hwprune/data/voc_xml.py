"""Images with PASCAL VOC annotations: an XML file an image (Everingham et al., "The PASCAL VOC Challenge", 2010)."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

from hwprune.data.images import SUFFIXES, BrokenImageError, check_image, find_files
from hwprune.data.problems import Problem
from hwprune.data.progress import track_slow
from hwprune.data.records import Box, ImageRecord, Labelled, data_folder, fit_box

IMAGE_FOLDERS = frozenset({"JPEGImages", "images"})
LABEL_FOLDERS = frozenset({"Annotations", "annotations"})

_LINE = "line"  # attribute that holds an element's line; VOC's own elements have no attributes


class _Object(NamedTuple):
    name: str
    box: Box
    difficult: bool
    place: Problem


def read_voc(root: Path, classes: Sequence[str] | None = None, difficult: bool = False) -> Labelled:
    """Read a data set with PASCAL VOC annotations.

    ``.../Annotations/a.xml`` belongs to ``.../JPEGImages/a.jpg`` or ``.../images/a.jpg``; without such folders, to the
    image beside it. Boxes are in pixels of the size that the annotation states and are scaled to the image's own, so
    that images may be resized copies. VOC counts pixels from 1 and a box holds its last one: the corners read are
    ``xmin - 1, ymin - 1, xmax, ymax``.

    What cannot be used is skipped and told in ``problems``: a missing partner, a broken image or XML, an object
    without name or box, a box without area (``xmin == xmax`` too) or outside the image (see `fit_box`), an object
    whose class is not among the given ones. An image is skipped if it has objects and all of them are faulty.

    Parameters
    ----------
    root
        The data set's folder.
    classes
        Classes to read, in the order of their labels; by default all found, sorted.
    difficult
        Keep the objects marked as difficult.

    Raises
    ------
    UserError
        If the folder is missing, or no object can be used.
    """
    root = data_folder(Path(root))
    files = find_files(root)
    problems: list[Problem] = []
    images: dict[Path, Path] = {}
    for key, path in _keyed(root, IMAGE_FOLDERS, [path for path in files if path.suffix.lower() in SUFFIXES]):
        first = images.setdefault(key, path)
        if first != path:
            problems.append(Problem(path, None, f"its annotation belongs to {first.name} already: skipped"))
    labels = dict(_keyed(root, LABEL_FOLDERS, [path for path in files if path.suffix.lower() == ".xml"]))
    problems += [Problem(images[key], None, "no annotation: skipped") for key in sorted(images.keys() - labels.keys())]
    problems += [Problem(labels[key], None, "no image: skipped") for key in sorted(labels.keys() - images.keys())]

    pairs = [(images[key], labels[key]) for key in sorted(images.keys() & labels.keys())]
    read = []
    for image, label in track_slow(pairs, "reading annotations", len(pairs)):
        try:
            size = check_image(image)
        except BrokenImageError as error:
            problems.append(Problem(image, None, f"broken image, skipped: {error}"))
            continue
        objects = _read_annotation(label, size, problems)
        if objects is not None:
            read.append((image, size, [item for item in objects if difficult or not item.difficult]))

    if classes is None:
        classes = sorted({item.name for _, _, objects in read for item in objects})
    else:
        problems += _unlisted(root, classes, [item for _, _, objects in read for item in objects])
    index = {name: label for label, name in enumerate(classes)}
    records = []
    for image, size, objects in read:
        kept = [item for item in objects if item.name in index]
        boxes, names = [item.box for item in kept], [index[item.name] for item in kept]
        records.append(ImageRecord.make(image, root, size, boxes, names))
    return Labelled(root, tuple(classes), tuple(records), tuple(problems))


def _keyed(root: Path, folders: frozenset[str], paths: list[Path]) -> list[tuple[Path, Path]]:
    """Each path with what an image and its annotation share: the path below ``root`` without such folders and suffix.

    If some lie in such a folder, only those count: VOC's masks, in other folders, have the names of its images.
    """
    below = [path.relative_to(root).with_suffix("") for path in paths]
    within = [not folders.isdisjoint(name.parts[:-1]) for name in below]
    narrowed = any(within)
    return [
        (Path(*(part for part in name.parts[:-1] if part not in folders), name.name), path)
        for name, path, counts in zip(below, paths, within, strict=True)
        if counts or not narrowed
    ]


def _unlisted(root: Path, classes: Sequence[str], objects: list[_Object]) -> list[Problem]:
    """One problem for each class that is found but not listed, or listed but not found: a slip of the pen, perhaps."""
    counts = Counter(item.name for item in objects)
    first = {item.name: item.place for item in reversed(objects)}
    problems = [
        Problem(
            first[name].file,
            first[name].line,
            f"class {name!r} is not among the given ones: {counts[name]} objects left out, this is the first",
        )
        for name in sorted(counts.keys() - set(classes))
    ]
    return problems + [Problem(root, None, f"no object of class {name!r}") for name in classes if name not in counts]


def _read_annotation(path: Path, size: tuple[int, int], problems: list[Problem]) -> list[_Object] | None:
    """Objects with boxes in pixels of the image; None if the file, or every object in it, is faulty."""
    try:
        root = _parse(path)
    except (OSError, ValueError, LookupError, expat.ExpatError) as error:
        problems.append(Problem(path, getattr(error, "lineno", None), f"unreadable XML, its image is skipped: {error}"))
        return None
    height, width = size
    stated = _number(root, "size/height"), _number(root, "size/width")
    if not all(side and side > 0 for side in stated):
        problems.append(Problem(path, None, "states no size: its boxes are taken to be in pixels of the image"))
        stated = size
    elif height != width and stated == (width, height):
        message = f"states {stated[1]:g}x{stated[0]:g} pixels, the image has {width}x{height}, turned: skipped"
        problems.append(Problem(path, None, message))
        return None
    scale_y, scale_x = height / stated[0], width / stated[1]
    elements, objects = root.findall("object"), []
    for element in elements:
        place = Problem(path, int(element.get(_LINE)), "")
        name = (element.findtext("name") or "").strip()
        corners = [_number(element, f"bndbox/{key}") for key in ("xmin", "ymin", "xmax", "ymax")]
        if not name or None in corners:
            lacks = "name" if not name else "bndbox with numbers xmin, ymin, xmax, ymax"
            problems.append(Problem(path, place.line, f"object without a {lacks}: skipped"))
            continue
        x0, y0, x1, y1 = corners
        if x0 == x1 or y0 == y1:
            problems.append(Problem(path, place.line, f"box ({x0:g}, {y0:g}) to ({x1:g}, {y1:g}) has no area: skipped"))
            continue
        box, message = fit_box((x0 - 1, y0 - 1, x1, y1), *stated)
        if message:
            problems.append(Problem(path, place.line, message))
        if box is not None:
            box = (box[0] * scale_x, box[1] * scale_y, box[2] * scale_x, box[3] * scale_y)
            hard = (element.findtext("difficult") or "").strip() == "1"
            objects.append(_Object(name, box, hard, place))
    if elements and not objects:
        problems.append(Problem(path, None, "no object can be used: its image is skipped"))
        return None
    return objects


def _parse(path: Path) -> Element:
    """The tree of an XML file; each element's line in its attribute ``line``, which ElementTree itself forgets."""
    builder, parser = TreeBuilder(), expat.ParserCreate()
    parser.StartElementHandler = lambda tag, _: builder.start(tag, {_LINE: str(parser.CurrentLineNumber)})
    parser.EndElementHandler = builder.end
    parser.CharacterDataHandler = builder.data
    parser.Parse(path.read_bytes(), True)
    return builder.close()


def _number(element: Element, path: str) -> float | None:
    try:
        return float(element.findtext(path) or "")
    except ValueError:
        return None
