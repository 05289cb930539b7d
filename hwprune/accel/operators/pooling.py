"""The stages of ``maxpool2d.sv``, in numbers: for the operator, its estimate and its timing. Read without FINN."""

from collections.abc import Sequence
from dataclasses import dataclass

from hwprune.errors import UserError

LARGEST_KERNEL = 4
"""Rows and columns of the largest window that the hardware is tried with."""


@dataclass(frozen=True)
class PoolStage:
    """A ``pairwise_max``: ``items`` of ``beats`` beats in, maxima of neighbours out.

    Attributes
    ----------
    items, beats
        Of a sequence, and of an item.
    stride
        1 or 2.
    first, last
        Whether the item at that end leaves as it is.
    """

    items: int
    beats: int
    stride: int
    first: bool
    last: bool

    @property
    def outputs(self) -> int:
        """Items that leave."""
        ends = self.items + self.first + self.last
        return ends // 2 if self.stride == 2 else ends - 1

    @property
    def drains(self) -> bool:
        """Whether the last item leaves behind the sequence."""
        return self.stride == 1 and self.last


def pool_stages(
    size: Sequence[int], folds: int, kernel: int, stride: int, pads: Sequence[int]
) -> tuple[PoolStage, ...]:
    """Those along the row, then those along the column.

    Parameters
    ----------
    size
        (height, width) of the input in pixels.
    folds
        Beats of a pixel.
    kernel, stride
        Of the window, in pixels.
    pads
        (top, left, bottom, right).

    Raises
    ------
    ValueError
        If the hardware has no such pool; the message says why.
    """
    (height, width), (top, left, bottom, right) = size, pads
    if not 2 <= kernel <= LARGEST_KERNEL or stride not in (1, 2):
        raise ValueError(f"windows are of 2 to {LARGEST_KERNEL} pixels, with a stride of 1 or 2")
    along_row = _direction(width, folds, kernel, stride, left, right)
    return (*along_row, *_direction(height, along_row[-1].outputs * folds, kernel, stride, top, bottom))


def check_pool(layer: str, size: Sequence[int], kernel: int, stride: int, pads: Sequence[int]) -> None:
    """Raise UserError if there is no hardware for the max-pool ``layer``; see `pool_stages`."""
    try:
        pool_stages(size, 1, kernel, stride, pads)
    except ValueError as error:
        raise UserError(
            f"max-pool {layer!r}: no hardware for a {kernel}x{kernel} window with stride {stride} and padding (top, "
            f"left, bottom, right) {list(pads)} on {size[0]}x{size[1]} pixels: {error}"
        ) from error


def _direction(length: int, beats: int, kernel: int, stride: int, before: int, after: int) -> list[PoolStage]:
    stages, pads = [], before + after
    # A stage pads by one item, the last one with stride 2 on both sides.
    if before >= kernel or pads >= kernel + (stride == 2 and before == kernel - 1):
        raise ValueError("the padding is too wide for the window")
    if pads + length < kernel:
        raise ValueError("the map is smaller than the window")
    for stage in range(kernel - 1):
        step = stride if stage == kernel - 2 else 1
        first = stage < before
        last = stage + first < pads if step == 2 else not first and stage < pads
        stages.append(PoolStage(length - max(0, stage - pads), beats, step, first, last))
    return stages
