"""SSD's matching and training loss (Liu et al., "SSD: Single Shot MultiBox Detector", ECCV 2016, section 2.2)."""

import torch
from torch import Tensor
from torch.nn import functional as F
from torchvision.ops import box_convert, box_iou

from hwprune.detect.ssd_boxes import by_box, default_boxes, encode
from hwprune.detect.ssd_head import SsdHead

MATCH_IOU = 0.5
"""A default box that overlaps a target by more than this answers for it."""
NEGATIVES = 3
"""Background boxes that are trained for each box that answers for a target: the hardest ones of its image."""


def match(targets: Tensor, defaults: Tensor) -> Tensor:
    """Which target each default box answers for.

    First every target gets a default box of its own, the pair of greatest overlap first (bipartite matching, as in the
    authors' code and MultiBox); then each other default box takes the target that it overlaps most, if by more than
    `MATCH_IOU`. A target without area gets none.

    Parameters
    ----------
    targets, defaults
        (n, 4) and (B, 4) corners in pixels.

    Returns
    -------
    Tensor
        int64 (B,): index of the target, -1 for background.
    """
    if not len(targets):
        return torch.full((len(defaults),), -1, device=defaults.device)
    overlap = box_iou(targets, defaults)
    most, nearest = overlap.max(0)
    matched = torch.where(most > MATCH_IOU, nearest, -1)
    for _ in targets:
        target, box = divmod(int(overlap.argmax()), len(defaults))
        if not overlap[target, box] > 0:
            break
        matched[box] = target
        overlap[target], overlap[:, box] = -1, -1
    return matched


def multibox_loss(outputs: list[Tensor], targets: list[dict[str, Tensor]], head: SsdHead) -> dict[str, Tensor]:
    """The two parts of the loss (equation 1 with alpha 1), each a scalar; their sum is what to minimise.

    Both are sums over the batch, divided by the number of boxes that answer for a target. An image without targets has
    none, hence no negatives either, and teaches nothing.

    Parameters
    ----------
    outputs
        For each detection layer raw float offsets (N, 4 A, rows, columns), then logits (N, (1 + C) A, rows, columns).
    targets
        For each image, `boxes` float32 (n, 4) corners in pixels, and `labels` int64 (n,); n may be 0.
    head
        How to read the outputs.

    Returns
    -------
    dict
        `box`: smooth L1 of the offsets of the boxes that answer for a target. `class`: cross-entropy of these and, as
        background, of the `NEGATIVES` times as many other boxes of their image whose cross-entropy is greatest.

    Raises
    ------
    ValueError
        If an output's shape is not the one that `head` asks for.
    """
    offsets, logits = by_box(outputs, head)
    defaults = default_boxes(head).to(offsets)
    corners = box_convert(defaults, "cxcywh", "xyxy")
    wanted = torch.zeros_like(logits[..., 0], dtype=torch.int64)  # 0 is background
    aims, rows, columns = [], [], []
    for i, target in enumerate(targets):
        boxes = target["boxes"].to(offsets)
        matched = match(boxes, corners)
        positive = (matched >= 0).nonzero()[:, 0]
        truth = matched[positive]
        wanted[i, positive] = target["labels"].to(wanted.device)[truth] + 1
        aims.append(encode(boxes[truth], defaults[positive], head.variances))
        rows.append(torch.full_like(positive, i))
        columns.append(positive)
    box_loss = F.smooth_l1_loss(offsets[torch.cat(rows), torch.cat(columns)], torch.cat(aims), reduction="sum")
    class_loss = F.cross_entropy(logits.transpose(1, 2), wanted, reduction="none")
    trained = (wanted > 0) | hardest_negatives(class_loss.detach(), wanted > 0)
    count = max(len(torch.cat(rows)), 1)
    return {"box": box_loss / count, "class": class_loss[trained].sum() / count}


def hardest_negatives(loss: Tensor, positive: Tensor) -> Tensor:
    """Of each row (an image) of `loss`, (N, B), the greatest where `positive` is false, `NEGATIVES` times as many as
    positives, or all that there are: bool (N, B). Of equal losses the first counts."""
    order = loss.masked_fill(positive, -torch.inf).argsort(dim=1, descending=True, stable=True)
    rank = torch.empty_like(order).scatter_(1, order, torch.arange(loss.shape[1], device=loss.device).expand_as(order))
    return (rank < NEGATIVES * positive.sum(1, keepdim=True)) & ~positive
