"""What the raw outputs of a classifier mean."""

from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, PositiveInt


class ClassHead(BaseModel):
    """The reading of a classifier's one output: a logit for each class.

    Attributes
    ----------
    classes
        Names of the classes; a label is an index into them.
    image_size
        (height, width) of the network's input in pixels.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    metric: ClassVar[str] = "accuracy"
    kind: Literal["classes"] = "classes"
    classes: Annotated[tuple[str, ...], Field(min_length=1)]
    image_size: tuple[PositiveInt, PositiveInt]

    def shapes(self) -> list[tuple[int, int, int]]:
        """(classes, 1, 1): a fully connected layer is a convolution as large as its map."""
        return [(len(self.classes), 1, 1)]

    def check(self, shapes: Sequence[Sequence[int]]) -> None:
        """Raise `ValueError` unless raw outputs of these (N, channels, rows, columns) belong to this head."""
        if [tuple(shape[1:]) for shape in shapes] != self.shapes():
            raise ValueError(f"head outputs of shapes {[tuple(s) for s in shapes]} where (N, *) {self.shapes()} belong")
