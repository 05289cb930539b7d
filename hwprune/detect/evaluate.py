"""Mean average precision of a detector, from its head outputs alone."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from torchmetrics.detection import MeanAveragePrecision

from hwprune.data.progress import track_slow
from hwprune.detect.decode import MAX_DETECTIONS, detect
from hwprune.detect.head import HeadSpec

SCORE_THRESHOLD = 0.005
"""Low, since the mean average precision ranks by score: a box of small score costs nothing if it is true."""


def to_pixels(images: Tensor) -> Tensor:
    """uint8 images as the float pixels in 0..1 that a network takes; channels last, which convolves faster on CPUs."""
    return images.to(torch.float32, memory_format=torch.channels_last) / 255


def predictor(network: nn.Module) -> Callable[[Tensor], list[Tensor]]:
    """What `evaluate` and `detect` call: uint8 images in, raw head outputs of the network in eval mode out."""

    @torch.no_grad()
    def predict(images: Tensor) -> list[Tensor]:
        training, device = network.training, next(network.parameters()).device
        network.eval()
        try:
            return network(to_pixels(images.to(device)))
        finally:
            network.train(training)

    return predict


def collate(samples: list[tuple[Tensor, dict]]) -> tuple[Tensor, list[dict]]:
    """A batch: uint8 images (N, 3, H, W), and the list of their targets."""
    images, targets = zip(*samples, strict=True)
    return torch.stack(images), list(targets)


def mean_average_precision(detections: list[dict], targets: list[dict], classes: tuple[str, ...]) -> dict:
    """COCO's mean average precision of detections against targets, image by image.

    Parameters
    ----------
    detections
        For each image, `boxes` (n, 4) corners in pixels, `scores` (n,), `labels` (n,).
    targets
        For each image, `boxes` (m, 4) and `labels` (m,).
    classes
        Names, in the order of the labels.

    Returns
    -------
    dict
        `map50` (at IoU 0.5), `map` (mean over IoU 0.5 to 0.95), floats in 0..1, and `per_class`, the AP at IoU 0.5 by
        name, None for a class that the targets lack. With no target box at all, `map50` and `map` are 0.
    """
    metric = MeanAveragePrecision(backend="faster_coco_eval", extended_summary=True,
                                  max_detection_thresholds=[1, 10, MAX_DETECTIONS])  # fmt: skip
    result = metric(detections, targets)
    per_class = dict.fromkeys(classes)
    # (IoU, recall, class, area, detections): at IoU 0.5, any area, all detections; -1 where the class has no target.
    precision = result["precision"][0, :, :, 0, -1].mean(0)
    for label, ap in zip(result["classes"].reshape(-1).tolist(), precision.tolist(), strict=True):
        per_class[classes[label]] = ap if ap >= 0 else None
    return {
        "map50": max(result["map_50"].item(), 0.0),
        "map": max(result["map"].item(), 0.0),
        "per_class": per_class,
    }


def evaluate(
    predict: Callable[[Tensor], list[Tensor]],
    dataset: Dataset,
    head: HeadSpec,
    *,
    batch_size: int = 16,
    progress: bool = True,
) -> dict:
    """Mean average precision of a detector on a data set; the same head outputs give the same figures to the last bit.

    Parameters
    ----------
    predict
        From uint8 images (N, 3, H, W) to the raw head outputs, float (N, A*(5+C), rows, columns) each: a network, its
        quantised twin, or an accelerator.
    dataset
        Of (image uint8 (3, H, W), target) samples.
    head
        How to read the outputs.
    batch_size
        Images per call of `predict`.
    progress
        Show a bar if it takes more than two seconds.

    Returns
    -------
    dict
        As `mean_average_precision`, and `images`, the number of images.
    """
    loader = DataLoader(dataset, batch_size, collate_fn=collate)
    detections, targets = [], []
    for images, batch in track_slow(loader, "evaluate", len(loader)) if progress else loader:
        detections += detect(predict, images, head, SCORE_THRESHOLD)
        targets += batch
    return mean_average_precision(detections, targets, head.classes) | {"images": len(targets)}
