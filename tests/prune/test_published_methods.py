"""The methods against their papers, on weights made by hand.

Network slimming: Liu et al., ICCV 2017. The multi-layer framework: Singh et al., WACV 2019. Filters by their L1 norm:
Li et al., ICLR 2017. Dead neurons: Pan et al., "DropNeuron", 2016.
"""

import numpy as np
import pytest
import torch

from hwprune.models.architecture import IMAGE, Architecture, Conv, MaxPool
from hwprune.models.cost import parameters
from hwprune.models.network import Network
from hwprune.models.ssd import ssd300
from hwprune.models.vgg import vgg16
from hwprune.prune.groups import channel_groups
from hwprune.prune.layers import layer_set
from hwprune.prune.methods import method
from hwprune.prune.multilayer import MultiLayer, thresholded
from hwprune.prune.settings import L1NormSettings, MultiLayerSettings, RandomSettings, SlimmingSettings
from hwprune.prune.sparsity import filter_sparsity, next_sparsity, zero_rows
from hwprune.prune.surgery import prune

FREE = {"min_channels": 1, "multiple": 1}
TWO = Architecture(
    name="two",
    layers=(
        Conv(name="a", inputs=(IMAGE,), out_channels=4, kernel=3, padding=1, norm=False, activation="relu"),
        MaxPool(name="p", inputs=("a",)),
        Conv(name="b", inputs=("p",), out_channels=2, kernel=3, padding=1, norm=False, activation="relu"),
        Conv(name="head", inputs=("b",), out_channels=1, kernel=1, norm=False, activation="linear"),
    ),
    heads=("head",),
)


def multilayer(**fields) -> MultiLayer:
    return method(MultiLayerSettings.model_validate({"method": "multilayer", "phases": [["a", "b"]], **FREE, **fields}))


def group(network, name):
    return next(group for group in channel_groups(network.architecture) if group.name == name)


def dense(architecture, fill=1.0):
    """All weights are ``fill``, all biases zero."""
    network = Network(architecture).eval()
    with torch.no_grad():
        for name, tensor in network.state_dict().items():
            if name.endswith("conv.weight"):
                tensor.fill_(fill)
            elif name.endswith("conv.bias"):
                tensor.zero_()
    return network


def no_score(network):
    raise AssertionError("nothing is to be searched")


def test_published_zero_rows():
    """3.4: a row is zero if all its elements are; the level is their share. Kernels of 3x3 from 2 channels: 6 rows."""
    weight = torch.ones(1, 2, 3, 3)
    weight[0, 0, 0] = 0  # a whole row
    weight[0, 0, 1, :2] = 0  # two thirds of one
    weight[0, :, :, 2] = 0  # a column makes no row zero but one that had two zeros
    assert zero_rows(weight).tolist() == [[[True, True, False], [False, False, False]]]
    assert zero_rows(torch.tensor([0.0, 1.0, 0.0]).reshape(1, 3, 1, 1)).flatten().tolist() == [True, False, True]


def test_published_sparsity_statistics_of_a_filter_and_of_its_slice():
    network = dense(TWO)
    a, b = (network.layers[name].conv.weight for name in "ab")
    with torch.no_grad():
        a[0, 0] = 0  # 3 of the 9 rows of filter 0
        a[1] = 0  # all
        a[2, :, 1] = 0  # one in each kernel
        b[:, 0, 0] = 0  # of the slice of channel 0, 2 filters of 3 rows: 2 of 6
        b[1, 3] = 0  # 3 of 6
    assert filter_sparsity(network, group(network, "a"), {}).tolist() == pytest.approx([1 / 3, 1, 1 / 3, 0])
    assert next_sparsity(network, group(network, "a"), {}).tolist() == pytest.approx([1 / 3, 0, 0, 1 / 2])
    # Algorithm 1: what was removed from the layer before is counted no more.
    assert filter_sparsity(network, group(network, "b"), {}).tolist() == pytest.approx([1 / 12, 4 / 12])
    assert filter_sparsity(network, group(network, "b"), {"a": (1, 2)}).tolist() == [0, 0]
    assert filter_sparsity(network, group(network, "b"), {"a": (0, 3)}).tolist() == pytest.approx([1 / 6, 4 / 6])


