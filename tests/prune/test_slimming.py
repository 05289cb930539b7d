"""The penalty against automatic differentiation, and the scores it leads to."""

import subprocess
import sys

import pytest
import torch

from hwprune.errors import UserError
from hwprune.models.architecture import IMAGE, Add, Architecture, Conv
from hwprune.models.network import Network
from hwprune.models.yolov3_tiny import yolov3_tiny
from hwprune.prune.balance import balance
from hwprune.prune.importance import slimming
from hwprune.prune.select import select
from hwprune.prune.settings import SlimmingSettings
from hwprune.prune.slimming import slimming_penalty
from hwprune.prune.surgery import mask, prune
from hwprune.sam.layer import SamConv2d
from hwprune.sam.settings import Sam

RESIDUAL = Architecture(
    name="residual",
    layers=(
        Conv(name="a", inputs=(IMAGE,), out_channels=4, kernel=1),
        Conv(name="b", inputs=("a",), out_channels=4, kernel=1),
        Add(name="x", inputs=("a", "b")),
        Conv(name="c", inputs=("x",), out_channels=5, kernel=1, norm=False),
        Conv(name="d", inputs=("c",), out_channels=2, kernel=1),
        Conv(name="head", inputs=("d",), out_channels=3, kernel=1),
    ),
    heads=("head",),
)


def trained(architecture):
    """With gammas of both signs and gradients."""
    torch.manual_seed(0)
    network = Network(architecture).double()
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.weight, -1, 1)
    loss = sum(head.square().mean() for head in network(torch.rand(2, 3, 32, 32, dtype=torch.float64)))
    return network, loss


@pytest.mark.parametrize(
    ("architecture", "prunable"),
    [(yolov3_tiny(2, (4,) * 11), [f"conv{i}" for i in (*range(1, 10), 11, 12)]), (RESIDUAL, ["a", "b", "d"])],
)
def test_gradients_are_those_of_the_penalised_loss(architecture, prunable):
    l1 = 0.03
    network, loss = trained(architecture)
    penalty = l1 * sum(network.layers[name].norm.weight.abs().sum() for name in prunable)
    parameters = dict(network.named_parameters())
    expected = torch.autograd.grad(loss + penalty, list(parameters.values()), retain_graph=True)
    loss.backward()
    slimming_penalty(l1)(network, 0.5)
    for name, gradient in zip(parameters, expected, strict=True):
        assert torch.allclose(parameters[name].grad, gradient, rtol=1e-12, atol=1e-15), name


def test_a_scale_of_zero_is_left_alone_and_frozen_ones_are_passed_over():
    network, loss = trained(RESIDUAL)
    network.layers["d"].norm.weight.requires_grad_(False)
    loss.backward()
    with torch.no_grad():
        network.layers["a"].norm.weight[2] = 0
    before = network.layers["a"].norm.weight.grad.clone()
    slimming_penalty(1.0)(network, 0.0)
    change = network.layers["a"].norm.weight.grad - before
    assert change[2] == 0 and (change[[0, 1, 3]].abs() - 1).abs().max() < 1e-12


def test_scores_are_magnitudes_and_a_shared_channel_has_its_greatest():
    network = Network(RESIDUAL)
    with torch.no_grad():
        network.layers["a"].norm.weight.copy_(torch.tensor([0.1, -0.9, 0.3, 0.0]))
        network.layers["b"].norm.weight.copy_(torch.tensor([-0.5, 0.2, 0.3, 0.0]))
        network.layers["d"].norm.weight.copy_(torch.tensor([-2.0, 0.25]))
    found = slimming(network)
    assert list(found) == ["a", "d"]  # c has no batch norm, head is a head
    torch.testing.assert_close(found["a"], torch.tensor([0.5, 0.9, 0.3, 0.0]).double(), atol=1e-7, rtol=0)
    torch.testing.assert_close(found["d"], torch.tensor([2.0, 0.25]).double())


def test_a_diverged_network_is_refused():
    network = Network(RESIDUAL)
    with torch.no_grad():
        network.layers["b"].norm.weight[1] = torch.nan
    with pytest.raises(UserError, match="layer b: batch norm has scales that are not finite"):
        slimming(network)


