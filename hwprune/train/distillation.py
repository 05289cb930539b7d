"""A detector learns from another one's outputs."""

from torch import Tensor
from torch.nn import functional as F

from hwprune.detect.decode import split
from hwprune.detect.head import HeadSpec
from hwprune.detect.loss import OBJECTNESS_WEIGHT


def distillation_loss(outputs: list[Tensor], taught: list[Tensor], head: HeadSpec) -> Tensor:
    """How far a detector's raw outputs are from its teacher's.

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


def _divergence(own: Tensor, theirs: Tensor, weight: Tensor | None = None) -> Tensor:
    """Summed Kullback-Leibler divergence of the probabilities that logits mean."""
    probability = theirs.sigmoid()
    crossed = F.binary_cross_entropy_with_logits(own, probability, weight, reduction="sum")
    return crossed - F.binary_cross_entropy_with_logits(theirs, probability, weight, reduction="sum")
