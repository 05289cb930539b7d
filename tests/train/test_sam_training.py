"""The training loop on networks with SAM layers, and on their way from a trained convolution."""

from copy import deepcopy

import pytest
import torch

from hwprune.models.network import Network
from hwprune.sam.blend import Blend, blend, unblend
from hwprune.sam.convert import convert
from hwprune.sam.layer import SamConv2d
from hwprune.sam.settings import Sam
from hwprune.train.loop import fit
from hwprune.train.settings import SamTraining, TrainSettings
from tests.train.test_loop import StopError, same, stop_after, weights
from tests.train.toys import HEAD, Rectangles, detector

NEURONS = {
    "conv2": Sam(form="signed", group=4),
    "conv4": Sam(form="difference", group=2, floor=True),
    "fine": Sam(form="maxmin", group=4),
}
OFFSETS = ("positive", "negative", "polarity")


def sam_detector() -> Network:
    torch.manual_seed(1)
    return Network(detector().architecture.with_neurons(NEURONS))


def blended() -> Network:
    """Convolutions that are about to become SAM layers."""
    mac = detector()
    pixels = torch.stack([Rectangles(4)[i][0] for i in range(4)]).float() / 255
    network = convert(mac, NEURONS, [pixels])
    blend(network, mac)
    return network


def run(folder, network, count=8, teacher=None, after_backward=None, **settings):
    settings = TrainSettings(**{"epochs": 2, "batch_size": 4, "accelerator": "cpu", **settings})
    return fit(network, Rectangles(count), Rectangles(4, 1), HEAD, settings, folder, seed=3, teacher=teacher,
               after_backward=after_backward)  # fmt: skip


@pytest.mark.parametrize("factor", [10.0, 0.5])
def test_sam_weights_have_a_learning_rate_of_their_own(tmp_path, factor):
    """Adam's first step is as long as the learning rate, whatever the gradient; batch norm's shifts start at zero."""
    network = sam_detector()
    before = weights(network)
    sam = SamTraining(learning_rate_factor=factor)
    run(tmp_path, network, 4, epochs=1, warmup_epochs=0, learning_rate=1e-3, gradient_clip=None, sam=sam)
    after = weights(network)
    for name, _ in sam_detector().named_parameters():
        step = (after[name] - before[name]).abs().max().item()
        expected = 1e-3 * (factor if name.endswith(OFFSETS) else 1)
        assert step == pytest.approx(expected, rel=0.05), name


def test_sam_weights_do_not_decay(tmp_path):
    def silence(network, progress):
        for parameter in network.parameters():
            parameter.grad.zero_()

    network = sam_detector()
    before = weights(network)
    run(tmp_path, network, weight_decay=0.5, gradient_clip=None, after_backward=silence)
    for name, value in network.named_parameters():
        assert torch.equal(value, before[name]) != name.endswith("conv.weight"), name


def test_sam_learns(tmp_path):
    result = run(tmp_path, sam_detector(), 16, epochs=6, learning_rate=5e-3)
    assert result["history"][-1]["loss"] < 0.8 * result["history"][0]["loss"]


def test_what_leaves_its_range_is_taken_back(tmp_path):
    network = sam_detector()
    run(tmp_path, network, learning_rate=1.0)
    floored, signed = network.layers["conv4"].conv, network.layers["conv2"].conv
    assert (floored.positive == 0).any() and (floored.positive <= 0).all() and (floored.negative <= 0).all()
    assert (signed.polarity.abs() == 1).any() and (signed.polarity.abs() <= 1).all()


def test_convolutions_turn_into_sam_one_after_another(tmp_path):
    network, seen = blended(), []

    def watch(network, progress):
        seen.append([module.share for module in network.modules() if isinstance(module, Blend)])

    run(tmp_path, network, 32, after_backward=watch, epochs=2, sam=SamTraining(conversion=0.75))
    assert seen[:4] == [[0, 0, 0], [0.25, 0, 0], [0.5, 0, 0], [0.75, 0, 0]]
    assert seen[8:] == [[1, 1, 0], [1, 1, 0.25], [1, 1, 0.5], [1, 1, 0.75]] + [[1, 1, 1]] * 4
    unblend(network)
    assert weights(network).keys() == weights(sam_detector()).keys()


def test_the_teacher_is_heard_and_left_alone(tmp_path):
    teacher = detector(seed=5)
    before, network = weights(teacher), sam_detector()
    result = run(tmp_path / "a", network, teacher=teacher, sam=SamTraining(distillation=0.5))
    assert same(before, weights(teacher)) and not any(p.requires_grad for p in teacher.parameters())
    first = result["history"][0]
    assert first["distillation"] > 0
    assert first["loss"] == pytest.approx(sum(first[part] for part in ("box", "objectness", "class", "distillation")))
    alone = sam_detector()
    none = SamTraining(distillation=0)
    assert "distillation" not in run(tmp_path / "b", alone, teacher=teacher, sam=none)["history"][0]
    assert not same(weights(alone), weights(network))
    # A network of multiply-accumulates has a knob of its own, and is trained as ever without it.
    assert "distillation" not in run(tmp_path / "c", detector(), teacher=teacher)["history"][0]
    taught = run(tmp_path / "d", detector(), teacher=teacher, distillation=0.5, sam=none)["history"][0]
    assert taught["distillation"] > 0
    assert taught["loss"] == pytest.approx(sum(taught[part] for part in ("box", "objectness", "class", "distillation")))


@pytest.mark.parametrize("steps", [1, 4, 8])
def test_stopped_and_started_again(tmp_path, steps):
    """Three epochs of three steps; soft extremes, a blend and a teacher are on their way when it stops."""
    settings = {"epochs": 3, "validate_every": 1,
                "sam": SamTraining(conversion=0.9, distillation=0.3)}  # fmt: skip
    whole, broken = blended(), blended()
    expected = run(tmp_path / "whole", whole, 12, detector(seed=5), **settings)
    with pytest.raises(StopError):
        run(tmp_path / "broken", broken, 12, detector(seed=5), after_backward=stop_after(steps), **settings)
    again = blended()
    assert run(tmp_path / "broken", again, 12, detector(seed=5), **settings) == expected
    assert same(weights(again), weights(whole))


def test_a_finished_conversion_is_taken_up_as_sam(tmp_path):
    first, second = blended(), deepcopy(blended())
    run(tmp_path, first)
    run(tmp_path, second)
    pixels = torch.rand(2, 3, 48, 64)
    with torch.no_grad():
        assert all(torch.equal(a, b) for a, b in zip(first(pixels), second(pixels), strict=True))
    assert all(module.share == 1 for module in second.modules() if isinstance(module, Blend))


def test_soft_extremes_are_true_ones_in_the_end(tmp_path):
    network, seen = sam_detector(), []

    def watch(network, progress):
        seen.append({module.temperature for module in network.modules() if isinstance(module, SamConv2d)})

    run(tmp_path, network, after_backward=watch, sam=SamTraining(temperature=0.5, hard_after=0.5))
    assert seen == [{0.5}, {0.25}, {0}, {0}]
