"""The hardware graph, executed by FINN's own Python operators, against the integer network."""

import numpy as np
import pytest
import torch
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from qonnx.core.onnx_exec import execute_onnx

from hwprune.accel import operators
from hwprune.accel.finn_env import prepare_finn
from hwprune.accel.lower import lower
from hwprune.errors import UserError
from hwprune.models.architecture import IMAGE, Architecture, Conv, MaxPool
from hwprune.quant.export import accumulator, export_qonnx
from hwprune.sim.golden import golden_streams
from tests.nets import architectures, images, integer_network


@pytest.fixture(scope="module", autouse=True)
def finn(tmp_path_factory):
    prepare_finn(tmp_path_factory.mktemp("finn"))
    operators.register()


@settings(max_examples=6, deadline=None, phases=[Phase.explicit, Phase.reuse, Phase.generate])
@given(net=st.sampled_from(["mac", "mixed"]).flatmap(architectures), seed=st.integers(0, 2**16))
def test_finns_own_execution_gives_the_networks_integers(net, seed, tmp_path_factory):
    table, size = net
    network = integer_network(table, size, seed)
    model, affine = lower(export_qonnx(network, size, tmp_path_factory.mktemp("lower") / "net.onnx"))
    torch.manual_seed(seed)
    image = images(table, size, 1)[0].numpy()
    pixels = image.transpose(1, 2, 0)[None].astype(np.float32)
    found = execute_onnx(model, {IMAGE: pixels}, return_full_exec_context=True)
    streams = [name for node in model.graph.node for name in node.output]
    expected = golden_streams(network, image, streams)
    for name in streams:
        assert np.array_equal(found[name].reshape(-1), expected[name]), name
        low, high = model.get_tensor_datatype(name).min(), model.get_tensor_datatype(name).max()
        assert low <= expected[name].min() and expected[name].max() <= high, name
    # The host's affine map completes the heads.
    assert [a.head for a in affine] == list(table.heads)
    with torch.no_grad():
        heads = network(torch.from_numpy(image)[None].float())
    for a, head in zip(affine, heads, strict=True):
        sums = torch.from_numpy(found[accumulator(a.head)].transpose(0, 3, 1, 2))
        scaled = sums * torch.from_numpy(a.scale)[:, None, None] + torch.from_numpy(a.bias)[:, None, None]
        assert torch.equal(scaled, head)


@pytest.mark.parametrize(
    ("kernel", "stride", "size", "why"),
    [
        (1, 2, (2, 12), "windows that leave 1 of 2 rows or columns unused"),
        (1, 3, (7, 3), "windows that leave 2 of 3 rows or columns unused"),
        (2, 4, (9, 5), "windows that leave 3 of 5 rows or columns unused"),
        (1, 2, (1, 12), "a stride larger than the map"),
        (2, 3, (2, 8), "a stride larger than the map"),
        (1, 2, (1, 3), "a stride larger than the map"),
        (1, 2, (3, 1), "a stride larger than the map"),
        (1, 2, (4, 2), "windows that leave 1 of 2 rows or columns unused"),
        (1, 2, (6, 7), None),
        (3, 2, (6, 7), None),
        (3, 2, (7, 8), None),
        (2, 3, (5, 8), None),
    ],
)
def test_a_window_that_finn_gets_wrong_is_refused_by_the_layers_name(tmp_path, kernel, stride, size, why):
    layers = (
        Conv(name="conv1", inputs=(IMAGE,), out_channels=2, kernel=kernel, stride=stride),
        Conv(name="head", inputs=("conv1",), out_channels=1, kernel=1, norm=False, activation="linear"),
    )
    table = Architecture(name="strided", layers=layers, heads=("head",))
    graph = export_qonnx(integer_network(table, size, 0), size, tmp_path / "net.onnx")
    if why is None:
        lower(graph)
        return
    with pytest.raises(
        UserError, match=rf"layer 'conv1': kernel .*{size[0]}x{size[1]} pixels.* {why}; give the layer another stride"
    ):
        lower(graph)


def test_a_pool_without_hardware_is_refused_by_name(tmp_path):
    table = Architecture(
        name="pool3",
        layers=(
            Conv(name="conv1", inputs=(IMAGE,), out_channels=2, kernel=1),
            MaxPool(name="wide", inputs=("conv1",), kernel=3, stride=3),
            Conv(name="head", inputs=("wide",), out_channels=1, kernel=1, norm=False, activation="linear"),
        ),
        heads=("head",),
    )
    graph = export_qonnx(integer_network(table, (12, 12), 0), (12, 12), tmp_path / "net.onnx")
    with pytest.raises(UserError, match=r"max-pool 'wide': no hardware for a 3x3 window with stride 3"):
        lower(graph)


def test_a_window_that_finn_gets_wrong_is_refused_by_name(tmp_path):
    table = Architecture(
        name="sparse",
        layers=(
            Conv(name="sparse", inputs=(IMAGE,), out_channels=2, kernel=1, stride=8),
            Conv(name="head", inputs=("sparse",), out_channels=1, kernel=1, norm=False, activation="linear"),
        ),
        heads=("head",),
    )
    graph = export_qonnx(integer_network(table, (8, 8), 0), (8, 8), tmp_path / "net.onnx")
    with pytest.raises(UserError, match=r"layer 'sparse': kernel \[1, 1\], stride \[8, 8\].* leave 7 of 8 rows"):
        lower(graph)
