"""SSD's default boxes, the offsets from them (Liu et al., "SSD", ECCV 2016, section 2.2), and what outputs detect."""

from functools import lru_cache

import torch
from torch import Tensor
from torchvision.ops import box_convert

from hwprune.detect.decode import MAX_LOG_SCALE, MAX_LOGIT
from hwprune.detect.ssd_head import SsdHead


@lru_cache(maxsize=8)
def default_boxes(head: SsdHead) -> Tensor:
    """Centre x, centre y, width, height of all B default boxes in pixels: float64 (B, 4), not to be changed in place.

    Detection layer by detection layer, there row, column, then box, which is the order of the published networks.
    """
    layers = []
    for (rows, columns), sizes, (down, right) in zip(head.maps, head.boxes, head.steps, strict=True):
        y = (torch.arange(rows, dtype=torch.float64) + 0.5) * down
        x = (torch.arange(columns, dtype=torch.float64) + 0.5) * right
        layer = torch.empty(rows, columns, len(sizes), 4, dtype=torch.float64)
        layer[..., 0], layer[..., 1] = x[:, None], y[:, None, None]
        layer[..., 2:] = torch.tensor(sizes, dtype=torch.float64)
        layers.append(layer.view(-1, 4))
    boxes = torch.cat(layers)
    if head.clip:
        height, width = head.image_size
        border = boxes.new_tensor([width, height, width, height])
        boxes = box_convert(box_convert(boxes, "cxcywh", "xyxy").clamp(min=0).minimum(border), "xyxy", "cxcywh")
    return boxes


def by_box(outputs: list[Tensor], head: SsdHead) -> tuple[Tensor, Tensor]:
    """Raw outputs in the order of `default_boxes`: offsets (N, B, 4), and logits (N, B, 1 + C), background first.

    Raises
    ------
    ValueError
        If an output's shape is not the one that `head` asks for.
    """
    head.check([raw.shape for raw in outputs])

    def joined(kind: list[Tensor], values: int) -> Tensor:
        return torch.cat([raw.permute(0, 2, 3, 1).reshape(len(raw), -1, values) for raw in kind], 1)

    return joined(outputs[::2], 4), joined(outputs[1::2], 1 + len(head.classes))


def encode(boxes: Tensor, defaults: Tensor, variances: tuple[float, float]) -> Tensor:
    """Offsets (k, 4) from default boxes, (k, 4) as `default_boxes` has them, to corner boxes (k, 4), with area."""
    centre, size = (boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]
    shift = (centre - defaults[:, :2]) / defaults[:, 2:]
    return torch.cat([shift / variances[0], (size / defaults[:, 2:]).log() / variances[1]], 1)


def decode_ssd(outputs: list[Tensor], head: SsdHead) -> tuple[Tensor, Tensor]:
    """All boxes of a batch and their scores.

    Parameters
    ----------
    outputs
        For each detection layer raw float offsets (N, 4 A, rows, columns), then logits (N, (1 + C) A, rows, columns).
    head
        How to read them.

    Returns
    -------
    boxes, scores
        (N, B, 4) corners in pixels, not clipped to the image, and (N, B, C) probabilities of the classes, background
        left out; in the order of `default_boxes`.

    Raises
    ------
    ValueError
        If an output's shape is not the one that `head` asks for.
    """
    offsets, logits = (raw.nan_to_num(0.0).clamp(-MAX_LOGIT, MAX_LOGIT) for raw in by_box(outputs, head))
    defaults = default_boxes(head).to(offsets)
    centre = defaults[:, :2] + offsets[..., :2] * head.variances[0] * defaults[:, 2:]
    scale = (offsets[..., 2:] * head.variances[1]).clamp(-MAX_LOG_SCALE, MAX_LOG_SCALE)
    half = defaults[:, 2:] * scale.exp() / 2
    return torch.cat([centre - half, centre + half], -1), logits.softmax(-1)[..., 1:]
