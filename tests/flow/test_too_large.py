"""A network that cannot fit its board, through the command line: what is told, that it is true, and what is left."""

import re

import pytest
import yaml
from click.testing import CliRunner

from hwprune import cli
from hwprune.flow.stage import Outcome, Stage
from hwprune.flow.stages import compile
from hwprune.flow.stages.export import GRAPH
from hwprune.models.architecture import IMAGE, Architecture, Conv
from hwprune.quant.export import export_qonnx
from tests.nets import integer_network

SIZE = (32, 32)
WIDTHS = (32, 128, 512, 512)
RECIPE = {"name": "big", "data": {"source": "digits", "image_size": list(SIZE), "train": 4, "val": 3}}


def table(part: float) -> Architecture:
    """3.1M weights behind one another where all widths are there: twice the memory of an xc7z020."""
    layers, before = [], IMAGE
    for number, width in enumerate(WIDTHS, 1):
        stride = 2 if number < 3 else 1
        name = f"conv{number}"
        layers.append(
            Conv(name=name, inputs=(before,), out_channels=round(part * width), kernel=3, padding=1, stride=stride)
        )
        before = name
    head = Conv(name="head", inputs=(before,), out_channels=4, kernel=1, norm=False, activation="linear")
    return Architecture(name="big", layers=(*layers, head), heads=("head",))


@pytest.fixture
def hwprune(tmp_path, monkeypatch):
    """``hwprune run`` of an untrained network with a part of the widths, up to the stage compile."""

    def run(part: float):
        def export(context):
            export_qonnx(integer_network(table(part), SIZE, 1), SIZE, context.folder / GRAPH)
            return Outcome((context.folder / GRAPH,), {})

        made = (Stage("export", "export", "", (), ("data",), export), compile.STAGE)
        monkeypatch.setattr(cli, "stages", lambda *rounds, **board: made)
        recipe = tmp_path / "big.yaml"
        recipe.write_text(yaml.safe_dump({**RECIPE, "compile": {"board": "pynq-z2"}}))
        out = tmp_path / f"run-{part:.0%}"
        return out, CliRunner().invoke(cli.main, ["run", str(recipe), "--out", str(out)])

    return run


def test_too_large_says_by_how_much_and_what_would_fit(hwprune):
    out, done = hwprune(1.0)
    assert done.exit_code == 2 and "Traceback" not in done.output, done.output
    told = done.output.splitlines()[-1]
    assert told.startswith("Error: compile: even the smallest folding takes "), told
    # 3.1M weights of 4 bits are 680 memories of 18 Kb, and no LUTs are left to hold the rest.
    assert re.search(r"(\d+) LUTs, \d+ more than the 45220 of the budget", told), told
    assert re.search(r"(\d+) block RAMs of 18 Kb, \d+ more than the 266 of the budget", told), told
    for name in ("stage.json", "design.json", "accelerator.json", "rtl"):
        assert not (out / "compile" / name).exists()

    widths = int(told.partition("(widths to ")[2].partition("%)")[0])
    assert 50 < widths < 90
    out, done = hwprune(widths / 100)
    assert done.exit_code == 0, done.output
    assert (out / "compile" / "design.json").is_file()
