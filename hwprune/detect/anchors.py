"""Anchors from the training boxes: k-means with the distance 1 - IoU (Redmon and Farhadi, "YOLO9000", section 2)."""

import numpy as np

from hwprune.detect.head import HeadSpec
from hwprune.errors import UserError

RESTARTS = 10
MAX_ROUNDS = 300
SPREAD = 2**0.5
"""Factor between an anchor and its stand-in, where the data has fewer distinct shapes than anchors."""


def shape_iou(shapes: np.ndarray, anchors: np.ndarray) -> np.ndarray:
    """IoU of (n, 2) shapes and (k, 2) anchors, (width, height) each, laid corner on corner: (n, k)."""
    inter = np.minimum(shapes[:, None], anchors[None]).prod(-1)
    return inter / (shapes.prod(-1)[:, None] + anchors.prod(-1)[None] - inter)


def checked_shapes(shapes: np.ndarray) -> np.ndarray:
    """(n, 2) widths and heights of training boxes as float64; `UserError` if there is none, or one without area."""
    shapes = np.asarray(shapes, float).reshape(-1, 2)
    if not len(shapes):
        raise UserError("no anchors can be found: the training set has no box; check its labels")
    if not (np.isfinite(shapes).all() and (shapes > 0).all()):
        raise UserError("no anchors can be found: a training box has no area; check the labels")
    return shapes


def kmeans_anchors(shapes: np.ndarray, count: int, seed: int = 0) -> np.ndarray:
    """`count` anchors for boxes of these shapes, smallest area first.

    Parameters
    ----------
    shapes
        (n, 2) float widths and heights of the training boxes in pixels, all positive.
    count
        Number of anchors. Where the data has fewer distinct shapes, the missing ones are larger and smaller copies.
    seed
        Of the random starts; the best of `RESTARTS` runs by mean IoU counts.

    Returns
    -------
    ndarray
        (count, 2) float64.

    Raises
    ------
    UserError
        If there is no box to learn from, or one without area.
    """
    shapes = checked_shapes(shapes)
    distinct, weight = np.unique(shapes, axis=0, return_counts=True)
    if len(distinct) <= count:
        found = distinct
    else:
        rng = np.random.default_rng(seed)
        runs = [_lloyd(distinct, weight, _start(distinct, weight, count, rng)) for _ in range(RESTARTS)]
        found = max(runs, key=lambda anchors: weight @ shape_iou(distinct, anchors).max(1))
    found = _fill(found, count)
    return found[np.lexsort((found[:, 0], found.prod(-1)))]


def fit_head(
    shapes: np.ndarray,
    classes: tuple[str, ...],
    strides: tuple[int, ...],
    image_size: tuple[int, int],
    *,
    anchors_per_head: int = 3,
    seed: int = 0,
) -> HeadSpec:
    """The head for boxes of these shapes: `kmeans_anchors`, the larger ones for the coarser strides."""
    groups = kmeans_anchors(shapes, len(strides) * anchors_per_head, seed).reshape(-1, anchors_per_head, 2)
    by_stride = dict(zip(sorted(strides), groups.round(2).tolist(), strict=True))
    return HeadSpec(
        classes=classes, anchors=[by_stride[s] for s in strides], strides=strides, image_size=image_size
    )  # fmt: skip


def _start(shapes: np.ndarray, weight: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """k-means++ seeding (Arthur and Vassilvitskii, 2007): each next centre far from those before."""
    chosen = [rng.choice(len(shapes), p=weight / weight.sum())]
    while len(chosen) < count:
        distance = 1 - shape_iou(shapes, shapes[chosen]).max(1)
        distance[chosen] = 0  # not left to rounding
        chance = weight * distance**2
        chosen.append(rng.choice(len(shapes), p=chance / chance.sum()))
    return shapes[chosen]


def _lloyd(shapes: np.ndarray, weight: np.ndarray, anchors: np.ndarray) -> np.ndarray:
    """Lloyd's iteration: nearest anchor by IoU, then the mean of its shapes; an anchor that lost all stays."""
    previous = None
    for _ in range(MAX_ROUNDS):
        nearest = shape_iou(shapes, anchors).argmax(1)
        if previous is not None and (nearest == previous).all():
            break
        previous = nearest
        mass = np.bincount(nearest, weight, len(anchors))
        total = np.stack([np.bincount(nearest, weight * side, len(anchors)) for side in shapes.T], 1)
        anchors = np.where(mass[:, None] > 0, total / np.maximum(mass, 1)[:, None], anchors)
    return anchors


def _fill(found: np.ndarray, count: int) -> np.ndarray:
    """Bring `found` to `count` anchors by copies that are larger and smaller in turn."""
    anchors, step = list(found), 1
    while len(anchors) < count:
        for factor in (SPREAD**step, SPREAD**-step):
            anchors += [shape * factor for shape in found]
        step += 1
    return np.array(anchors[:count])
