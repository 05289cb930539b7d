import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from hwprune.errors import UserError
from hwprune.train.loop import fit
from hwprune.train.settings import TrainSettings
from tests.train import toys
from tests.train.toys import HEAD, Noisy, Rectangles, detector

QUICK = TrainSettings(epochs=2, batch_size=4, accelerator="cpu")
ROOT = Path(__file__).parents[2]


def run(folder, settings=QUICK, network=None, count=8, **kwargs):
    network = network or detector()
    return network, fit(network, Rectangles(count), Rectangles(4, 1), HEAD, settings, folder, seed=3, **kwargs)


def weights(network):
    return {name: value.clone() for name, value in network.state_dict().items()}


def same(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def test_overfits_four_images(tmp_path):
    images = Rectangles(4)
    images.set_epoch = lambda epoch: None
    settings = TrainSettings(epochs=80, batch_size=4, validate_every=80, accelerator="cpu", warmup_epochs=8)
    result = fit(detector(), images, images, HEAD, settings, tmp_path, seed=0)
    losses = [record["loss"] for record in result["history"]]
    assert losses[-1] < 0.2 * losses[0]
    assert result["map50"] > 0.95
    assert result["history"][-1]["map50"] == result["map50"] and "map50" not in result["history"][0]


def test_history_and_files(tmp_path, capsys):
    network, result = run(tmp_path / "new" / "folder", name="finetune")
    assert [record["epoch"] for record in result["history"]] == [1, 2]
    first = result["history"][0]
    assert first["loss"] == pytest.approx(first["box"] + first["objectness"] + first["class"])
    assert {path.name for path in (tmp_path / "new" / "folder").iterdir()} == {"last.ckpt", "tensorboard"}
    out, err = capsys.readouterr()
    assert [line.split(":")[0] for line in out.splitlines()] == ["finetune 1/2", "finetune 2/2"]
    assert err == ""
    assert not network.training and all(p.is_contiguous() for p in network.parameters())


def test_seed_fixes_the_weights(tmp_path):
    state = torch.get_rng_state()
    first, _ = run(tmp_path / "a", network=Noisy())
    second, _ = run(tmp_path / "b", network=Noisy())
    assert same(weights(first), weights(second))
    assert not same(weights(first), weights(Noisy()))
    # The caller's random numbers are left alone (Noisy() itself seeds them).
    torch.set_rng_state(state)
    run(tmp_path / "c", network=first)
    assert torch.equal(torch.get_rng_state(), state)


def test_workers_change_nothing(tmp_path):
    alone, _ = run(tmp_path / "a")
    helped, _ = run(tmp_path / "b", QUICK.model_copy(update={"workers": 1}))
    assert same(weights(alone), weights(helped))


def test_after_backward_sees_gradients_and_progress(tmp_path):
    seen = []

    def hook(network, progress):
        seen.append((progress, network.layers["conv1"].norm.weight.grad.abs().sum().item()))
        network.layers["conv1"].norm.weight.grad.fill_(1e6)

    network, _ = run(tmp_path, QUICK.model_copy(update={"gradient_clip": None}), after_backward=hook)
    assert [progress for progress, _ in seen] == [0, 0.25, 0.5, 0.75]
    assert all(gradient > 0 for _, gradient in seen)
    # The gradient that the hook put there is the one the optimizer used: all scales sink alike.
    scales = network.layers["conv1"].norm.weight
    assert (scales < 1).all() and torch.allclose(scales, scales[0].expand_as(scales), atol=1e-6)


def test_no_decay_but_on_weights(tmp_path):
    """With no gradient at all, AdamW's decay is what is left."""

    def silence(network, progress):
        for parameter in network.parameters():
            parameter.grad.zero_()

    before = weights(detector())
    settings = QUICK.model_copy(update={"weight_decay": 0.5, "gradient_clip": None})
    after = weights(run(tmp_path, settings, after_backward=silence)[0])
    for name, _ in detector().named_parameters():
        shrunk = after[name].norm() < before[name].norm()
        assert shrunk == name.endswith("conv.weight"), name


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_both_optimizers_learn(tmp_path, optimizer):
    settings = TrainSettings(epochs=6, batch_size=4, optimizer=optimizer, accelerator="cpu", learning_rate=5e-3)
    _, result = run(tmp_path, settings, count=16)
    assert result["history"][-1]["loss"] < 0.8 * result["history"][0]["loss"]


def test_one_image_and_no_boxes(tmp_path):
    class Empty(Rectangles):
        def __getitem__(self, index):
            image, _ = super().__getitem__(index)
            return image, {"boxes": torch.zeros(0, 4), "labels": torch.zeros(0, dtype=torch.int64)}

    result = fit(detector(), Empty(1), Empty(1), HEAD, QUICK, tmp_path, seed=0)
    assert result["map50"] == 0 and result["history"][-1]["box"] == 0


def test_killed_and_started_again(tmp_path, capsys):
    """Five steps an epoch: a process of its own is killed in the middle of the second, and this one goes on."""
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    expected, history = toys.three_epochs(whole)

    done = subprocess.run(
        [sys.executable, "-m", toys.__name__, str(broken), "8"], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert [line.split(":")[0] for line in done.stdout.splitlines()] == ["train 1/3"]
    capsys.readouterr()
    with pytest.raises(StopError):
        toys.three_epochs(broken, stop_after(7))  # two steps into the third epoch
    found, repeated = toys.three_epochs(broken)
    assert [line.split(":")[0] for line in capsys.readouterr().out.splitlines()] == ["train 2/3", "train 3/3"]
    assert same(found, expected) and repeated == history


class StopError(Exception):
    pass


def stop_after(steps):
    def hook(network, progress):
        nonlocal steps
        steps -= 1
        if steps == 0:
            raise StopError

    return hook


def test_a_finished_run_is_not_run_again(tmp_path, capsys):
    network, result = run(tmp_path)
    capsys.readouterr()
    again, repeated = run(tmp_path, network=detector(seed=9))
    assert capsys.readouterr().out == "" and repeated == result
    assert same(weights(network), weights(again)) and not again.training


@pytest.mark.parametrize("damage", ["truncated", "empty", "text", "pickle", "foreign"])
def test_damaged_checkpoint(tmp_path, damage):
    run(tmp_path)
    path = tmp_path / "last.ckpt"
    match damage:
        case "truncated":
            path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
        case "empty":
            path.write_bytes(b"")
        case "text":
            path.write_text("not a checkpoint")
        case "pickle":
            torch.save({"run": Path("/")}, path)  # needs code to load
        case "foreign":
            torch.save({"state_dict": {"weight": torch.zeros(2)}}, path)
    with pytest.raises(UserError, match=r"last\.ckpt: .*[Dd]elete it"):
        run(tmp_path)


def test_checkpoint_of_another_run(tmp_path):
    run(tmp_path)
    with pytest.raises(UserError, match=r"learning_rate \(0\.01 there, 0\.001 here\)"):
        run(tmp_path, QUICK.model_copy(update={"learning_rate": 1e-3}))
    with pytest.raises(UserError, match="another network"):
        run(tmp_path, network=Noisy())


def test_data_that_does_not_fit(tmp_path):
    class Named(Rectangles):
        classes = ("cat", "dog")

    with pytest.raises(UserError, match="training set has no images"):
        fit(detector(), Rectangles(0), Rectangles(1), HEAD, QUICK, tmp_path, seed=0)
    with pytest.raises(UserError, match=r"cat, dog.*red, blue"):
        fit(detector(), Rectangles(1), Named(1), HEAD, QUICK, tmp_path, seed=0)


def test_divergence_is_told(tmp_path):
    def poison(network, progress):
        network.layers["conv1"].conv.weight.grad.fill_(float("nan"))

    with pytest.raises(UserError, match=r"diverged.*learning_rate"):
        run(tmp_path, after_backward=poison)


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has the accelerator that the test asks for in vain")
def test_accelerator_that_is_not_there(tmp_path):
    with pytest.raises(UserError, match="accelerator"):
        run(tmp_path, QUICK.model_copy(update={"accelerator": "cuda"}))


def test_interrupt_is_passed_on(tmp_path):
    def interrupt(network, progress):
        raise KeyboardInterrupt

    handler = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, after_backward=interrupt)
    assert signal.getsignal(signal.SIGINT) is handler