@pytest.mark.parametrize(
    ("rows", "following", "goes"),
    [
        (8, 0, True),  # F of 8/9 reaches s_F
        (7, 6, True),  # F of 7/9 reaches s'_F only, G of 6/6 reaches s_G
        (7, 4, True),  # G of 4/6 just does
        (7, 3, False),  # G of 3/6 does not
        (6, 6, False),  # F of 6/9 does not reach s'_F
        (0, 6, False),  # a strong filter stays, whatever reads it
    ],
)
def test_published_the_three_thresholds(rows, following, goes):
    """Algorithm 1, line by line: F >= s_F, or F >= s'_F and G >= s_G."""
    network = dense(TWO)
    with torch.no_grad():
        network.layers["a"].conv.weight[2].reshape(9, 3)[:rows] = 0
        for f, r in [(f, r) for f in range(2) for r in range(3)][:following]:
            network.layers["b"].conv.weight[f, 2, r] = 0
    knobs = {"filter_sparsity": 8 / 9, "weak_filter_sparsity": 7 / 9, "next_sparsity": 4 / 6, "threshold": 0}
    kept = multilayer(**knobs).choose(network, 0, no_score)
    assert kept["a"] == ((0, 1, 3) if goes else (0, 1, 2, 3))


def test_published_thresholds_are_of_the_whole_set_in_its_standard_deviations():
    """3.3: one threshold for all layers of the set, found where the score falls by delta; it zeroes what is below."""
    network = dense(TWO)
    with torch.no_grad():
        network.layers["a"].conv.weight.copy_(torch.linspace(-1, 1, 108).reshape(4, 3, 3, 3))
        network.layers["b"].conv.weight.copy_(torch.linspace(-0.1, 0.3, 72).reshape(2, 4, 3, 3))
        network.layers["head"].conv.weight.copy_(torch.tensor([0.05, 2.0]).reshape(1, 2, 1, 1))
    weights = [network.layers[name].conv.weight.detach().numpy().ravel() for name in ("a", "b", "head")]
    deviation = float(np.concatenate(weights).astype(np.float64).std())

    def score(tried):
        """What is left of the weights, as a share."""
        left = sum(int((tried.layers[name].conv.weight != 0).sum()) for name in ("a", "b", "head"))
        return left / sum(len(own) for own in weights)

    searched = multilayer(max_drop=0.25)
    searched.choose(network, 0, score)
    found = searched.found
    assert found["set"] == ["a", "b", "head"]  # the detection layer belongs to it
    magnitudes = np.abs(np.concatenate(weights).astype(np.float64))
    before = (magnitudes != 0).mean()
    steps = [k / 16 for k in range(65) if (magnitudes >= k / 16 * deviation).mean() >= before - 0.25 - 1e-12]
    assert found["deviations"] == max(steps) > 0
    assert found["threshold"] == pytest.approx(max(steps) * deviation)
    assert found["score_before"] == pytest.approx(before)
    assert found["score_thresholded"] >= before - 0.25
    sparse = thresholded(network, ("a", "b", "head"), 0.3)
    assert sparse.layers["b"].conv.weight.detach().flatten()[-1] == pytest.approx(0.3)  # at the threshold: stays
    assert sparse.layers["b"].conv.weight.detach().flatten()[-2] == 0
    assert network.layers["b"].conv.weight.detach().flatten()[-2] != 0


def test_published_the_pruned_network_has_the_values_from_before_the_threshold():
    """3.4: taking them from there was better, for the weights that were small come back."""
    network = dense(TWO)
    with torch.no_grad():
        network.layers["a"].conv.weight[1] = 1e-3
        network.layers["a"].conv.weight[3, 0] = 2e-3
    kept = multilayer(threshold=0.5).choose(network, 0, no_score)
    assert kept["a"] == (0, 2, 3)
    small = prune(network, kept, compensate=False)
    assert torch.equal(small.layers["a"].conv.weight, network.layers["a"].conv.weight[[0, 2, 3]])
    assert (small.layers["a"].conv.weight[2, 0] == 2e-3).all()


