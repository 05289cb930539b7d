"""Loss, reading and accuracy of a classifier."""

import torch
from torch import Tensor
from torch.nn import functional as F

from hwprune.detect.class_head import ClassHead
from hwprune.detect.decode import MAX_LOGIT

TOP = 5
"""Classes that are named for an image, the likeliest first."""


def class_loss(outputs: list[Tensor], targets: list[dict[str, Tensor]], head: ClassHead) -> dict[str, Tensor]:
    """The loss to minimise.

    Parameters
    ----------
    outputs
        One raw float output, logits (N, C, 1, 1).
    targets
        For each image, `label` int64 ().
    head
        How to read the output.

    Returns
    -------
    dict
        `class`: mean cross-entropy, a scalar.

    Raises
    ------
    ValueError
        If the output's shape is not the one that `head` asks for.
    """
    logits = _logits(outputs, head)
    return {"class": F.cross_entropy(logits, torch.stack([target["label"] for target in targets]).to(logits.device))}


def top_k(outputs: list[Tensor], head: ClassHead, k: int = TOP) -> list[dict[str, Tensor]]:
    """The likeliest classes of each image.

    Parameters
    ----------
    outputs
        One raw float output, logits (N, C, 1, 1), on the CPU. An infinite one counts as `MAX_LOGIT`, a NaN as 0.
    head
        How to read the output.
    k
        How many, at most as many as there are classes.

    Returns
    -------
    list of dict
        For each image, `labels` int64 (k,) and `scores` float32 (k,), softmax probabilities, best first; of equal
        logits the lower label, on every machine.
    """
    logits = _logits(outputs, head).float().nan_to_num(0.0).clamp(-MAX_LOGIT, MAX_LOGIT)
    # By the logits, not their softmax, in which small differences may vanish.
    order = logits.argsort(dim=1, descending=True, stable=True)[:, :k]
    scores = logits.softmax(1).gather(1, order)
    return [{"labels": labels, "scores": score} for labels, score in zip(order, scores, strict=True)]


def accuracy(found: list[dict[str, Tensor]], targets: list[dict[str, Tensor]], classes: tuple[str, ...]) -> dict:
    """Share of the images whose likeliest class is the true one.

    Parameters
    ----------
    found
        As `top_k` gives it.
    targets
        For each image, `label` int64 ().
    classes
        Names, in the order of the labels.

    Returns
    -------
    dict
        `accuracy`, 0 to 1 (0 without images), and `per_class`: the share of each class' images by name, None for a
        class that has none.
    """
    right, count = [0] * len(classes), [0] * len(classes)
    for answer, target in zip(found, targets, strict=True):
        label = int(target["label"])
        count[label] += 1
        right[label] += int(answer["labels"][0]) == label
    per_class = {name: r / n if n else None for name, r, n in zip(classes, right, count, strict=True)}
    return {"accuracy": sum(right) / max(sum(count), 1), "per_class": per_class}


def _logits(outputs: list[Tensor], head: ClassHead) -> Tensor:
    head.check([raw.shape for raw in outputs])
    return outputs[0].flatten(1)
