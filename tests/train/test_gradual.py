import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from hwprune.sam.blend import Blend
from hwprune.sam.layer import SamConv2d
from hwprune.sam.settings import Sam
from hwprune.train.gradual import advance, share, temperature
from hwprune.train.settings import SamTraining

FRACTIONS = st.floats(0, 1)


def test_layers_are_converted_one_after_another():
    settings = SamTraining(conversion=0.5)
    shares = [[share(settings, progress, layer, 2) for layer in range(2)] for progress in (0, 0.125, 0.25, 0.375, 0.5)]
    assert shares == [[0, 0], [0.5, 0], [1, 0], [1, 0.5], [1, 1]]
    assert share(SamTraining(conversion=0), 0, 3, 4) == 1


def test_temperature_falls_to_true_extremes():
    settings = SamTraining(temperature=2.0, hard_after=0.8)
    assert [temperature(settings, p) for p in (0, 0.2, 0.4, 0.8, 1)] == pytest.approx([2, 1.5, 1, 0, 0])
    assert temperature(SamTraining(), 0) == 0


@settings(deadline=None, max_examples=50)
@given(conversion=FRACTIONS, hard_after=st.floats(0.01, 1), layers=st.integers(1, 9), progress=FRACTIONS)
def test_nothing_goes_back_and_all_ends_pure(conversion, hard_after, layers, progress):
    settings = SamTraining(conversion=conversion, hard_after=hard_after, temperature=1.0)
    now, later = ([share(settings, p, i, layers) for i in range(layers)] for p in (progress, (1 + progress) / 2))
    assert all(0 <= a <= b <= 1 for a, b in zip(now, later, strict=True))
    assert sum(0 < value < 1 for value in now) <= 1 and now == sorted(now, reverse=True)
    assert [share(settings, 1.0, i, layers) for i in range(layers)] == [1.0] * layers
    assert temperature(settings, 1.0) == 0


def test_a_network_is_brought_along():
    layers = [SamConv2d(4, 2, 1, sam=Sam(form="signed", group=2)) for _ in range(2)]
    network = nn.Sequential(
        layers[0], *(Blend(layer, nn.Identity(), nn.Conv2d(4, 2, 1), nn.Identity()) for layer in layers)
    )
    with torch.no_grad():
        layers[0].polarity.fill_(-3)
    advance(network, SamTraining(temperature=1.0, hard_after=1.0, conversion=0.5), 0.25)
    assert [layer.temperature for layer in layers] == [0.75, 0.75]
    assert [network[1].share, network[2].share] == [1, 0]
    assert (layers[0].polarity == -1).all()