def test_published_layers_are_gone_through_one_after_the_other():
    """Algorithm 1 removes a layer's filters, and their slices in the next, before it looks at the next: a filter of b
    that is empty but for what it reads of a's removed filter goes too."""
    network = dense(TWO)
    with torch.no_grad():
        network.layers["a"].conv.weight[1] = 0
        network.layers["b"].conv.weight[0] = 0
        network.layers["b"].conv.weight[0, 1] = 1
    kept = multilayer(threshold=0, filter_sparsity=1, weak_filter_sparsity=0.99).choose(network, 0, no_score)
    assert kept == {"a": (0, 2, 3), "b": (1,)}


def test_published_induction_presses_every_weight_of_the_set_and_nothing_else():
    """Equation 2: lambda times the sum of magnitudes of the set's weights."""
    architecture = ssd300(2, {name: 4 for name in ("conv1_1", "conv1_2")}, image_size=(64, 64), detection_layers=2)
    torch.manual_seed(0)
    network = Network(architecture).double()
    knobs = {"phases": [["conv1_1", "conv4_3"], ["conv4_3", "conv7"]]}
    for phase, names in enumerate(
        (
            "conv1_1 conv1_2 conv2_1 conv2_2 conv3_1 conv3_2 conv3_3 conv4_1 conv4_2 conv4_3 offsets1 classes1",
            "conv4_3 offsets1 classes1 conv5_1 conv5_2 conv5_3 conv6 conv7 offsets2 classes2",
        )
    ):
        first, last = knobs["phases"][phase]
        assert set(layer_set(architecture, first, last)) == set(names.split())
        for parameter in network.parameters():
            parameter.grad = torch.zeros_like(parameter)
        multilayer(**knobs).penalty(network, phase, 0.25)(network, 0.0)
        for name, parameter in network.named_parameters():
            _, layer, *rest = name.split(".")
            pressed = layer in names.split() and rest == ["conv", "weight"]
            assert torch.equal(parameter.grad, 0.25 * parameter.sign() if pressed else torch.zeros_like(parameter))


def test_published_a_channel_that_a_detection_layer_needs_stays():
    """Our rule where several layers read one: each must make little of it. Here the next convolution does, the heads
    do not."""
    network = dense(ssd300(1, {"conv4_3": 4}, image_size=(64, 64), detection_layers=2))
    following = ("conv5_1", "offsets1", "classes1")
    with torch.no_grad():
        for name in following:
            network.layers[name].conv.weight[:, 2] = 0
        network.layers["conv5_1"].conv.weight[:, 3] = 0
    own = group(network, "conv4_3")
    assert next_sparsity(network, own, {}).tolist() == [0, 0, 1, 0]


def test_published_dead_neurons_of_fully_connected_layers():
    """Pan et al.: a neuron goes if all its incoming or all its outgoing weights are zero, and only then."""
    architecture = vgg16(3, {f"conv{b}_{i}": 1 for b in range(1, 6) for i in range(1, 3 if b < 3 else 4)},
                         image_size=(64, 64), fully_connected=(5, 4))  # fmt: skip
    network = dense(architecture)
    fc6, fc7, fc8 = (network.layers[name].conv.weight for name in ("fc6", "fc7", "fc8"))
    with torch.no_grad():
        fc6[1] = 0  # dead incoming
        fc7[:, 3] = 0  # of neuron 3 of fc6: dead outgoing
        fc7[2] = 0
        fc7[2, 1] = 1  # fc7's neuron 2 hears fc6's dead neuron only
        fc8[:2, 0] = 0  # fc7's neuron 0 is heard once
    knobs = MultiLayerSettings.model_validate(
        {"method": "multilayer", "phases": [["fc6", "fc7"]], "threshold": 0, "filter_sparsity": 0.5,
         "weak_filter_sparsity": 0.4, "next_sparsity": 0.3, **FREE}
    )  # fmt: skip
    assert method(knobs).choose(network, 0, no_score) == {"fc6": (0, 2, 4), "fc7": (0, 1, 3)}


