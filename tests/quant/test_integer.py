"""The integer form computes what the trained network computes, and QONNX's own executor agrees with it exactly."""

import numpy as np
import pytest
import torch
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from hwprune.errors import UserError
from hwprune.models.architecture import IMAGE, Add, Architecture, Conv
from hwprune.models.network import Network
from hwprune.models.yolov3_tiny import yolov3_tiny
from hwprune.quant.export import accumulator, execute, export_qonnx
from hwprune.quant.integer import freeze
from hwprune.quant.network import QuantNetwork
from hwprune.quant.precision import Precision, shared_scales
from hwprune.sam.settings import FORMS, Sam
from tests.nets import architectures, images, integer_network


# Shrinking a failure would take minutes: each example trains and exports a network.
@settings(max_examples=12, deadline=None, phases=[Phase.explicit, Phase.reuse, Phase.generate])
@given(net=st.sampled_from(["mac", "mixed"]).flatmap(architectures), seed=st.integers(0, 2**16))
def test_qonnx_and_brevitas_agree_on_every_layer(net, seed, tmp_path_factory):
    table, size = net
    network = integer_network(table, size, seed)
    graph = export_qonnx(network, size, tmp_path_factory.mktemp("qonnx") / "net.onnx")
    torch.manual_seed(seed)
    pixels = images(table, size, 1)
    found = execute(graph, pixels[0].numpy())
    with torch.no_grad():
        expected = network.forward_all(pixels.float())
    for name, tensor in expected.items():
        assert np.array_equal(found[name], tensor.numpy()), name
        if name not in table.heads:
            assert np.array_equal(tensor, tensor.round()), name
    for layer in table.layers:
        if layer.op == "conv":
            assert np.array_equal(found[accumulator(layer.name)], network.accumulators(expected, layer.name).detach())


@pytest.mark.parametrize("activation", ["leaky", "relu"])
@pytest.mark.parametrize("sam", [None, *(Sam(form=form, group=2, shift=shift) for form in FORMS for shift in (-1, 1))])
def test_freezing_keeps_what_training_reached(activation, sam):
    torch.manual_seed(0)
    table = yolov3_tiny(2, [4, 6, 8, 8, 8, 8, 8, 8, 8, 4, 8])
    table = table.with_neurons(dict.fromkeys(("conv2", "conv4", "conv8", "conv12", "conv13"), sam))
    precision = Precision(activation=activation)
    network = QuantNetwork(table, precision).start_from(Network(table))
    network.train()
    for _ in range(12):
        network(images(table, (64, 64), 2).float() / 255)
    network.eval()
    pixels = images(table, (64, 64), 2).float()
    with torch.no_grad():
        trained, frozen = network(pixels / 255), freeze(network)(pixels)
    for a, b in zip(trained, frozen, strict=True):
        # A value on the edge between two codes may fall either way; it moves a head by a few steps at most.
        assert (a - b).abs().max() < 0.05 * a.abs().max()
        assert ((a - b).abs() < 1e-4).float().mean() > 0.9


def test_branches_of_a_concatenation_share_a_scale():
    owner = shared_scales(yolov3_tiny(1))
    assert owner["conv11"] == owner["conv5"]
    assert len(set(owner.values())) == len(owner) - 1
    assert "conv10" not in owner


def test_edge_layers_have_their_own_bits():
    table, precision = yolov3_tiny(1), Precision(weight_bits=3, edge_bits=7)
    bits = {layer.name: precision.of_weights(table, layer.name) for layer in table.layers if layer.op == "conv"}
    assert {name for name, value in bits.items() if value == 7} == {"conv1", "conv10", "conv13"}
    assert {value for name, value in bits.items() if name not in ("conv1", "conv10", "conv13")} == {3}


def test_a_residual_join_is_refused_by_name():
    a = Conv(name="a", inputs=(IMAGE,), out_channels=2, kernel=1)
    b = Conv(name="b", inputs=("a",), out_channels=2, kernel=1)
    head = Conv(name="head", inputs=("join",), out_channels=1, kernel=1, norm=False, activation="linear")
    table = Architecture(name="residual", layers=(a, b, Add(name="join", inputs=("a", "b")), head), heads=("head",))
    with pytest.raises(UserError, match=r"'join'.*residual"):
        QuantNetwork(table, Precision())


def test_sums_beyond_float32_are_refused():
    wide = Conv(name="wide", inputs=(IMAGE,), out_channels=1, kernel=1, norm=False, activation="linear")
    table = Architecture(name="wide", in_channels=2000, layers=(wide,), heads=("wide",))
    network = QuantNetwork(table, Precision())
    torch.nn.init.ones_(network.layers["wide"].conv.weight)
    with pytest.raises(UserError, match="'wide' can sum up to"):
        freeze(network)
