"""Sizes and values of single layers against torch's own functions."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from torch.nn import functional as F

from hwprune.models.architecture import IMAGE, Architecture, AvgPool, Conv, L2Norm, MaxPool
from hwprune.models.network import Network
from hwprune.sam.settings import Sam


def only(layer, channels=3):
    return Architecture(name="one", in_channels=channels, layers=(layer,), heads=(layer.name,))


def check(layer, image, expected):
    """The network of this layer alone gives what ``expected`` does, or both say that there are no pixels left."""
    architecture, (height, width) = only(layer, image.shape[1]), image.shape[2:]
    network = Network(architecture)
    try:
        wanted = expected(image, network.layers[layer.name])
    except RuntimeError:
        with pytest.raises(ValueError, match=rf"layer '{layer.name}' has no pixels left .* {height}x{width}"):
            architecture.shapes(height, width)
        return
    (found,) = network(image)
    assert torch.equal(found, wanted)
    assert architecture.shapes(height, width)[layer.name] == tuple(wanted.shape[1:])


def picture(channels, height, width):
    return torch.randn(2, channels, height, width, generator=torch.Generator().manual_seed(height * width))


IMAGES = st.builds(picture, st.integers(1, 4), st.integers(1, 24), st.integers(1, 24))


@settings(max_examples=60, deadline=None)
@given(IMAGES, st.integers(1, 4), st.integers(1, 3), st.integers(0, 6), st.integers(1, 6), st.integers(1, 5))
def test_convolution(image, kernel, stride, padding, dilation, width):
    layer = Conv(name="conv1", inputs=(IMAGE,), out_channels=width, kernel=kernel, stride=stride, padding=padding,
                 dilation=dilation, norm=False, activation="linear")  # fmt: skip
    check(layer, image, lambda x, b: F.conv2d(x, b.conv.weight, b.conv.bias, stride, padding, dilation))


@settings(max_examples=40, deadline=None)
@given(IMAGES, st.integers(1, 4), st.integers(1, 3))
def test_mean_pool(image, kernel, stride):
    layer = AvgPool(name="pool1", inputs=(IMAGE,), kernel=kernel, stride=stride)
    check(layer, image, lambda x, _: F.avg_pool2d(x, kernel, stride))


@settings(max_examples=40, deadline=None)
@given(IMAGES, st.sampled_from([(2, 2, 0), (3, 1, 1), (3, 2, 1)]))
def test_max_pool(image, window):
    kernel, stride, padding = window
    layer = MaxPool(name="pool1", inputs=(IMAGE,), kernel=kernel, stride=stride, pad=(padding,) * 4)
    check(layer, image, lambda x, _: F.max_pool2d(x, kernel, stride, padding))


@settings(max_examples=30, deadline=None)
@given(IMAGES, st.floats(0.5, 40))
def test_l2_norm(image, scale):
    image[0, :, 0, 0] = 0  # a pixel of no length stays 0
    layer = L2Norm(name="norm1", inputs=(IMAGE,), scale=scale)
    architecture = only(layer, image.shape[1])
    (found,) = Network(architecture)(image)
    lengths = image.pow(2).sum(1, keepdim=True).sqrt()
    torch.testing.assert_close(found, torch.where(lengths > 0, image / lengths * scale, 0.0))
    assert architecture.shapes(*image.shape[2:])["norm1"] == tuple(image.shape[1:])


def test_scale_of_l2_norm_is_one_number_a_channel():
    network = Network(only(L2Norm(name="norm1", inputs=(IMAGE,)), 5))
    assert [tuple(p.shape) for p in network.parameters()] == [(5,)]
    assert set(network.layers["norm1"].weight.tolist()) == {20.0}  # SSD, section 3.1


def test_sam_neurons_take_no_dilation():
    with pytest.raises(ValidationError, match=r"layer 'conv1': SAM neurons take neighbouring pixels.*dilation of 2"):
        Conv(
            name="conv1",
            inputs=(IMAGE,),
            out_channels=2,
            kernel=3,
            dilation=2,
            activation="relu",
            sam=Sam(form="signed", group=1),
        )
