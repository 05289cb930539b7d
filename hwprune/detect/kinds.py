"""What the flow asks of each kind of head: the one place that tells them apart."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from torch import Tensor
from torch.utils.data import Dataset

from hwprune.detect.anchors import fit_head
from hwprune.detect.average_precision import mean_average_precision
from hwprune.detect.class_head import ClassHead
from hwprune.detect.classify import accuracy, class_loss, top_k
from hwprune.detect.decode import decode, select
from hwprune.detect.distillation import class_distillation_loss, distillation_loss, ssd_distillation_loss
from hwprune.detect.head import HeadSpec
from hwprune.detect.heads import Head
from hwprune.detect.loss import detection_loss
from hwprune.detect.multibox import multibox_loss
from hwprune.detect.ssd_boxes import decode_ssd
from hwprune.detect.ssd_head import SsdHead, fit_ssd_head

Shapes = list[tuple[int, int, int]]
Found = dict[str, Tensor]
Target = dict[str, Tensor]


class Kind(NamedTuple):
    """Functions of one kind of head.

    Attributes
    ----------
    fit
        ``fit(train_set, shapes, image_size, seed)``: the head of a new network whose outputs have these (channels,
        rows, columns), for images of (height, width) pixels.
    loss
        ``loss(outputs, targets, head)``: parts by name, whose sum is what to minimise.
    distillation
        ``distillation(outputs, taught, head)``: how far outputs are from a teacher's.
    read
        ``read(outputs, head, least_score)``: what the raw outputs of one image, on the CPU, mean: ``labels`` and
        ``scores``, best first, and ``boxes`` if it is a detector's.
    measure
        ``measure(found, targets, classes)``: the figures of what `read` gave for each image; `head.metric` is one.
    labels
        Those of a target, int64 (n,).
    """

    fit: Callable[[Dataset, Shapes, tuple[int, int], int], Head]
    loss: Callable[[list[Tensor], list[Target], Head], dict[str, Tensor]]
    distillation: Callable[[list[Tensor], list[Tensor], Head], Tensor]
    read: Callable[[list[Tensor], Head, float], Found]
    measure: Callable[[list[Found], list[Target], tuple[str, ...]], dict]
    labels: Callable[[Target], Tensor]


def kind_of(head: Head) -> Kind:
    """The functions of this head's kind."""
    return KINDS[head.kind]


def _fit_yolo(train_set: Dataset, shapes: Shapes, image_size: tuple[int, int], seed: int) -> HeadSpec:
    classes = train_set.classes
    strides = tuple(image_size[0] // rows for _, rows, _ in shapes)
    anchors = shapes[0][0] // (5 + len(classes))
    return fit_head(_box_sizes(train_set), classes, strides, image_size, anchors_per_head=anchors, seed=seed)


def _fit_ssd(train_set: Dataset, shapes: Shapes, image_size: tuple[int, int], seed: int) -> SsdHead:
    return fit_ssd_head(_box_sizes(train_set), shapes, train_set.classes, image_size)


def _fit_classes(train_set: Dataset, shapes: Shapes, image_size: tuple[int, int], seed: int) -> ClassHead:
    head = ClassHead(classes=train_set.classes, image_size=image_size)
    head.check([(1, *shape) for shape in shapes])
    return head


def _box_sizes(train_set: Dataset) -> np.ndarray:
    """(n, 2) widths and heights of all boxes in pixels."""
    boxes = np.concatenate([train_set[i][1]["boxes"].numpy() for i in range(len(train_set))])
    return boxes[:, 2:] - boxes[:, :2]


def _detections(decoder: Callable[[list[Tensor], Head], tuple[Tensor, Tensor]]) -> Callable:
    """`Kind.read` of a detector."""

    def read(outputs: list[Tensor], head: Head, least_score: float) -> Found:
        boxes, scores = decoder(outputs, head)
        return select(boxes[0], scores[0], head.image_size, least_score)

    return read


def _likeliest(outputs: list[Tensor], head: ClassHead, least_score: float) -> Found:
    (found,) = top_k(outputs, head)
    return found


def _labels(target: Target) -> Tensor:
    return target["labels"]


KINDS = {
    "yolo": Kind(_fit_yolo, detection_loss, distillation_loss, _detections(decode), mean_average_precision, _labels),
    "ssd": Kind(_fit_ssd, multibox_loss, ssd_distillation_loss, _detections(decode_ssd), mean_average_precision,
                _labels),
    "classes": Kind(_fit_classes, class_loss, class_distillation_loss, _likeliest, accuracy,
                    lambda target: target["label"][None]),
}  # fmt: skip
"""By `kind` of the heads."""
