"""VGG's layer tables against networks built of torchvision's layers, with linear layers where VGG has them."""

import pytest
import torch
import torchvision
from torch import nn
from torchvision.models.vgg import cfgs, make_layers

from hwprune.models.cost import macs, parameters
from hwprune.models.network import Network
from hwprune.models.store import load_model, save_model
from hwprune.models.vgg import vgg16, vgg16_widths, vgg19_bn, vgg19_widths


def narrow(letter):
    """torchvision's list of a VGG with a sixteenth of the channels, pools included."""
    return [step if step == "M" else step // 16 for step in cfgs[letter]]


def copy_into(network, reference):
    """The reference's numbers in the order of its layers; a linear layer's are those of a kernel over the whole map."""
    convs = [m for m in reference.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    norms = [m for m in reference.modules() if isinstance(m, nn.BatchNorm2d | nn.BatchNorm1d)]
    blocks = [network.layers[layer.name] for layer in network.architecture.layers if layer.op == "conv"]
    with torch.no_grad():
        for norm in norms:  # as after some training
            for vector in (norm.weight, norm.bias, norm.running_mean, norm.running_var):
                vector.copy_(torch.rand_like(vector) + 0.5)
        for block, module in zip(blocks, convs, strict=True):
            block.conv.weight.copy_(module.weight.view_as(block.conv.weight))
            if block.conv.bias is not None:
                block.conv.bias.copy_(module.bias)
    for block, norm in zip([b for b in blocks if isinstance(b.norm, nn.BatchNorm2d)], norms, strict=True):
        block.norm.load_state_dict(norm.state_dict())


@pytest.mark.parametrize("norm", [False, True])
@pytest.mark.parametrize(("side", "hidden"), [(64, (12, 10)), (32, (9,)), (45, ())])
def test_vgg16_computes_what_torch_does(norm, side, hidden):
    torch.manual_seed(0)
    features, ins = make_layers(narrow("D"), batch_norm=norm), 32 * (side // 32) ** 2
    if norm:  # torchvision's has biases in front of its batch norm, which the norm takes away again
        for module in features:
            if isinstance(module, nn.Conv2d):
                module.bias = None
    tail = [nn.Flatten()]
    for width in hidden:
        tail += [nn.Linear(ins, width, bias=not norm), *([nn.BatchNorm1d(width)] if norm else []), nn.ReLU()]
        ins = width
    reference = nn.Sequential(features, *tail, nn.Linear(ins, 5)).eval()
    widths = {name: width // 16 for name, width in vgg16_widths(()).items()}
    network = Network(vgg16(5, widths, (side, side), fully_connected=hidden, norm=norm)).eval()
    copy_into(network, reference)
    image = torch.rand(3, 3, side, side)
    with torch.no_grad():
        (found,) = network(image)
        assert found.shape == (3, 5, 1, 1)
        torch.testing.assert_close(found.flatten(1), reference(image), rtol=1e-4, atol=1e-6)
    assert parameters(network) == parameters(reference)


def test_vgg19_bn_computes_what_torch_does():
    torch.manual_seed(0)
    features = make_layers(narrow("E")[:-1], batch_norm=True)
    for module in features:
        if isinstance(module, nn.Conv2d):
            module.bias = None
    reference = nn.Sequential(features, nn.AvgPool2d(2), nn.Flatten(), nn.Linear(32, 7)).eval()
    network = Network(vgg19_bn(7, {name: width // 16 for name, width in vgg19_widths().items()})).eval()
    copy_into(network, reference)
    image = torch.rand(3, 3, 32, 32)
    with torch.no_grad():
        (found,) = network(image)
        assert found.shape == (3, 7, 1, 1)
        torch.testing.assert_close(found.flatten(1), reference(image), rtol=1e-4, atol=1e-6)
    assert parameters(network) == parameters(reference)


def test_published_vgg16_for_cifar10():
    # Li et al., "Pruning Filters for Efficient ConvNets" (2017), table 1: 1.5e7 parameters and 3.13e8 FLOP, which are
    # multiply-accumulates there. Theirs has batch norm and one hidden layer of 512.
    architecture = vgg16(10, image_size=(32, 32), fully_connected=(512,), norm=True)
    with torch.device("meta"):
        assert parameters(Network(architecture)) == pytest.approx(1.5e7, abs=0.05e7)
    assert macs(architecture, 32, 32) == pytest.approx(3.13e8, abs=0.005e8)


def test_published_parameters_of_vgg16():
    # Simonyan and Zisserman, table 2 ("number of parameters, in millions"), for 1000 classes: D has 138.
    with torch.device("meta"):
        count = parameters(Network(vgg16(1000)))
        assert count == pytest.approx(138e6, abs=0.5e6)
        assert count == parameters(torchvision.models.vgg16())


def test_signal_of_a_new_network_without_norm_does_not_fade():
    torch.manual_seed(0)
    widths = {name: max(16, width // 8) for name, width in vgg16_widths((64,)).items()}
    network = Network(vgg16(10, widths, (32, 32), fully_connected=(64,)))
    with torch.no_grad():
        values = network.forward_all(torch.rand(16, 3, 32, 32))
    spread = [values[name].square().mean().sqrt().item() for name in ("image", *widths)]
    assert all(0.3 < value / spread[0] < 8 for value in spread)


@pytest.mark.parametrize(
    ("build", "complaint"),
    [
        (lambda: vgg16(10, image_size=(64, 128)), "leaves 2x4 pixels behind pool5"),
        (lambda: vgg16(10, image_size=(31, 31)), "leaves 0x0 pixels behind pool5"),
        (lambda: vgg16(10, {"fc8": 10}), "vgg16 has no layer 'fc8' whose width is free"),
        (lambda: vgg16(10, {"fc7": 10}, fully_connected=(512,)), "vgg16 has no layer 'fc7'"),
        (lambda: vgg16(10, {"conv1_1": -1}), "'conv1_1' cannot have -1 channels"),
        (lambda: vgg19_bn(10, {"conv6_1": 10}), "vgg19_bn has no layer 'conv6_1'"),
    ],
)
def test_arguments_that_do_not_fit(build, complaint):
    with pytest.raises(ValueError, match=complaint):
        build()


def test_checkpoint(tmp_path):
    network = Network(vgg19_bn(3, dict.fromkeys(vgg19_widths(), 4)))
    network(torch.rand(4, 3, 32, 32))
    save_model(tmp_path, network)
    loaded, _ = load_model(tmp_path)
    image = torch.rand(1, 3, 32, 32)
    assert loaded.architecture == network.architecture
    assert torch.equal(network.eval()(image)[0], loaded.eval()(image)[0])
