"""The comparison is a fair one: nets are as large as they are said to be, and all start from twins that are alike."""

import argparse
import json
import sys
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
import sam_accuracy
from sam_accuracy import VARIANTS, Variant, budget, channels, cost, inner, main, start, table, twin
from sam_logic import BINARY, SIGNS_AND_ZERO
from small_images import Images

from hwprune.sam.layer import SamConv2d

LUTS = {None: 263, BINARY: 87, SIGNS_AND_ZERO: 93}
CIFAR = Images("cifar10-16x16", *[(torch.zeros(4, 3, 16, 16, dtype=torch.uint8), torch.zeros(4).long())] * 3)


@pytest.fixture(autouse=True)
def synthesised(monkeypatch):
    """Without the minute that synthesis takes."""
    monkeypatch.setattr(sam_accuracy, "unit_luts", lambda unit: LUTS.get(unit, 135))


def digits(count: int) -> Images:
    torch.manual_seed(0)
    part = torch.randint(0, 256, (count, 1, 8, 8), dtype=torch.uint8), torch.arange(count) % 10
    return Images("digits", part, part, part)


def test_what_the_nets_cost_by_hand():
    """Inner layers of the net `small` at 16x16 pixels: 24-32 and 32-48 at 8x8, 48-64 at 4x4."""
    weights = 9 * (24 * 32 + 32 * 48 + 48 * 64)
    connections = 9 * (64 * (24 * 32 + 32 * 48) + 16 * 48 * 64)
    edges = 8 * (27 * 24 + 64 * 10)
    plain = budget("small", CIFAR)
    assert plain["luts"] == pytest.approx(connections / 1e6 * 263)
    assert plain["weight_bits_total"] == 4 * weights + edges
    for name, bits in {"signed1-floor": 5, "signed1-floor-3bit": 4, "signed1-floor-2bit": 3, "binary": 1, "ternary": 2,
                       "signed2-floor": 4.5, "difference4": 8}.items():  # fmt: skip
        variant = VARIANTS[name]
        found = cost(table("small", variant, CIFAR, channels("small", variant, CIFAR)), variant, (16, 16))
        assert found["weight_bits_total"] == bits * weights + edges, name


@pytest.mark.parametrize("name", [name for name, variant in VARIANTS.items() if isinstance(variant.width, str)])
def test_as_wide_as_the_purse_allows(name):
    variant = VARIANTS[name]
    widths = channels("small", variant, CIFAR)
    assert widths[0] == 24 and all(count % 4 == 0 for count in widths)
    purse = {"luts": "luts", "memory": "weight_bits_total"}[variant.width]
    limit = budget("small", CIFAR)[purse]

    def spent(widths):
        return cost(table("small", variant, CIFAR, widths), variant, (16, 16))[purse]

    assert 0.94 * limit < spent(widths) <= limit
    assert spent((24, *(count + 4 for count in widths[1:]))) > limit


@pytest.mark.parametrize("name", ["mac", "signed1-floor", "binary", "ternary"])
def test_every_net_starts_from_the_same_twin(name, tmp_path):
    images, variant = digits(96), VARIANTS[name]
    options = argparse.Namespace(net="digits", twin=1, epochs=1, batch=32, rate=1e-3, out=tmp_path / "rows.json")
    architecture = table("digits", variant, images, channels("digits", variant, images))
    mac = table("digits", Variant(), images, channels("digits", Variant(), images))
    first = twin(mac, images, options, 0)
    (folder,) = (tmp_path / "rows-twins").iterdir()
    before = {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}
    network = start(variant, architecture, images, options, 0)
    assert {path.name: path.stat().st_mtime_ns for path in folder.iterdir()} == before  # not trained twice
    for layer in ("conv0", "classes"):
        assert torch.equal(network.layers[layer].conv.weight, first.layers[layer].conv.weight)
    for layer in inner(architecture):
        mine, weight = network.layers[layer].conv, first.layers[layer].conv.weight
        assert isinstance(mine, SamConv2d) == (variant.sam is not None)
        if variant.sam is None:
            assert torch.equal(mine.weight, weight)
        else:
            # A group of one has the sign of its connection, where that is not nearly 0.
            signs = mine.sign().reshape(len(weight), 3, 3, -1).permute(0, 3, 1, 2)
            assert torch.equal(signs[weight.abs() > 1e-6], weight.sign()[weight.abs() > 1e-6])


def test_rows_are_kept_and_others_never_touched(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sam_accuracy, "digits", lambda: digits(64))
    out = tmp_path / "rows.json"
    foreign = {"variant": "mac", "net": "digits", "seed": 0, "by": "another"}
    out.write_text(json.dumps([foreign]))
    command = ["sam_accuracy", "mac", "ternary", "--epochs", "1", "--twin", "1", "--seeds", "0", "--test",
               "--out", str(out)]  # fmt: skip
    monkeypatch.setattr(sys, "argv", command)
    main()
    rows = json.loads(out.read_text())
    assert rows[0] == foreign
    assert [(row["variant"], row["luts"], row["twin_epochs"]) for row in rows[1:]] == [
        ("mac", 1, 1),
        ("ternary", round(93 / 263, 3), 1),
    ]
    monkeypatch.setattr(sam_accuracy, "measure", None)  # nothing is left to be measured
    main()
    assert json.loads(out.read_text()) == rows
    last = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert last["means"] == {row["variant"]: row["test"] for row in rows[1:]}
