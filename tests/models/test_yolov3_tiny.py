"""tiny-YOLOv3's layer table against darknet's yolov3-tiny.cfg, as darknet prints it."""

import pytest
import torch

from hwprune.models.network import Network
from hwprune.models.yolov3_tiny import STRIDES, yolov3_tiny

# darknet's listing at 416x416: kind, output height, width and channels; route 17 and the two yolo rows make no tensor.
DARKNET = [
    ("conv", 416, 416, 16), ("maxpool", 208, 208, 16), ("conv", 208, 208, 32), ("maxpool", 104, 104, 32),
    ("conv", 104, 104, 64), ("maxpool", 52, 52, 64), ("conv", 52, 52, 128), ("maxpool", 26, 26, 128),
    ("conv", 26, 26, 256), ("maxpool", 13, 13, 256), ("conv", 13, 13, 512), ("maxpool", 13, 13, 512),
    ("conv", 13, 13, 1024), ("conv", 13, 13, 256), ("conv", 13, 13, 512), ("conv", 13, 13, 255),
    ("conv", 13, 13, 128), ("upsample", 26, 26, 128), ("concat", 26, 26, 384), ("conv", 26, 26, 256),
    ("conv", 26, 26, 255),
]  # fmt: skip


def test_layers_are_darknets():
    architecture = yolov3_tiny(80)
    shapes = architecture.shapes(416, 416)
    rows = [(layer.op, *shapes[layer.name][1:], shapes[layer.name][0]) for layer in architecture.layers]
    assert rows == DARKNET
    convs = [layer for layer in architecture.layers if layer.op == "conv"]
    assert [layer.kernel for layer in convs] == [3, 3, 3, 3, 3, 3, 3, 1, 3, 1, 1, 3, 1]
    assert [layer.norm for layer in convs] == [layer.name not in architecture.heads for layer in convs]
    assert {layer.activation for layer in convs if layer.norm} == {"leaky"}
    assert {layer.activation for layer in convs if not layer.norm} == {"linear"}


@pytest.mark.parametrize(("height", "width"), [(32, 32), (64, 160), (224, 96)])
@pytest.mark.parametrize(("classes", "anchors"), [(1, 3), (4, 2)])
def test_heads_have_a_cell_per_stride_at_any_size(height, width, classes, anchors):
    architecture = yolov3_tiny(classes, (4,) * 11, anchors, activation="relu", in_channels=1)
    network = Network(architecture).eval()
    with torch.no_grad():
        values = network.forward_all(torch.rand(2, 1, height, width))
        heads = network(torch.rand(2, 1, height, width))
    assert [tuple(head.shape) for head in heads] == [
        (2, anchors * (5 + classes), height // stride, width // stride) for stride in STRIDES
    ]
    assert {name: tuple(value.shape[1:]) for name, value in values.items()} == architecture.shapes(height, width)


def test_number_of_widths():
    with pytest.raises(ValueError, match=r"11 widths.*not 3"):
        yolov3_tiny(1, (8, 8, 8))
