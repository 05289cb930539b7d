"""The multi-layer framework beyond its paper's text: joins, searches, floors, and a network that it makes small."""

import pytest
import torch

import hwprune.prune.multilayer as multilayer_module
from hwprune.errors import UserError
from hwprune.models.architecture import IMAGE, Add, Architecture, Concat, Conv, L2Norm, MaxPool
from hwprune.models.network import Network
from hwprune.prune.groups import channel_groups
from hwprune.prune.methods import method
from hwprune.prune.multilayer import STEP, STEPS, MultiLayer
from hwprune.prune.settings import MultiLayerSettings
from hwprune.prune.sparsity import filter_sparsity, next_sparsity
from hwprune.prune.surgery import prune


def conv(name, source, out, **fields):
    fields = {"kernel": 1, "norm": False, "activation": "relu", **fields}
    return Conv(name=name, inputs=(source,), out_channels=out, **fields)


def table(*layers):
    return Architecture(name="t", layers=layers, heads=(layers[-1].name,))


def dense(architecture):
    network = Network(architecture).eval()
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            parameter.fill_(1.0 if name.endswith("weight") else 0.0)
    return network


def multilayer(first, last, **fields) -> MultiLayer:
    widths = {"min_channels": 1, "multiple": 1}
    return method(MultiLayerSettings(method="multilayer", phases=((first, last),), **{**widths, **fields}))


def group(network, name):
    return next(group for group in channel_groups(network.architecture) if group.name == name)


def no_score(network):
    raise AssertionError("nothing is to be searched")


@torch.no_grad()
def test_the_slice_behind_a_concat_and_a_normalisation_is_where_the_channel_lies():
    network = dense(
        table(
            conv("a", IMAGE, 2), L2Norm(name="n", inputs=("a",)), conv("b", IMAGE, 3),
            Concat(name="c", inputs=("b", "n", "a")), MaxPool(name="p", inputs=("c",), stride=1, kernel=1),
            conv("d", "p", 4), conv("head", "d", 1),
        )
    )  # fmt: skip
    # Channel 1 of a is input 4 (normalised) and input 6 of d: its slice is both.
    network.layers["d"].conv.weight[:3, 4] = 0
    network.layers["d"].conv.weight[:2, 6] = 0
    network.layers["d"].conv.weight[:1, 0] = 0
    assert next_sparsity(network, group(network, "a"), {}).tolist() == [0, 5 / 8]
    assert next_sparsity(network, group(network, "b"), {}).tolist() == [1 / 4, 0, 0]
    # Filters of d that go read nothing.
    assert next_sparsity(network, group(network, "a"), {"d": (1, 3)}).tolist() == [0, 2 / 4]


@torch.no_grad()
def test_a_channel_of_a_residual_join_is_as_full_as_its_fullest_filter():
    network = dense(
        table(conv("a", IMAGE, 3), conv("b", "a", 3), Add(name="x", inputs=("a", "b")), conv("head", "x", 1))
    )
    network.layers["a"].conv.weight[1] = 0
    network.layers["a"].conv.weight[2] = 0
    network.layers["b"].conv.weight[1] = 0
    network.layers["b"].conv.weight[2, 0] = 0
    assert filter_sparsity(network, group(network, "a"), {}).tolist() == pytest.approx([0, 1, 1 / 3])
    assert multilayer("a", "b", threshold=0).choose(network, 0, no_score) == {"a": (0, 2)}


@torch.no_grad()
def test_a_layer_never_loses_all():
    network = dense(table(conv("a", IMAGE, 4), conv("b", "a", 4), conv("head", "b", 1)))
    network.layers["a"].conv.weight.fill_(1e-6)
    network.layers["a"].conv.weight[2, 0] = 2e-6
    network.layers["b"].conv.weight[1:3] = 1e-6
    # All of a goes but its greatest; b keeps 0 and 3, and a width of 3 brings back the first of two equals' last.
    chosen = multilayer("a", "b", threshold=0.01)
    assert chosen.choose(network, 0, no_score) == {"a": (2,), "b": (0, 3)}
    assert multilayer("a", "b", threshold=0.01, multiple=3).choose(network, 0, no_score)["b"] == (0, 2, 3)
    assert chosen.found["groups"]["a"] == {"filter_sparsity": 1, "next_sparsity": 0.5, "removable": 3}


