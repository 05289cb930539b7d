"""Which predictor (head, anchor, cell) answers for which box."""

from typing import NamedTuple

import torch
from torch import Tensor

from hwprune.detect.head import HeadSpec

MAX_RATIO = 4.0
"""An anchor answers for a box if neither side differs from the box's by more than this factor (YOLOv5's rule)."""


class Assignment(NamedTuple):
    """The predictors of one head that answer for a box: k of them, each at most once.

    `image`, `anchor`, `row`, `column`, `labels` are int64 (k,); `boxes` is float32 (k, 4), corners in pixels.
    """

    image: Tensor
    anchor: Tensor
    row: Tensor
    column: Tensor
    boxes: Tensor
    labels: Tensor


def assign(targets: list[dict[str, Tensor]], head: HeadSpec) -> list[Assignment]:
    """Assign the boxes of a batch to predictors.

    A box goes to the cell that holds its centre, in every head, and there to each anchor of like shape: none of width
    and height more than `MAX_RATIO` times larger or smaller. Where no anchor of any head is like it, the likest
    answers. Where two boxes claim one predictor, the one whose shape is nearer wins. Compared with YOLOv3's single best
    anchor a box trains several predictors, which needs fewer epochs.

    Parameters
    ----------
    targets
        For each image, `boxes` float32 (n, 4) corners in pixels, and `labels` int64 (n,).
    head
        Anchors, strides and size of the image.

    Returns
    -------
    list of Assignment
        One for each head.
    """
    boxes = torch.cat([t["boxes"] for t in targets])
    labels = torch.cat([t["labels"] for t in targets])
    counts = torch.tensor([len(t["boxes"]) for t in targets], device=boxes.device)
    image = torch.arange(len(targets), device=boxes.device).repeat_interleave(counts)
    centre, size = (boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]

    ratio = size[:, None] / boxes.new_tensor([anchor for anchors in head.anchors for anchor in anchors])
    misfit = torch.maximum(ratio, 1 / ratio).amax(-1)  # (boxes, anchors of all heads)
    answers = misfit <= MAX_RATIO
    answers |= misfit == misfit.amin(1, keepdim=True)

    assignments, first = [], 0
    for i, (anchors, stride) in enumerate(zip(head.anchors, head.strides, strict=True)):
        rows, columns = head.grid(i)
        box, anchor = answers[:, first : first + len(anchors)].nonzero(as_tuple=True)
        cell = (centre[box] / stride).long()
        row, column = cell[:, 1].clamp(0, rows - 1), cell[:, 0].clamp(0, columns - 1)

        predictor = ((image[box] * len(anchors) + anchor) * rows + row) * columns + column
        order = misfit[box, first + anchor].argsort(stable=True)
        order = order[predictor[order].argsort(stable=True)]  # by predictor, and there the nearest shape first
        keep = order[predictor[order].diff(prepend=predictor.new_tensor([-1])) != 0]

        box = box[keep]
        assignments.append(
            Assignment(image[box], anchor[keep], row[keep], column[keep], boxes[box], labels[box])
        )  # fmt: skip
        first += len(anchors)
    return assignments
