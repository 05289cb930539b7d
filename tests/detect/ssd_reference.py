"""torchvision's SSD, the independent source: its default boxes, loss and detections on given outputs."""

import torch
from torch import Tensor, nn
from torchvision.models.detection.anchor_utils import DefaultBoxGenerator
from torchvision.models.detection.image_list import ImageList
from torchvision.models.detection.ssd import SSD
from torchvision.ops import box_iou

from hwprune.detect.ssd_boxes import default_boxes
from hwprune.detect.ssd_head import SsdHead


def generated(maps, image_size, ratios, scales, steps=None, *, clip=False, dtype=torch.float64) -> Tensor:
    """Corners (B, 4) of torchvision's default boxes; their centres are rounded to float32."""
    generator = DefaultBoxGenerator(ratios, scales=scales, steps=steps, clip=clip)
    generator._wh_pairs = generator._generate_wh_pairs(len(ratios), dtype)
    images = ImageList(torch.zeros(1, 3, *image_size), [image_size])
    return generator(images, [torch.zeros(1, 1, *cells, dtype=dtype) for cells in maps])[0]


def ssd(head: SsdHead, score_threshold: float = 0.01, detections: int = 100) -> SSD:
    """torchvision's SSD around no network: for its loss and its detections."""
    generator = DefaultBoxGenerator([[]] * len(head.maps))
    return SSD(nn.Identity(), generator, head.image_size, 1 + len(head.classes), head=nn.Identity(),
               score_thresh=score_threshold, detections_per_img=detections, topk_candidates=10**6)  # fmt: skip


def head_outputs(outputs: list[Tensor], head: SsdHead) -> dict[str, Tensor]:
    """Raw outputs as torchvision's SSDScoringHead arranges them."""

    def arranged(raw: list[Tensor], columns: int) -> Tensor:
        parts = []
        for results in raw:
            n, _, h, w = results.shape
            results = results.view(n, -1, columns, h, w).permute(0, 3, 4, 1, 2)
            parts.append(results.reshape(n, -1, columns))
        return torch.cat(parts, 1)

    return {
        "bbox_regression": arranged(outputs[::2], 4),
        "cls_logits": arranged(outputs[1::2], 1 + len(head.classes)),
    }


def corners(head: SsdHead, dtype=torch.float32) -> Tensor:
    """Our default boxes as corners; proved equal to `generated` elsewhere."""
    boxes = default_boxes(head).to(dtype)
    return torch.cat([boxes[:, :2] - boxes[:, 2:] / 2, boxes[:, :2] + boxes[:, 2:] / 2], 1)


def loss(outputs: list[Tensor], targets: list[dict], head: SsdHead) -> dict[str, Tensor]:
    """torchvision's matching and loss; its labels count from 1."""
    model, boxes = ssd(head), corners(head, outputs[0].dtype)
    shifted = [{"boxes": t["boxes"].to(boxes.dtype), "labels": t["labels"] + 1} for t in targets]
    matched = [
        model.proposal_matcher(box_iou(t["boxes"], boxes)) if len(t["boxes"]) else torch.full((len(boxes),), -1)
        for t in shifted
    ]
    parts = model.compute_loss(shifted, head_outputs(outputs, head), [boxes] * len(targets), matched)
    return {"box": parts["bbox_regression"], "class": parts["classification"]}