@pytest.mark.parametrize(
    ("score", "expected"),
    [
        (lambda step: 0.8, STEPS),  # never falls: as far as is looked
        (lambda step: 0.8 if step == 0 else 0.0, 0),  # falls at once
        (lambda step: 0.8 if step <= 17 else 0.6, 17),
        (lambda step: 0.8 - step / 128, 12),  # to 0.1 less and no further
        (lambda step: 0.9 if step <= 40 else 0.1, 40),  # rises first
    ],
)  # fmt: skip
@torch.no_grad()
def test_the_search_for_the_threshold(score, expected, monkeypatch):
    network = dense(table(conv("a", IMAGE, 4), conv("b", "a", 4), conv("head", "b", 1)))
    network.layers["a"].conv.weight.copy_(torch.linspace(-1, 1, 12).reshape(4, 3, 1, 1))
    weights = torch.cat([network.layers[name].conv.weight.flatten() for name in ("a", "b", "head")])
    deviation, asked, real = weights.double().std(correction=0).item(), [], multilayer_module.thresholded

    def marked(network, names, threshold):
        copy = real(network, names, threshold)
        copy.step = threshold / deviation / STEP
        return copy

    def measure(tried):
        asked.append(getattr(tried, "step", 0))
        assert asked[-1] == pytest.approx(round(asked[-1]))
        return score(round(asked[-1]))

    monkeypatch.setattr(multilayer_module, "thresholded", marked)
    chosen = multilayer("a", "b", max_drop=0.1)
    chosen.choose(network, 0, measure)
    found = chosen.found
    assert found["deviations"] == expected * STEP and found["threshold"] == pytest.approx(expected * STEP * deviation)
    assert found["score_before"] == score(0) and found["score_thresholded"] == score(expected)
    assert len(asked) <= 8 and [step for step, _ in found["tried"]] == sorted(round(step) * STEP for step in asked[1:])


@torch.no_grad()
def test_weights_that_are_not_finite():
    network = dense(table(conv("a", IMAGE, 4), conv("b", "a", 4), conv("head", "b", 1)))
    network.layers["b"].conv.weight[0, 0] = torch.nan
    with pytest.raises(UserError, match="layer b: has weights that are not finite; train with a smaller step"):
        multilayer("a", "b", threshold=1).choose(network, 0, no_score)


def test_training_under_the_penalty_empties_filters_that_nothing_needs():
    """Two of eight filters carry the target; the method finds so few, and the small network is as good."""
    torch.manual_seed(0)
    network = Network(
        table(
            conv("a", IMAGE, 8, kernel=3, padding=1), conv("b", "a", 8), conv("head", "b", 2, activation="linear")
        )
    )  # fmt: skip
    # Filters of one weight are all that is needed here: only those without any may go.
    chosen = multilayer("a", "b", max_drop=0.02, filter_sparsity=1, weak_filter_sparsity=0.99, next_sparsity=1)

    def scene():
        x = torch.rand(8, 3, 4, 4)
        return x, x[:, [0, 2]]

    def score(net):
        """The share of the target's variance, 1/12, that is explained."""
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            torch.manual_seed(9)
            x = torch.rand(64, 3, 4, 4)
            return max(0.0, 1 - 12 * (net(x)[0] - x[:, [0, 2]]).square().mean().item())

    def train(net, steps, hook=None):
        optimizer = torch.optim.Adam(net.parameters(), 0.01)
        for step in range(steps):
            x, y = scene()
            optimizer.zero_grad()
            (net(x)[0] - y).square().mean().backward()
            if hook:
                hook(net, step / steps)
            optimizer.step()

    train(network, 250, chosen.penalty(network, 0, 2e-3))
    before = score(network)
    kept = chosen.choose(network.eval(), 0, score)
    assert before > 0.9
    assert all(2 <= len(channels) <= 6 for channels in kept.values()) and sum(map(len, kept.values())) <= 10
    small = prune(network, kept)
    train(small.train(), 100)
    assert score(small) > before - 0.005
