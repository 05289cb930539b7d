"""Channel groups: tables worked by hand, and what must hold for any table."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tables import SIZE, architectures, network_of

from hwprune.models.architecture import IMAGE, Add, Architecture, Concat, Conv, MaxPool
from hwprune.models.yolov3_tiny import yolov3_tiny
from hwprune.prune.groups import channel_groups


def conv(name, source, out):
    return Conv(name=name, inputs=(source,), out_channels=out, kernel=1)


def members(*layers, heads=("head",)):
    architecture = Architecture(name="t", layers=layers, heads=heads)
    return {group.name: (group.width, group.members) for group in channel_groups(architecture)}


def test_tiny_yolov3_has_a_group_for_each_convolution_but_the_heads():
    architecture = yolov3_tiny(80)
    found = channel_groups(architecture)
    assert [group.name for group in found] == [f"conv{i}" for i in (*range(1, 10), 11, 12)]
    assert [group.width for group in found] == [16, 32, 64, 128, 256, 512, 1024, 256, 512, 128, 256]
    assert all(group.members == {group.name: tuple(range(group.width))} for group in found)


def test_a_chain_of_residual_joins_is_one_group():
    assert members(
        conv("a", IMAGE, 2), conv("b", "a", 2), Add(name="x", inputs=("a", "b")),
        MaxPool(name="p", inputs=("x",), stride=1, pad=(0, 1, 0, 1)), conv("c", "p", 2),
        Add(name="y", inputs=("p", "c")), conv("head", "y", 1),
    ) == {"a": (2, {"a": (0, 1), "b": (0, 1), "c": (0, 1)})}  # fmt: skip


def test_a_concat_that_is_added_ties_the_halves_separately():
    assert members(
        conv("a", IMAGE, 1), conv("b", IMAGE, 2), Concat(name="ab", inputs=("a", "b")), conv("c", IMAGE, 3),
        Add(name="x", inputs=("c", "ab")), conv("head", "x", 1),
    ) == {"a": (3, {"a": (0,), "b": (1, 2), "c": (0, 1, 2)})}  # fmt: skip


def test_a_tensor_beside_itself_ties_channels_of_one_convolution():
    assert members(
        conv("a", IMAGE, 2), Concat(name="aa", inputs=("a", "a")), conv("c", "a", 4), Add(name="x", inputs=("c", "aa")),
        conv("head", "x", 1),
    ) == {"a": (2, {"a": (0, 1), "c": (0, 1, 0, 1)})}  # fmt: skip


def test_what_touches_the_image_or_a_head_stays():
    layers = (
        conv("a", IMAGE, 3), Add(name="x", inputs=(IMAGE, "a")),  # tied to the image
        conv("b", "x", 2), conv("c", "b", 2), Add(name="y", inputs=("b", "c")),  # leaves through a concat
        conv("d", "y", 4), Concat(name="z", inputs=("y", "d")), conv("e", "d", 2), conv("head", "e", 1),
    )  # fmt: skip
    assert list(members(*layers)) == ["b", "d", "e"]
    assert list(members(*layers, heads=("head", "z"))) == ["e"]
    assert list(members(*layers, heads=("head", "y"))) == ["d", "e"]


@settings(max_examples=30, deadline=None)
@given(st.data())
@torch.no_grad()
def test_a_prunable_channel_reaches_the_heads_through_convolutions_only(data):
    """With convolutions that are deaf to their inputs, no head shows what a group's convolution puts out."""
    architecture = data.draw(architectures())
    network = network_of(architecture, 1)
    for layer in architecture.layers:
        if layer.op == "conv":  # deaf: nothing passes a convolution
            network.layers[layer.name].conv.weight.zero_()
    x = torch.rand(1, architecture.in_channels, SIZE, SIZE, dtype=torch.float64)
    before, groups = network.forward_all(x), channel_groups(architecture)
    convs = [conv for group in groups for conv in group.members]
    assert len(convs) == len(set(convs))
    for layer in architecture.layers:
        if layer.op != "conv":
            continue
        block = network.layers[layer.name]
        handle = block.register_forward_hook(lambda _, __, output: output + 1e6)
        after = network.forward_all(x)
        handle.remove()
        seen = any(not torch.equal(before[head], after[head]) for head in architecture.heads)
        assert not (seen and layer.name in convs)