def test_published_slimming_takes_one_percentile_of_all_scales():
    """Section 3: 70 % of the channels with lower scaling factors, by one threshold over all layers."""
    gammas = {"a": [0.9, 0.01, 0.02, 0.5], "b": [0.03, 0.8, 0.04, 0.05], "c": [0.06, 0.07]}
    names = list(gammas)
    architecture = Architecture(
        name="hand",
        layers=(
            *(
                Conv(name=name, inputs=(source,), out_channels=len(gammas[name]), kernel=1)
                for name, source in zip(names, [IMAGE, *names], strict=False)
            ),
            Conv(name="head", inputs=("c",), out_channels=1, kernel=1, norm=False, activation="linear"),
        ),
        heads=("head",),
    )
    network = Network(architecture)
    with torch.no_grad():
        for name, values in gammas.items():
            # The sign of a scale says nothing.
            network.layers[name].norm.weight.copy_(torch.tensor(values) * torch.tensor([1, -1] * (len(values) // 2)))
    every = np.concatenate(list(gammas.values()))
    for fraction in (0.0, 0.2, 0.5, 0.7):
        threshold = np.quantile(every, fraction, method="inverted_cdf") if fraction else -1
        kept = method(SlimmingSettings(fraction=fraction, **FREE)).choose(network, 0, no_score)
        for name, values in gammas.items():
            above = tuple(i for i, value in enumerate(values) if value > threshold)
            assert kept[name] == (above or (int(np.argmax(values)),))
    # The multi-pass scheme: the same again, of what is left.
    knobs = SlimmingSettings(fraction=0.5, rounds=2, **FREE)
    once = prune(network, method(knobs).choose(network, 0, no_score))
    twice = prune(once, method(knobs).choose(once, 1, no_score))
    widths = [[layer.out_channels for layer in net.architecture.layers[:-1]] for net in (network, once, twice)]
    # Five of ten go, then two of five: those of c, of which the greater stays.
    assert widths == [[4, 4, 2], [2, 1, 2], [2, 1, 1]]


def test_published_l1_norm_of_filters():
    """Li et al., 3.1: of each layer the filters with the least sums; 3.3: greedily, what was removed before is no part
    of them."""
    network = dense(TWO)
    with torch.no_grad():
        network.layers["a"].conv.weight.copy_(
            torch.tensor([1.0, -4.0, 2.0, 3.0])[:, None, None, None].expand(4, 3, 3, 3)
        )
        network.layers["b"].conv.weight[0] = 1.0
        network.layers["b"].conv.weight[1] = torch.tensor([3.0, 0.5, 3.0, 0.5])[:, None, None]
    # Filters 0 and 2 of a go. All together filter 1 of b has 63 to 36; without what reads a's removed filters, 9 to 18.
    for greedy, stays in ((False, 1), (True, 0)):
        knobs = L1NormSettings(method="l1_norm", fraction=0.5, greedy=greedy, **FREE)
        assert method(knobs).choose(network, 0, no_score) == {"a": (1, 3), "b": (stays,)}
    only = L1NormSettings(method="l1_norm", fraction=0.5, layers=("b",), **FREE)
    assert method(only).choose(network, 0, no_score) == {"b": (1,)}


@pytest.mark.parametrize(("share", "millions", "digits", "megabytes"), [(0.5, 9.87, 2, 39.5), (0.65, 7, 0, 27.9)])
def test_published_random_removal_of_ssd300(share, millions, digits, megabytes):
    """Singh et al., table 4b: RRF-x-6det has x % of the filters removed from all layers up to conv7. The size, four
    bytes a parameter, tells that a layer loses the whole part of its share."""
    knobs = RandomSettings(method="random", fraction=share, layers=("conv[1-5]_*", "conv6", "conv7"), **FREE)
    architecture = ssd300(20)
    with torch.device("meta"):
        network = Network(architecture)
    kept = method(knobs, 1).choose(network, 0, no_score)
    small = architecture.with_widths({name: len(channels) for name, channels in kept.items()})
    with torch.device("meta"):
        total = parameters(Network(small))
    assert round(total / 1e6, digits) == millions
    assert round(4 * total / 1e6, 1) == megabytes
