"""SSD's layer tables against the figures of the SSD paper, and against networks built of torch's modules."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hwprune.models.network import Network
from hwprune.models.ssd import sources, ssd300, ssd300_widths, ssd512, ssd512_widths
from hwprune.models.store import load_model, save_model

BUILDERS = {"ssd300": (ssd300, ssd300_widths, 6), "ssd512": (ssd512, ssd512_widths, 7)}
SMALL = 4


def small(build, usual, layers, **settings):
    """The network with 4 channels everywhere."""
    return build(2, dict.fromkeys(usual(layers), SMALL), layers, **settings)


@pytest.mark.parametrize(
    ("build", "size", "maps", "boxes", "total"),
    [
        # Maps: figure 2 of the SSD paper; boxes in all: table 7 (SSD300) and table 8 (SSD512).
        (ssd300, 300, (38, 19, 10, 5, 3, 1), (4, 6, 6, 6, 4, 4), 8732),
        (ssd512, 512, (64, 32, 16, 8, 4, 2, 1), (4, 6, 6, 6, 6, 4, 4), 24564),
    ],
)
def test_published_maps_and_boxes(build, size, maps, boxes, total):
    architecture = build(20)
    shapes = architecture.shapes(size, size)
    expected = []
    for side, number in zip(maps, boxes, strict=True):
        expected += [(4 * number, side, side), (21 * number, side, side)]
    assert [shapes[head] for head in architecture.heads] == expected
    assert sum(
        shapes[head][0] // 4 * side * side for head, side in zip(architecture.heads[::2], maps, strict=True)
    ) == (total)
    assert [(s, shapes[s][1]) for s in sources(architecture)] == list(
        zip(["norm4_3", "conv7", *(f"conv{n}_2" for n in range(8, 6 + len(maps)))], maps, strict=True)
    )


def test_layers_that_are_unlike_vggs():
    architecture = ssd512(20)
    pool5, conv6, conv7, conv12_2 = (architecture[name] for name in ("pool5", "conv6", "conv7", "conv12_2"))
    assert (pool5.kernel, pool5.stride, pool5.pad) == (3, 1, (1, 1, 1, 1))
    assert (conv6.kernel, conv6.dilation, conv6.padding, conv6.out_channels) == (3, 6, 6, 1024)
    assert (conv7.kernel, conv7.out_channels) == (1, 1024)
    assert (conv12_2.kernel, conv12_2.padding, conv12_2.input) == (4, 1, "conv12_1")
    assert architecture["norm4_3"].inputs == ("conv4_3",) == architecture["pool4"].inputs
    assert {layer.activation for layer in architecture.layers if layer.op == "conv"} == {"relu", "linear"}
    assert [layer.name for layer in architecture.layers if layer.op == "conv" and layer.activation == "linear"] == list(
        architecture.heads
    )


@pytest.mark.parametrize("norm", [False, True])
def test_norm_is_in_all_layers_or_none_and_never_in_a_head(norm):
    architecture = ssd300(3, norm=norm)
    convs = [layer for layer in architecture.layers if layer.op == "conv"]
    assert all(layer.norm == (norm and layer.name not in architecture.heads) for layer in convs)


@pytest.mark.parametrize("name", BUILDERS)
def test_fewer_detection_layers_are_the_first_ones(name):
    build, usual, most = BUILDERS[name]
    torch.manual_seed(0)
    full, image = Network(small(build, usual, most)).eval(), torch.rand(2, 3, 300, 300)
    with torch.no_grad():
        outputs = full(image)
        for layers in range(1, most):
            part = Network(small(build, usual, layers)).eval()
            missing, _ = part.load_state_dict(full.state_dict(), strict=False)
            assert not missing
            # Nothing is left that no detection layer reads.
            read = {source for layer in part.architecture.layers for source in layer.inputs}
            assert {layer.name for layer in part.architecture.layers} - read == set(part.architecture.heads)
            for a, b in zip(part(image), outputs[: 2 * layers], strict=True):
                assert torch.equal(a, b)


@settings(max_examples=25, deadline=None)
@given(st.sampled_from(list(BUILDERS)), st.integers(8, 140), st.integers(8, 140), st.data())
def test_any_size_whose_maps_do_not_vanish(name, height, width, data):
    build, usual, most = BUILDERS[name]
    layers = data.draw(st.integers(1, most))
    try:
        architecture = small(build, usual, layers, image_size=(height, width), norm=data.draw(st.booleans()))
    except ValueError as error:
        assert layers > 2 and "has no pixels left" in str(error) and f"fewer than {layers} detection" in str(error)
        return
    with torch.no_grad():
        values = Network(architecture).eval().forward_all(torch.rand(1, 3, height, width))
    assert {name: tuple(value.shape[1:]) for name, value in values.items()} == architecture.shapes(height, width)
    rounded_up = [-(-height // 8), -(-width // 8)]
    assert list(values["conv4_3"].shape[2:]) == rounded_up


def test_widths_and_boxes_of_ones_own():
    architecture = ssd300(1, {"conv4_3": 331, "conv9_1": 12}, 4, boxes=(2, 4, 4, 6))
    channels = architecture.channels()
    assert (channels["norm4_3"], channels["conv9_1"], channels["conv9_2"]) == (331, 12, 256)
    assert [channels[head] for head in architecture.heads] == [8, 4, 16, 8, 16, 8, 24, 12]
    assert ssd512(20, ssd512_widths()) == ssd512(20) and ssd300(20, ssd300_widths(3), 3) == ssd300(20, {}, 3)


@pytest.mark.parametrize(
    ("arguments", "settings", "complaint"),
    [
        ((0,), {}, "ssd300 takes one class or more beside the background, not 0"),
        ((3, None, 0), {}, "ssd300 has 1 to 6 detection layers, not 0"),
        ((3, None, 7), {}, "ssd300 has 1 to 6 detection layers, not 7"),
        ((3, {"conv12_1": 4}), {}, "ssd300 has no layer 'conv12_1'"),
        ((3, {"classes1": 4}), {}, "ssd300 has no layer 'classes1' whose width is free; it has conv1_1, conv1_2"),
        ((3, {"conv6": 4}, 1), {}, "ssd300 has no layer 'conv6'"),
        ((3, {"conv6": 0}), {}, "layer 'conv6' cannot have 0 channels"),
        ((3, None, 2), {"boxes": (4, 6, 6)}, r"boxes \(4, 6, 6\) for 2 detection layers"),
        ((3, None, 2), {"boxes": (4, 0)}, r"boxes \(4, 0\) for 2 detection layers"),
        ((3,), {"image_size": (64, 64)}, "'conv10_2' has no pixels left .* 64x64; take a larger image or fewer than 6"),
    ],
)
def test_arguments_that_do_not_fit(arguments, settings, complaint):
    with pytest.raises(ValueError, match=complaint):
        ssd300(*arguments, **settings)


@pytest.mark.parametrize("norm", [False, True])
def test_checkpoint(tmp_path, norm):
    network = Network(small(ssd300, ssd300_widths, 3, image_size=(64, 64), norm=norm))
    with torch.no_grad():
        network.layers["norm4_3"].weight.mul_(torch.rand(SMALL) + 0.5)  # training moves the scales
    save_model(tmp_path, network)
    loaded, _ = load_model(tmp_path)
    assert loaded.architecture == network.architecture
    image = torch.rand(1, 3, 64, 64)
    for a, b in zip(network.eval()(image), loaded.eval()(image), strict=True):
        assert torch.equal(a, b)
