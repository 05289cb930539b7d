from copy import deepcopy

import numpy as np
import pytest
import torch

from hwprune.models.network import Network
from hwprune.models.yolov3_tiny import yolov3_tiny
from hwprune.sam.convert import convert, initialise
from hwprune.sam.layer import SamConv2d
from hwprune.sam.settings import FORMS, Sam

TABLE = yolov3_tiny(1, [4, 8, 8, 8, 8, 8, 8, 8, 8, 4, 8], 1)
CHOSEN = {
    "conv3": Sam(form="signed", group=2),
    "conv5": Sam(form="difference", group=4),
    "conv8": Sam(form="maxmin", group=0),
    "conv10": Sam(form="difference", group=2),
    "conv4": None,
}


def trained() -> Network:
    """Weights and statistics that are not those of a new network."""
    torch.manual_seed(3)
    network = Network(TABLE)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.weight, -1.0, 1.5)
            torch.nn.init.uniform_(module.bias, -0.5, 0.5)
    with torch.no_grad():
        for pixels in batches():
            network(pixels)
    return network


def batches() -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.rand(4, 3, 64, 64, generator=generator) for _ in range(3)]


@pytest.mark.parametrize("form, floor", [*((form, False) for form in FORMS), ("signed", True), ("difference", True)])
@pytest.mark.parametrize("group", [2, 4, 8])
def test_first_weights_do_nearly_what_the_convolution_did(form, floor, group):
    """Random inputs behind a ReLU, some channels stronger than others."""
    torch.manual_seed(group)
    conv = torch.nn.Conv2d(16, 12, 3, padding=1, bias=False)
    layer = SamConv2d(16, 12, 3, 1, 1, sam=Sam(form=form, group=group, floor=floor))
    x = torch.randn(8, 16, 12, 12).relu() * torch.rand(16, 1, 1).mul(3).add(0.3)
    initialise(layer, conv.weight, x.std((0, 2, 3)))
    with torch.no_grad():
        sums, wanted = (out[:, :, 1:-1, 1:-1].transpose(0, 1).reshape(12, -1) for out in (layer(x), conv(x)))
    found = np.mean([np.corrcoef(a, b)[0, 1] for a, b in zip(sums.numpy(), wanted.numpy(), strict=True)])
    # With random weights it is 0; a minimum beside a maximum can not tell much of negative weights.
    assert found > (0.15 if form == "maxmin" else 0.6)
    if floor:
        assert all((weight <= 0).all() for weight in (layer.positive, layer.negative) if weight is not None)


def test_a_signed_group_has_the_sign_of_its_strongest_connection():
    layer = SamConv2d(4, 1, 1, sam=Sam(form="signed", group=2))
    weight = torch.tensor([1.0, -2.0, 3.0, -1.0]).reshape(1, 4, 1, 1)
    initialise(layer, weight, torch.tensor([4.0, 1.0, 1.0, 1.0]))
    # Moves are 4, -2, 3, -1: the first channel counts for its deviation.
    assert layer.sign().tolist() == [[1, 1]]
    moves = layer.positive.detach().reshape(-1) / layer.positive.detach()[0, 2, 0, 0] * 3
    assert torch.allclose(moves, torch.tensor([4.0, -2.0, 3.0, -1.0]))
    initialise(layer, -weight, torch.tensor([4.0, 1.0, 1.0, 1.0]))
    assert layer.sign().tolist() == [[-1, -1]]
    assert torch.allclose(layer.positive.detach().reshape(-1) / layer.positive.detach()[0, 2, 0, 0] * 3, moves)


@pytest.mark.parametrize("form", FORMS)
def test_dead_channels_and_dead_units_are_no_trouble(form):
    layer = SamConv2d(4, 2, 3, sam=Sam(form=form, group=2))
    weight = torch.randn(2, 4, 3, 3)
    weight[1] = 0
    initialise(layer, weight, torch.tensor([1.0, 0, 0, 2]))
    initialise(layer, weight, torch.zeros(4))
    assert all(parameter.isfinite().all() for parameter in layer.parameters())


@torch.no_grad()
def test_what_leaves_a_layer_is_as_close_as_its_norm_can_bring_it():
    network = trained()
    twin = convert(network, CHOSEN, batches()).eval()
    network.eval()
    for name in ("conv3", "conv5", "conv8"):
        source = TABLE[name].input
        inputs = [network.forward_all(pixels)[source] for pixels in batches()]
        block, other = network.layers[name], twin.layers[name]
        wanted, found = (
            torch.cat([b.norm(b.conv(x)).transpose(0, 1).flatten(1) for x in inputs], 1).double()
            for b in (block, other)
        )
        for own, theirs in zip(found, wanted, strict=True):
            # No other scale and shift of the sums comes closer.
            best = np.polyval(np.polyfit(own, theirs, 1), own)
            assert (own - theirs).square().mean() <= 1.001 * np.square(best - theirs.numpy()).mean() + 1e-7
            assert own.mean().item() == pytest.approx(theirs.mean().item(), abs=1e-4)
    head, source = "conv10", TABLE["conv10"].input
    inputs = [network.forward_all(pixels)[source] for pixels in batches()]
    means = [torch.cat([n.layers[head].conv(x) for x in inputs]).mean((0, 2, 3)) for n in (network, twin)]
    assert torch.allclose(*means, atol=1e-4)


def test_the_rest_is_as_it_was():
    network = trained()
    before, state, training = deepcopy(network.state_dict()), torch.get_rng_state(), network.training
    twin = convert(network, CHOSEN, iter(batches()))
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert network.training == training and twin.training
    assert twin.architecture == TABLE.with_neurons(CHOSEN)
    for name in ("conv1", "conv4", "conv13"):
        found, wanted = twin.layers[name].state_dict(), network.layers[name].state_dict()
        assert found.keys() == wanted.keys() and all(torch.equal(found[key], wanted[key]) for key in wanted)
    again = convert(network, CHOSEN, batches()).state_dict()
    assert all(torch.equal(value, again[name]) for name, value in twin.state_dict().items())
    with pytest.raises(ValueError, match="'conv3' is SAM already"):
        convert(twin, {"conv3": Sam(form="difference", group=2)}, batches())
