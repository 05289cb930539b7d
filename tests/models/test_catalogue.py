"""The catalogue: what it says of a network is what its builder takes."""

import subprocess
import sys

import pytest

from hwprune.models.catalogue import CATALOGUE
from hwprune.models.published import PUBLISHED

OPTIONS = {
    "anchors_per_head": 2,
    "activation": "relu",
    "detection_layers": 2,
    "boxes": (4, 4),
    "norm": True,
    "fully_connected": (5,),
}


@pytest.mark.parametrize("name", CATALOGUE)
def test_widths_name_every_layer_that_is_no_head(name):
    model = CATALOGUE[name]
    architecture = model.build(4, None, model.image_size)
    channels, widths = architecture.channels(), model.widths()
    convs = [layer.name for layer in architecture.layers if layer.op == "conv"]
    assert [layer for layer in convs if layer not in architecture.heads] == list(widths)
    assert widths == {layer: channels[layer] for layer in widths}
    narrow = model.build(4, dict.fromkeys(widths, 3), model.image_size).channels()
    assert {narrow[layer] for layer in widths} == {3}
    assert [narrow[head] for head in architecture.heads] == [channels[head] for head in architecture.heads]
    with pytest.raises(ValueError, match="has no layer 'conv99' whose width is free"):
        model.build(4, {"conv99": 3}, model.image_size)


@pytest.mark.parametrize("name", CATALOGUE)
def test_options_are_taken(name):
    model = CATALOGUE[name]
    options = {option: OPTIONS[option] for option in model.options}
    architecture = model.build(4, None, model.image_size, **options)
    assert options.keys() == set() or architecture != model.build(4, None, model.image_size)
    assert model.width_options <= model.options
    widths = model.widths(**{option: OPTIONS[option] for option in model.width_options})
    assert widths.keys() <= {layer.name for layer in architecture.layers} - set(architecture.heads)
    for option in OPTIONS.keys() - model.options:
        with pytest.raises(TypeError):
            model.build(4, None, model.image_size, **{option: OPTIONS[option]})


@pytest.mark.parametrize("name", CATALOGUE)
def test_image_sizes(name):
    model = CATALOGUE[name]
    shapes = model.build(1, None, model.image_size).shapes(*model.image_size)
    assert all(side % model.multiple == 0 for side in model.image_size) and len(shapes) > 10
    if model.square:
        with pytest.raises(ValueError, match="64"):
            model.build(1, None, (64, 128))


def test_import_is_light():
    code = "import sys, hwprune.models.published; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_published_networks_are_of_the_catalogue():
    assert {network.model for network in PUBLISHED.values()} <= CATALOGUE.keys()
