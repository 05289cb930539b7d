"""Mean average precision of detections."""

from torchmetrics.detection import MeanAveragePrecision

from hwprune.detect.decode import MAX_DETECTIONS


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
