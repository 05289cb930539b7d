"""Checkpoints: exact round trips, and files that are damaged or belong elsewhere."""

import json
import os

import pytest
import torch
from pydantic import BaseModel

from hwprune.errors import UserError
from hwprune.models.network import Network
from hwprune.models.store import load_model, save_model
from hwprune.models.yolov3_tiny import yolov3_tiny

WIDTHS = (4, 4, 6, 8, 8, 8, 8, 8, 8, 4, 8)


class Head(BaseModel):
    classes: tuple[str, ...]
    strides: tuple[int, ...]


def make(seed=0, widths=WIDTHS):
    torch.manual_seed(seed)
    return Network(yolov3_tiny(2, widths))


@pytest.fixture
def folder(tmp_path):
    save_model(tmp_path / "a" / "model", make(), Head(classes=("cat", "dög"), strides=(32, 16)))
    return tmp_path / "a" / "model"


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_round_trip_is_exact(tmp_path, dtype):
    network = make().to(dtype)
    network(torch.rand(2, 3, 64, 64, dtype=dtype))  # moves the running statistics
    save_model(tmp_path, network)
    loaded, head = load_model(tmp_path)
    assert head is None
    assert loaded.architecture == network.architecture
    assert loaded.training and all(p.requires_grad for p in loaded.parameters())
    expected, found = network.state_dict(), loaded.state_dict()
    assert expected.keys() == found.keys()
    for name, tensor in expected.items():
        assert found[name].dtype == tensor.dtype and torch.equal(found[name], tensor), name
    x = torch.rand(1, 3, 64, 96, dtype=dtype)
    for a, b in zip(network.eval()(x), loaded.eval()(x), strict=True):
        assert torch.equal(a, b)


def test_head_comes_back_as_json_and_only_the_two_files_lie_there(folder):
    _, head = load_model(folder)
    assert head == {"classes": ["cat", "dög"], "strides": [32, 16]}
    assert sorted(os.listdir(folder)) == ["model.json", "model.safetensors"]


def test_loading_leaves_the_random_generator_alone(folder):
    torch.manual_seed(3)
    expected = torch.rand(4)
    torch.manual_seed(3)
    load_model(folder)
    assert torch.equal(torch.rand(4), expected)


def test_loaded_network_does_not_depend_on_the_file(folder):
    network, _ = load_model(folder)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    with open(folder / "model.safetensors", "r+b") as file:  # in place, as no atomic writer would
        file.truncate(0)
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())


def test_saving_over_an_older_checkpoint_replaces_it(folder):
    other = make(1, widths=(8,) * 11)
    save_model(folder, other)
    loaded, head = load_model(folder)
    assert head is None and loaded.architecture == other.architecture


@pytest.mark.parametrize("name", ["model.json", "model.safetensors"])
@pytest.mark.parametrize("share", [0.0, 0.3, 0.999])
def test_truncated_file(folder, name, share):
    content = (folder / name).read_bytes()
    (folder / name).write_bytes(content[: int(len(content) * share)])
    with pytest.raises(UserError, match=name):
        load_model(folder)


@pytest.mark.parametrize("name", ["model.json", "model.safetensors"])
@pytest.mark.parametrize("damage", ["missing", "folder", "foreign"])
def test_missing_or_foreign_file(folder, name, damage):
    (folder / name).unlink()
    if damage == "folder":
        (folder / name).mkdir()
    elif damage == "foreign":
        (folder / name).write_bytes(b"PK\x03\x04" + bytes(200))
    with pytest.raises(UserError, match=rf"{name}.*run the stage"):
        load_model(folder)


def test_missing_folder(tmp_path):
    with pytest.raises(UserError, match="nowhere"):
        load_model(tmp_path / "nowhere")


def test_folder_that_is_a_file(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="file"):
        load_model(tmp_path / "file")
    with pytest.raises(UserError, match="file"):
        save_model(tmp_path / "file", make())


def test_weights_of_another_network(folder, tmp_path):
    save_model(tmp_path / "b", make(widths=(8,) * 11))
    os.replace(tmp_path / "b" / "model.safetensors", folder / "model.safetensors")
    with pytest.raises(UserError, match=r"model\.safetensors: tensor 'layers\.conv1\.conv\.weight' is float32 \(8, 3"):
        load_model(folder)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda d: d["architecture"]["layers"].pop(0), "conv1"),
        (lambda d: d["architecture"]["layers"].pop(), "conv13"),
        (lambda d: d["architecture"]["layers"][0].update(out_channels=10**30), "architecture"),
        (lambda d: d["architecture"]["layers"][0].update(out_channels=10**9), "conv1"),
        (lambda d: d["architecture"]["layers"][0].update(op="fft"), "architecture.layers.0"),
        (lambda d: d["architecture"].update(colour="red"), "architecture.colour"),
        (lambda d: d.update(head=3), "head"),
        (lambda d: d.pop("architecture"), "architecture"),
    ],
)
def test_description_that_was_edited(folder, change, complaint):
    description = json.loads((folder / "model.json").read_text())
    change(description)
    (folder / "model.json").write_text(json.dumps(description))
    with pytest.raises(UserError, match=complaint):
        load_model(folder)
