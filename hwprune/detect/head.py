"""What the raw outputs of a detector mean: classes, anchors, strides and the size of the image."""

import math
from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, PositiveInt, model_validator

Length = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Anchors = Annotated[tuple[tuple[Length, Length], ...], Field(min_length=1)]


class HeadSpec(BaseModel):
    """The reading of a YOLOv3 network's outputs, one entry of `anchors` and `strides` for each of its heads, in order.

    Attributes
    ----------
    classes
        Names of the classes; a label is an index into them.
    anchors
        For each head, (width, height) of its anchors in pixels of the network's input.
    strides
        For each head, pixels of the input per cell.
    image_size
        (height, width) of the network's input in pixels.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    metric: ClassVar[str] = "map50"
    kind: Literal["yolo"] = "yolo"
    classes: Annotated[tuple[str, ...], Field(min_length=1)]
    anchors: Annotated[
        tuple[Annotated[tuple[tuple[Length, Length], ...], Field(min_length=1)], ...], Field(min_length=1)
    ]
    strides: tuple[PositiveInt, ...]
    image_size: tuple[PositiveInt, PositiveInt]

    @model_validator(mode="after")
    def _heads_agree(self):
        if len(self.strides) != len(self.anchors):
            raise ValueError(f"{len(self.strides)} strides for {len(self.anchors)} heads of anchors: give one a head")
        step = math.lcm(*self.strides)
        if any(side % step for side in self.image_size):
            raise ValueError(f"image_size {self.image_size} is no multiple of the strides: each side needs {step}")
        return self

    def grid(self, head: int) -> tuple[int, int]:
        """(rows, columns) of cells of this head."""
        height, width = self.image_size
        return height // self.strides[head], width // self.strides[head]

    def shapes(self) -> list[tuple[int, int, int]]:
        """(channels, rows, columns) of every head's raw output: ``anchors * (5 + classes)`` channels."""
        return [(len(a) * (5 + len(self.classes)), *self.grid(i)) for i, a in enumerate(self.anchors)]

    def check(self, shapes: Sequence[Sequence[int]]) -> None:
        """Raise `ValueError` unless raw outputs of these (N, channels, rows, columns) belong to this head."""
        if [tuple(shape[1:]) for shape in shapes] != self.shapes():
            raise ValueError(f"head outputs of shapes {[tuple(s) for s in shapes]} where (N, *) {self.shapes()} belong")
