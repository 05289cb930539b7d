"""A head of any kind, as a checkpoint's ``model.json`` holds it. Imports no torch."""

from typing import Annotated, Any, NamedTuple

from pydantic import Discriminator, Tag, TypeAdapter

from hwprune.detect.class_head import ClassHead
from hwprune.detect.head import HeadSpec
from hwprune.detect.ssd_head import SsdHead


class Metric(NamedTuple):
    """A figure, 0 to 1, by which networks are judged, as people read it."""

    name: str
    about: str


METRICS = {
    "map50": Metric("mAP50", "Mean average precision at an IoU of 0.5 on the whole validation set."),
    "accuracy": Metric("accuracy", "Share of the validation images whose class is found."),
}
"""By `metric` of the heads, which is also the key of results."""


def _kind(value: Any) -> str | None:
    # Checkpoints from before there were other heads have no kind.
    return value.get("kind", "yolo") if isinstance(value, dict) else getattr(value, "kind", None)


Head = Annotated[
    Annotated[HeadSpec, Tag("yolo")] | Annotated[SsdHead, Tag("ssd")] | Annotated[ClassHead, Tag("classes")],
    Discriminator(_kind),
]
"""How to read a network's raw outputs."""

_HEAD = TypeAdapter(Head)


def parse_head(value: Any) -> Head:
    """The head that this JSON describes; pydantic's `ValidationError` if it describes none."""
    return _HEAD.validate_python(value)
