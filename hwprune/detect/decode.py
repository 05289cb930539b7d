"""From raw head outputs to boxes: darknet's decoding, then non-maximum suppression class by class (for any head)."""

import torch
from torch import Tensor
from torchvision.ops import batched_nms

from hwprune.detect.head import HeadSpec

MAX_LOG_SCALE = 10.0
"""Bound on ``|tw|`` and ``|th|`` before the exponential: sides of e^10 anchors cover any image and are finite; those
of e^-10 are far less than a pixel and not 0, for which the loss would have no gradient."""
MAX_LOGIT = 1e4
"""What an infinite or larger output is read as (a NaN as 0), so that every box and score is finite."""
IOU_THRESHOLD = 0.45
"""Of two boxes of one class that overlap more than this, the weaker goes (darknet's value)."""
MAX_CANDIDATES = 2000
"""Best-scored boxes of an image that enter the suppression."""
MAX_DETECTIONS = 100
"""Boxes that an image keeps (COCO's limit)."""


def split(raw: Tensor, anchors: int) -> Tensor:
    """View a raw output (N, anchors*(5+C), rows, columns) as (N, anchors, rows, columns, 5+C)."""
    n, channels, rows, columns = raw.shape
    return raw.view(n, anchors, channels // anchors, rows, columns).permute(0, 1, 3, 4, 2)


def to_boxes(offsets: Tensor, column: Tensor, row: Tensor, anchor: Tensor, stride: int) -> Tensor:
    """Boxes that network outputs mean (YOLO9000, section 2, "Direct location prediction").

    Parameters
    ----------
    offsets
        (..., 4) raw tx, ty, tw, th.
    column, row
        (...) indices of the cell.
    anchor
        (..., 2) width and height of the anchor in pixels.
    stride
        Pixels per cell.

    Returns
    -------
    Tensor
        (..., 4) corners x0, y0, x1, y1 in pixels of the network's input.
    """
    centre = (offsets[..., :2].sigmoid() + torch.stack([column, row], -1)) * stride
    half = anchor * offsets[..., 2:4].clamp(-MAX_LOG_SCALE, MAX_LOG_SCALE).exp() / 2
    return torch.cat([centre - half, centre + half], -1)


def decode(outputs: list[Tensor], head: HeadSpec) -> tuple[Tensor, Tensor]:
    """All boxes of a batch and their scores.

    Parameters
    ----------
    outputs
        For each head, raw float output (N, A*(5+C), rows, columns).
    head
        How to read them.

    Returns
    -------
    boxes, scores
        (N, B, 4) corners in pixels, not clipped to the image, and (N, B, C) objectness times class probability, for
        all B anchors of all cells; head by head, then anchor, row, column.

    Raises
    ------
    ValueError
        If an output's shape is not the one that `head` asks for.
    """
    head.check([raw.shape for raw in outputs])
    boxes, scores = [], []
    for raw, sizes, stride in zip(outputs, head.anchors, head.strides, strict=True):
        p = split(raw.nan_to_num(0.0, MAX_LOGIT, -MAX_LOGIT), len(sizes))
        row = torch.arange(p.shape[2], device=p.device)[:, None].expand(p.shape[2:4])
        column = torch.arange(p.shape[3], device=p.device)[None].expand(p.shape[2:4])
        anchor = p.new_tensor(sizes)[:, None, None]
        boxes.append(to_boxes(p[..., :4], column, row, anchor, stride).flatten(1, 3))
        scores.append((p[..., 4:5].sigmoid() * p[..., 5:].sigmoid()).flatten(1, 3))
    return torch.cat(boxes, 1), torch.cat(scores, 1)


def select(boxes: Tensor, scores: Tensor, size: tuple[int, int], score_threshold: float) -> dict[str, Tensor]:
    """The detections of one image: clipped to it, above the threshold, overlaps within a class suppressed.

    Parameters
    ----------
    boxes, scores
        (B, 4) and (B, C), as `decode` gives them.
    size
        (height, width) of the image in pixels.
    score_threshold
        Lowest score that counts; every class of a box above it makes a detection.

    Returns
    -------
    dict
        `boxes` float32 (n, 4), `scores` float32 (n,), `labels` int64 (n,), best first, n at most `MAX_DETECTIONS`.
    """
    box, label = (scores >= score_threshold).nonzero(as_tuple=True)
    score = scores[box, label]
    # A stable sort: equal scores, common with quantised outputs, keep the order of the cells on every machine.
    order = score.argsort(descending=True, stable=True)[:MAX_CANDIDATES]
    box, label, score = box[order], label[order], score[order]
    height, width = size
    corners = boxes[box].clamp(min=0).minimum(boxes.new_tensor([width, height, width, height]))
    keep = batched_nms(corners, score, label, IOU_THRESHOLD)[:MAX_DETECTIONS]
    return {"boxes": corners[keep], "scores": score[keep], "labels": label[keep]}
