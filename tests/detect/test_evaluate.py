import math

import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from hwprune.detect.average_precision import mean_average_precision
from hwprune.detect.evaluate import evaluate, predictor
from hwprune.detect.head import HeadSpec
from hwprune.detect.targets import assign

HEAD = HeadSpec(
    classes=("a", "b", "c"),
    anchors=(((40.0, 40.0), (30.0, 50.0)), ((10.0, 10.0), (20.0, 14.0))),
    strides=(32, 16),
    image_size=(64, 96),
)


class Boxes(Dataset):
    """Black images; the first pixel of each is its index, so that an oracle knows it."""

    classes = HEAD.classes

    def __init__(self, count=7, seed=0):
        generator = torch.Generator().manual_seed(seed)
        self.samples = []
        for i in range(count):
            # Two boxes, in halves of the image that do not meet.
            size = torch.rand(2, 2, generator=generator) * 30 + 8
            corner = torch.rand(2, 2, generator=generator) * 8 + torch.tensor([[0, 0], [48, 0]])
            image = torch.zeros(3, 64, 96, dtype=torch.uint8)
            image[0, 0, 0] = i
            labels = torch.randint(2, (2,), generator=generator)
            self.samples.append((image, {"boxes": torch.cat([corner, corner + size], 1), "labels": labels}))

    def __len__(self):
        return len(self.samples)

    def __getitem__(self, index):
        return self.samples[index]


def encode(targets) -> list[Tensor]:
    """Outputs that mean these boxes: the decoding formulas solved for the raw values, predictor by predictor."""
    outputs = []
    for raw_shape, anchors, stride, a in zip(
        HEAD.shapes(), HEAD.anchors, HEAD.strides, assign(targets, HEAD), strict=True
    ):
        raw = torch.zeros(len(targets), *raw_shape)
        view = raw.view(len(targets), len(anchors), -1, *raw_shape[1:])
        view[:, :, 4] = -20
        for n, k, row, column, box, label in zip(*a, strict=True):
            x, y = (box[0] + box[2]) / 2 / stride - column, (box[1] + box[3]) / 2 / stride - row
            sides = (box[2:] - box[:2]) / torch.tensor(anchors[k])
            values = [x.logit(1e-6), y.logit(1e-6), *sides.log(), 20, *[20 if c == label else -20 for c in range(3)]]
            view[n, k, :, row, column] = torch.tensor([float(v) for v in values])
        outputs.append(raw)
    return outputs


def oracle(dataset):
    return lambda images: encode([dataset[int(i)][1] for i in images[:, 0, 0, 0]])


def test_perfect_predictions_score_one():
    dataset = Boxes()
    result = evaluate(oracle(dataset), dataset, HEAD, batch_size=3)
    assert result["map50"] == pytest.approx(1) and result["map"] == pytest.approx(1)
    assert result["per_class"] == {"a": pytest.approx(1), "b": pytest.approx(1), "c": None}
    assert result["images"] == 7


def test_same_outputs_same_figures_whatever_the_batch():
    dataset = Boxes(11)
    generator = torch.Generator().manual_seed(3)
    noise = [torch.randn(11, *shape, generator=generator) * 2 for shape in HEAD.shapes()]

    def predict(images):
        index = images[:, 0, 0, 0].long()
        return [raw + n[index] for raw, n in zip(oracle(dataset)(images), noise, strict=True)]

    results = [evaluate(predict, dataset, HEAD, batch_size=size, progress=False) for size in (1, 4, 4, 11)]
    assert 0 < results[0]["map50"] < 1
    assert all(result == results[0] for result in results[1:])


def test_known_value():
    """Class a: two targets; detections by score: hit, miss, hit. Precision at recall 1/2 is 1, and at 1 it is 2/3.

    COCO reads precision at 101 recalls: 51 of 0 to 0.50 at 1, 50 at 2/3. Class b has a target and no detection.
    """
    boxes = torch.tensor([[0.0, 0, 20, 20], [30, 0, 50, 20], [60, 30, 80, 50]])
    detections = [{"boxes": boxes[[0, 2, 1]], "scores": torch.tensor([0.9, 0.8, 0.7]), "labels": torch.zeros(3).long()}]
    targets = [{"boxes": boxes[[0, 1, 2]], "labels": torch.tensor([0, 0, 1])}]
    result = mean_average_precision(detections, targets, HEAD.classes)
    a = (51 + 50 * 2 / 3) / 101
    assert result["per_class"] == {"a": pytest.approx(a), "b": 0.0, "c": None}
    assert result["map50"] == pytest.approx(a / 2)


def test_an_overlap_of_0_6_counts_at_0_5_and_two_more_thresholds():
    # 12 of 20 pixels in common: IoU 0.6, so true at 0.50 and 0.55 (and not at 0.6, which rounding decides: 0.61 here).
    detections = [
        {"boxes": torch.tensor([[0.0, 0, 12.2, 10]]), "scores": torch.ones(1), "labels": torch.zeros(1).long()}
    ]
    targets = [{"boxes": torch.tensor([[0.0, 0, 20, 10]]), "labels": torch.zeros(1).long()}]
    result = mean_average_precision(detections, targets, HEAD.classes)
    assert result["map50"] == pytest.approx(1) and result["map"] == pytest.approx(0.3)


def test_nothing_to_find():
    dataset = Boxes(2)
    for _, target in dataset.samples:
        target["boxes"], target["labels"] = torch.zeros(0, 4), torch.zeros(0, dtype=torch.int64)
    result = evaluate(oracle(dataset), dataset, HEAD)
    assert result["map50"] == 0 and result["per_class"] == {"a": None, "b": None, "c": None}


def test_predictor_scales_pixels_and_keeps_the_mode():
    class Probe(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.ones(()))

        def forward(self, x):
            assert not self.training
            return [x * self.weight]

    probe = Probe()
    (out,) = predictor(probe)(torch.full((1, 3, 2, 2), 51, dtype=torch.uint8))
    assert probe.training and not out.requires_grad and out.dtype == torch.float32
    assert out.flatten()[0].item() == pytest.approx(0.2)
    assert math.prod(out.shape) == 12
