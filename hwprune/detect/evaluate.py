"""How good a network is, from its head outputs alone."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from hwprune.data.progress import track_slow
from hwprune.detect.heads import Head
from hwprune.detect.kinds import kind_of

SCORE_THRESHOLD = 0.005
"""Low, since the mean average precision ranks by score: a box of small score costs nothing if it is true."""


def to_pixels(images: Tensor) -> Tensor:
    """uint8 images as the float pixels in 0..1 that a network takes; channels last, which convolves faster on CPUs."""
    return images.to(torch.float32, memory_format=torch.channels_last) / 255


def predictor(network: nn.Module) -> Callable[[Tensor], list[Tensor]]:
    """What `evaluate` and `find` call: uint8 images in, raw head outputs of the network in eval mode out."""

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


def find(
    predict: Callable[[Tensor], list[Tensor]], images: Tensor, head: Head, least_score: float = 0.25
) -> list[dict[str, Tensor]]:
    """What a network finds in images.

    Parameters
    ----------
    predict
        From uint8 images (N, 3, H, W) to raw head outputs.
    images
        uint8 (N, 3, H, W) of the head's image size.
    head
        How to read the outputs.
    least_score
        Detections of a smaller score are left out; of a classifier the likeliest classes count, whatever their score.

    Returns
    -------
    list of dict
        For each image `labels` int64 (n,) and `scores` float32 (n,), best first; of a detector `boxes` too, float32
        (n, 4) corners in pixels.
    """
    read = kind_of(head).read
    with torch.no_grad():
        outputs = [raw.detach().float().cpu().contiguous() for raw in predict(images)]
        # Image by image: vectorised arithmetic may round otherwise in another batch.
        return [read([raw[i : i + 1] for raw in outputs], head, least_score) for i in range(len(images))]


def evaluate(
    predict: Callable[[Tensor], list[Tensor]],
    dataset: Dataset,
    head: Head,
    *,
    batch_size: int = 16,
    progress: bool = True,
) -> dict:
    """The figures of a network on a data set; the same head outputs give the same figures to the last bit.

    Parameters
    ----------
    predict
        From uint8 images (N, 3, H, W) to the raw head outputs, float (N, channels, rows, columns) each: a network, its
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
        `images`, the number of images, and for a detector what
        `hwprune.detect.average_precision.mean_average_precision` gives, for a classifier what
        `hwprune.detect.classify.accuracy` gives; the figure that counts is called as `head.metric`.
    """
    loader = DataLoader(dataset, batch_size, collate_fn=collate)
    found, targets = [], []
    for images, batch in track_slow(loader, "evaluate", len(loader)) if progress else loader:
        found += find(predict, images, head, SCORE_THRESHOLD)
        targets += batch
    return kind_of(head).measure(found, targets, head.classes) | {"images": len(targets)}
