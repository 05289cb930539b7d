"""What is found on a few validation images, as files: what the report draws.

``detections.json`` is ``{level, classes, images: [{image, truth, predictions}]}``; ``image`` is the path of a PNG seen
from the file, a truth is ``{box, label}``, a prediction ``{box, label, score}``, a box (x0, y0, x1, y1) in pixels of
that image, or null where classes are told and not places, a label an index into ``classes``.
"""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from hwprune.files import atomic_write, write_text

if TYPE_CHECKING:
    from torch import Tensor
    from torch.utils.data import Dataset

    from hwprune.detect.heads import Head

FILE = "detections.json"
MOST_IMAGES = 12
LEAST_SCORE = 0.05
"""Weaker ones are not stored; the recipe's ``report.confidence`` decides what is drawn."""

Box = tuple[float, float, float, float]


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Truth(_Model):
    """An object that is there; without a box, what the image shows."""

    box: Box | None = None
    label: Annotated[int, Field(ge=0)]


class Prediction(Truth):
    """An object that was found; ``score`` is 0 to 1."""

    score: float


class Example(_Model):
    """One image."""

    image: Path
    truth: tuple[Truth, ...]
    predictions: tuple[Prediction, ...]


class Detections(_Model):
    """Examples of one level: ``float``, ``sparse``, ``finetuned``, ``quantized`` or ``accelerator``."""

    level: str
    classes: tuple[str, ...]
    images: tuple[Example, ...]


def save_detections(
    folder: Path,
    level: str,
    predict: "Callable[[Tensor], list[Tensor]]",
    dataset: "Dataset",
    head: "Head",
    count: int = MOST_IMAGES,
) -> tuple[Path, ...]:
    """Run ``predict`` on images spread evenly over a data set, and store them with what was found.

    Parameters
    ----------
    folder
        Of the stage: ``detections.json`` and ``detections/*.png`` go there.
    level
        What ``predict`` stands for.
    predict
        From uint8 images (1, 3, H, W) to the raw head outputs, float (1, channels, rows, columns) each.
    dataset
        Of (uint8 image (3, H, W), target) samples.
    head
        How to read the outputs.
    count
        Images, at most as many as there are.

    Returns
    -------
    tuple of Path
        The files, all of them artefacts.
    """
    from PIL import Image

    from hwprune.detect.evaluate import find
    from hwprune.detect.kinds import kind_of

    examples, paths = [], []
    count = min(count, len(dataset))
    for number in range(count):
        image, target = dataset[number * len(dataset) // count]
        path = folder / "detections" / f"{number}.png"
        with atomic_write(path) as temporary:
            Image.fromarray(image.permute(1, 2, 0).contiguous().numpy()).save(temporary, format="PNG")
        paths.append(path)
        (found,) = find(predict, image[None], head, LEAST_SCORE)
        labels = kind_of(head).labels(target).tolist()
        examples.append(
            Example(
                image=path.relative_to(folder),
                truth=[
                    Truth(box=box, label=label) for box, label in zip(_boxes(target, len(labels)), labels, strict=True)
                ],
                predictions=[
                    Prediction(box=box, label=label, score=score)
                    for box, label, score in zip(
                        _boxes(found, len(found["labels"])),
                        found["labels"].tolist(),
                        found["scores"].tolist(),
                        strict=True,
                    )
                ],
            )
        )
    described = Detections(level=level, classes=head.classes, images=examples)
    write_text(folder / FILE, described.model_dump_json(indent=1) + "\n")
    return (folder / FILE, *paths)


def _boxes(things: "dict[str, Tensor]", count: int) -> list[Box | None]:
    return things["boxes"].tolist() if "boxes" in things else [None] * count


def load_detections(folder: Path) -> Detections | None:
    """What `save_detections` left in this folder, with the images' full paths; None where nothing whole is there."""
    try:
        stored = Detections.model_validate_json((folder / FILE).read_bytes())
    except (OSError, ValidationError):
        return None
    images = tuple(example.model_copy(update={"image": folder / example.image}) for example in stored.images)
    whole = all(i.image.is_file() for i in images)
    labels = {thing.label for i in images for thing in (*i.truth, *i.predictions)}
    if not whole or any(label >= len(stored.classes) for label in labels):
        return None
    return stored.model_copy(update={"images": images})
