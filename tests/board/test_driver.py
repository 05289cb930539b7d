"""The packaged driver, in front of the shell in a simulator: what runs on the board has run here."""

import ast
import sys
import zipfile
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from hwprune.board import driver
from hwprune.board.package import write_package
from hwprune.board.shell import REGISTERS, write_shell
from tests.board.shell_standin import StandIn, board_with

pytest.importorskip("cocotb", reason="cocotb and cocotbext-axi are not installed")
pytest.importorskip("cocotbext.axi", reason="cocotb and cocotbext-axi are not installed")
from tests.board.shell_runner import Settings, simulate

SOURCE = Path(driver.__file__)


def test_it_needs_numpy_and_pynq_only_and_an_old_python():
    tree = ast.parse(SOURCE.read_text(), feature_version=(3, 8))
    names = {name.name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names}
    names |= {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    others = {name for name in names if name.partition(".")[0] not in sys.stdlib_module_names}
    assert others == {"numpy", "pynq"}


def test_against_the_shell(tmp_path, runtime):
    standin = StandIn(1, 201, ((3, 17), (5, 4)))
    board = board_with(64, 40)
    shell = write_shell(standin.design(tmp_path / "design"), board, tmp_path / "shell")
    random = np.random.default_rng(3)
    content = {"small.bit": b"bits", "small.hwh": b"handoff", "driver.py": SOURCE}
    content[REGISTERS] = shell.folder / REGISTERS
    for number in range(3):
        frame = standin.frame(random)
        content[f"vectors/{number}/in0_V.bin"] = frame
        for k, result in enumerate(standin.compute(frame)):
            content[f"vectors/{number}/out{k}_V.bin"] = result
            content[f"vectors/out{k}_V.mask"] = b"\xff" * len(result)
    write_package(tmp_path / "small.zip", content)
    with zipfile.ZipFile(tmp_path / "small.zip") as package:
        package.extractall(tmp_path / "package")
    settings = Settings(
        registers=str(shell.folder / REGISTERS),
        data_bits=64,
        address_bits=40,
        max_burst=16,
        standin=asdict(standin),
        package=str(tmp_path / "package"),
    )
    simulate(shell, settings, tmp_path / "run", runtime, "tests.board.driver_cocotb", ["driver"])


@pytest.mark.parametrize(
    ("files", "complaint"),
    [
        ({}, "no such file"),
        ({"SHA256SUMS": f"{'0' * 64}  small.bit\n", "small.bit": "bits"}, "small.bit: is missing or damaged"),
        ({"SHA256SUMS": f"{'0' * 64}  gone.bit\n"}, "gone.bit: is missing or damaged"),
    ],
)
def test_a_damaged_package(tmp_path, capsys, files, complaint):
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    assert driver.main([str(tmp_path)]) == 1
    assert complaint in capsys.readouterr().err.lower().replace("sha256sums", "SHA256SUMS")


def test_a_package_without_its_bitstream(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pynq", object())
    (tmp_path / "small.bit").touch()
    with pytest.raises(driver.DriverError, match=r"one .bit, and a .hwh of its name"):
        driver.Accelerator.load(tmp_path)
