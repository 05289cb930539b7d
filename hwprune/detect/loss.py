"""The training loss of a YOLOv3 detector."""

import torch
from torch import Tensor
from torch.nn import functional as F
from torchvision.ops import box_iou, complete_box_iou_loss

from hwprune.detect.decode import split, to_boxes
from hwprune.detect.head import HeadSpec
from hwprune.detect.targets import assign

OBJECTNESS_WEIGHT = 4.0
"""Of the mean over all predictors, most of which have nothing to find and soon add nothing."""


def detection_loss(outputs: list[Tensor], targets: list[dict[str, Tensor]], head: HeadSpec) -> dict[str, Tensor]:
    """The three parts of the loss, each a scalar; their sum is what to minimise.

    Box and class loss are means over the predictors that answer for a box, objectness over all, the heads together: a
    head counts by the boxes that it answers for, and by its cells.

    Parameters
    ----------
    outputs
        For each head, raw float output (N, A*(5+C), rows, columns).
    targets
        For each image, `boxes` float32 (n, 4) corners in pixels, and `labels` int64 (n,); n may be 0.
    head
        How to read the outputs.

    Returns
    -------
    dict
        `box`: complete IoU (Zheng et al., "Distance-IoU Loss", 2020, equation 10). `objectness`: binary cross-entropy
        of every predictor against the IoU of its box with the one that it answers for, 0 where it answers for none;
        times `OBJECTNESS_WEIGHT`.
        `class`: binary cross-entropy, summed over the classes.
    """
    head.check([raw.shape for raw in outputs])
    box_loss = objectness_loss = class_loss = outputs[0].new_zeros(())
    matched = predictors = 0
    assignments = assign(targets, head)
    for raw, anchors, stride, a in zip(outputs, head.anchors, head.strides, assignments, strict=True):
        predictions = split(raw, len(anchors))
        answers = predictions[a.image, a.anchor, a.row, a.column]
        boxes = to_boxes(answers[:, :4], a.column, a.row, raw.new_tensor(anchors)[a.anchor], stride)
        objectness = torch.zeros_like(predictions[..., 4])
        objectness[a.image, a.anchor, a.row, a.column] = box_iou(boxes.detach(), a.boxes).diagonal()
        labels = F.one_hot(a.labels, len(head.classes)).to(raw)
        box_loss = box_loss + complete_box_iou_loss(boxes, a.boxes, reduction="sum")
        objectness_loss = objectness_loss + bce(predictions[..., 4], objectness)
        class_loss = class_loss + bce(answers[:, 5:], labels)
        matched += len(a.labels)
        predictors += objectness.numel()
    matched = max(matched, 1)
    return {
        "box": box_loss / matched,
        "objectness": OBJECTNESS_WEIGHT * objectness_loss / predictors,
        "class": class_loss / matched,
    }


def bce(logits: Tensor, targets: Tensor) -> Tensor:
    """Summed binary cross-entropy."""
    return F.binary_cross_entropy_with_logits(logits, targets, reduction="sum")