def test_training_with_the_penalty_drives_useless_channels_out():
    """Two of six channels feed the target; slimming finds them, and removing the rest costs next to nothing."""
    torch.manual_seed(0)
    architecture = Architecture(
        name="useful",
        layers=(
            Conv(name="a", inputs=(IMAGE,), out_channels=6, kernel=1, activation="relu"),
            Conv(name="head", inputs=("a",), out_channels=2, kernel=1, norm=False, activation="linear"),
        ),
        heads=("head",),
    )
    network = Network(architecture)
    hook, optimizer = slimming_penalty(0.02), torch.optim.SGD(network.parameters(), 0.05, momentum=0.9)
    for step in range(250):
        x = torch.rand(8, 3, 4, 4)
        target = torch.stack([(x[:, 0] - x[:, 1]).relu(), (x[:, 2] - x[:, 0]).relu()], 1)
        loss = (network(x)[0] - target).square().mean()
        optimizer.zero_grad()
        loss.backward()
        hook(network, step / 250)
        optimizer.step()
    kept = select(slimming(network), SlimmingSettings(fraction=0.5, min_channels=1, multiple=1))
    small = prune(network, kept).eval()
    with torch.no_grad():
        x = torch.rand(8, 3, 4, 4)
        difference = (small(x)[0] - network.eval()(x)[0]).abs().max()
    assert len(kept["a"]) == 3 and difference < 0.02


def test_sam_layers_are_sparsified_pruned_and_recover():
    """From sparsity training to the small network, with SAM neurons that make the channels and that read them."""
    torch.manual_seed(0)
    architecture = Architecture(
        name="sam",
        layers=(
            Conv(name="a", inputs=(IMAGE,), out_channels=8, kernel=1, activation="relu"),
            Conv(
                name="b",
                inputs=("a",),
                out_channels=8,
                kernel=3,
                padding=1,
                activation="relu",
                sam=Sam(form="difference", group=4),
            ),
            Conv(name="c", inputs=("b",), out_channels=6, kernel=1, activation="relu", sam=Sam(form="maxmin", group=0)),
            Conv(name="head", inputs=("c",), out_channels=2, kernel=1, norm=False, activation="linear"),
        ),
        heads=("head",),
    )

    def scene():
        x = torch.rand(8, 3, 4, 4)
        return x, torch.stack([(x[:, 0] - x[:, 1]).relu(), (x[:, 2] - x[:, 0]).relu()], 1)

    def train(network, steps, hook=None):
        sams = [p for m in network.modules() if isinstance(m, SamConv2d) for p in m.parameters()]
        others = [p for p in network.parameters() if all(p is not q for q in sams)]
        optimizer = torch.optim.Adam([{"params": others}, {"params": sams, "lr": 0.05}], 0.01)
        losses = []
        for step in range(steps):
            x, target = scene()
            loss = (network(x)[0] - target).square().mean()
            optimizer.zero_grad()
            loss.backward()
            if hook:
                hook(network, step / steps)
            optimizer.step()
            losses.append(loss.item())
        return sum(losses[-20:]) / 20

    network = Network(architecture)
    free = train(network, 60)
    weak = {name: score.sum() for name, score in slimming(network).items()}
    train(network, 150, slimming_penalty(0.02))
    scores, knobs = slimming(network), SlimmingSettings(fraction=0.5, min_channels=1, multiple=1)
    assert all(scores[name].sum() < 0.5 * weak[name] for name in ("a", "b", "c"))
    kept = balance(architecture, scores, select(scores, knobs), knobs)
    small, masked = prune(network.eval(), kept, compensate=False), mask(network, kept)
    x = torch.rand(4, 3, 4, 4)
    with torch.no_grad():
        torch.testing.assert_close(small(x)[0], masked(x)[0], rtol=1e-6, atol=1e-6)
    assert sum(len(channels) for channels in kept.values()) < 22
    assert small.architecture["b"].sam.group == len(kept["a"]) // 2 < 4
    # What is left learns on, and is better than the mean of the target.
    spread = scene()[1].var(dim=(0, 2, 3)).mean()
    recovered = train(small.train(), 100)
    assert recovered < 0.8 * spread, (free, recovered, spread)


def test_settings_import_neither_torch_nor_lightning():
    code = "import sys, hwprune.prune.settings; print({'torch', 'lightning'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "set()\n"
