"""Images whose class is the name of the folder they lie in."""

from collections.abc import Sequence
from pathlib import Path

from hwprune.data.images import SUFFIXES, BrokenImageError, check_image, find_files
from hwprune.data.problems import Problem
from hwprune.data.progress import track_slow
from hwprune.data.records import ClassRecord, Labelled, data_folder
from hwprune.errors import UserError


def read_folders(root: Path, classes: Sequence[str] | None = None) -> Labelled:
    """Read a data set with a folder for each class.

    The class of an image is the name of the innermost folder that it lies in: ``cat/1.png`` and ``train/cat/1.png`` are
    cats. What cannot be used is skipped and told in ``problems``: an image beside the folders, in one of no known
    class, or broken.

    Parameters
    ----------
    root
        The data set's folder.
    classes
        Names of the classes, in the order of their labels; by default all folders' with images, sorted.

    Raises
    ------
    UserError
        If the folder is missing, a class has no image, or there are fewer than two classes.
    """
    root = data_folder(Path(root))
    images = [path for path in find_files(root) if path.suffix.lower() in SUFFIXES]
    problems = [Problem(path, None, "lies in no class's folder: skipped") for path in images if path.parent == root]
    images = [path for path in images if path.parent != root]
    names = tuple(classes or sorted({path.parent.name for path in images}))
    if len(names) < 2:
        raise UserError(
            f"data.path: {root} has images of {len(names)} classes ({', '.join(names)}), and there is nothing to tell "
            "apart; give a folder with one folder of images for each class"
        )
    records = []
    for image in track_slow(images, "reading images", len(images)):
        if image.parent.name not in names:
            problems.append(Problem(image, None, f"folder {image.parent.name} is none of data.classes: skipped"))
            continue
        try:
            size = check_image(image)
        except BrokenImageError as error:
            problems.append(Problem(image, None, f"broken image, skipped: {error}"))
            continue
        label = names.index(image.parent.name)
        records.append(ClassRecord(image, image.relative_to(root).as_posix(), size, label))
    if empty := sorted(set(names) - {names[record.label] for record in records}):
        first = f"; the first of {len(problems)} problems: {problems[0]}" if problems else ""
        raise UserError(f"data.path: {root} has no usable image of {', '.join(empty)}{first}")
    return Labelled(root, names, tuple(records), tuple(problems))
