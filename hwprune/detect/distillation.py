"""A network learns from another one's outputs, whatever its kind."""

from torch import Tensor
from torch.nn import functional as F

from hwprune.detect.class_head import ClassHead
from hwprune.detect.decode import split
from hwprune.detect.head import HeadSpec
from hwprune.detect.loss import OBJECTNESS_WEIGHT
from hwprune.detect.ssd_boxes import by_box
from hwprune.detect.ssd_head import SsdHead

TEMPERATURE = 4.0
"""By which a classifier's and its teacher's logits are divided: it shows how the teacher ranks the wrong classes."""


def distillation_loss(outputs: list[Tensor], taught: list[Tensor], head: HeadSpec) -> Tensor:
    """How far a YOLO detector's raw outputs are from its teacher's.

    Where the teacher sees nothing, its boxes and classes mean nothing: both are weighted by its objectness (Mehta and
    Ozturk, "Object detection at 200 frames per second", 2018, section 3.2). Objectness and classes count by the
    Kullback-Leibler divergence of their probabilities, raw boxes by their squared difference; normed like
    `hwprune.detect.loss.detection_loss`, with the teacher's objectness in the place of matches.

    Parameters
    ----------
    outputs, taught
        For each head, raw float outputs (N, A*(5+C), rows, columns), of the pupil and of the teacher.
    head
        How to read them.

    Returns
    -------
    Tensor
        Scalar, not negative; 0 where both agree.
    """
    box = objectness = classes = outputs[0].new_zeros(())
    seen, predictors = outputs[0].new_zeros(()), 0
    for raw, wanted, anchors in zip(outputs, taught, head.anchors, strict=True):
        own, theirs = split(raw, len(anchors)), split(wanted, len(anchors))
        weight = theirs[..., 4:5].sigmoid()
        box = box + (weight * (own[..., :4] - theirs[..., :4]).square()).sum()
        objectness = objectness + _divergence(own[..., 4], theirs[..., 4])
        classes = classes + _divergence(own[..., 5:], theirs[..., 5:], weight)
        seen, predictors = seen + weight.sum(), predictors + weight.numel()
    return (box + classes) / seen.clamp(min=1) + OBJECTNESS_WEIGHT * objectness / predictors


def ssd_distillation_loss(outputs: list[Tensor], taught: list[Tensor], head: SsdHead) -> Tensor:
    """How far an SSD's raw outputs are from its teacher's.

    As `distillation_loss`, with the probability that the teacher gives to anything but the background in the place of
    its objectness: by it are weighted the squared differences of the offsets and the Kullback-Leibler divergences of
    the classes, background included; the mean divergence of all boxes counts `OBJECTNESS_WEIGHT` times besides.

    Parameters
    ----------
    outputs, taught
        For each detection layer raw offsets, then logits, as `hwprune.detect.ssd_boxes.decode_ssd` takes them, of the
        pupil and of the teacher.
    head
        How to read them.

    Returns
    -------
    Tensor
        Scalar, not negative; 0 where both agree.
    """
    (offsets, logits), (aims, wanted) = by_box(outputs, head), by_box(taught, head)
    weight = 1 - wanted.softmax(-1)[..., 0]
    divergence = _softmax_divergence(logits, wanted)
    off = (offsets - aims).square().sum(-1)
    return (weight * (off + divergence)).sum() / weight.sum().clamp(min=1) + OBJECTNESS_WEIGHT * divergence.mean()


def class_distillation_loss(outputs: list[Tensor], taught: list[Tensor], head: ClassHead) -> Tensor:
    """How far a classifier's logits are from its teacher's (Hinton et al., "Distilling the Knowledge in a Neural
    Network", 2015, section 2).

    Parameters
    ----------
    outputs, taught
        One raw output each, logits (N, C, 1, 1), of the pupil and of the teacher.
    head
        How to read them.

    Returns
    -------
    Tensor
        Scalar: the mean Kullback-Leibler divergence at `TEMPERATURE`, times its square, so that its gradient is as
        large as at 1; 0 where both agree.
    """
    head.check([raw.shape for raw in outputs])
    own, theirs = (raw[0].flatten(1) / TEMPERATURE for raw in (outputs, taught))
    return TEMPERATURE**2 * _softmax_divergence(own, theirs).mean()


def _softmax_divergence(own: Tensor, theirs: Tensor) -> Tensor:
    """Kullback-Leibler divergence of the probabilities that logits (..., C) mean: (...)."""
    return F.kl_div(own.log_softmax(-1), theirs.log_softmax(-1), reduction="none", log_target=True).sum(-1)


def _divergence(own: Tensor, theirs: Tensor, weight: Tensor | None = None) -> Tensor:
    """Summed Kullback-Leibler divergence of the probabilities that logits mean."""
    probability = theirs.sigmoid()
    crossed = F.binary_cross_entropy_with_logits(own, probability, weight, reduction="sum")
    return crossed - F.binary_cross_entropy_with_logits(theirs, probability, weight, reduction="sum")
