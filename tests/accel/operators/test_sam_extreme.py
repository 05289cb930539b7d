"""One half of a SAM unit, against the definition: all combinations of small shapes, random ones of others."""

import re
import subprocess
import sys
from pathlib import Path

from hwprune.accel.sources import rtl_dir
from tests.accel.operators.bench import verilator

BENCH = Path(__file__).with_name("sam_extreme_bench.sv")
SOURCES = ("sam_pkg.sv", "delay_line.sv", "sam_extreme.sv")
LINE = re.compile(r"^(\d+) (\d+) (\d+) \d+ \d+: (\d+) compared, (\d+) wrong$", re.MULTILINE)


def test_every_shape_computes_its_definition(tmp_path):
    sources = [str(rtl_dir() / file) for file in SOURCES]
    done = verilator(
        *(
            "--cc",
            "--exe",
            "--main",
            "--timing",
            "-Wno-fatal",
            "-Wno-lint",
            "--x-initial",
            "unique",
            "-CFLAGS",
            "-std=c++20",
        ),
        *("--prefix", "Model", "--top-module", BENCH.stem, "--Mdir", ".", *sources, str(BENCH)),
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    # As in `Bench`: the wheel's makefile was configured for another compiler.
    make = ["make", "-j2", "-f", "Model.mk", "CXX=g++", "LINK=g++", f"PYTHON3={sys.executable}"]
    make += ["OPT_FAST=-O0", "OPT_GLOBAL=-O0", "CFG_CXXFLAGS_PCH_I=-include"]
    made = subprocess.run(make, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stderr[-4000:]
    run = subprocess.run([tmp_path / "Model", "+verilator+seed+1"], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    shapes = [tuple(map(int, line)) for line in LINE.findall(run.stdout)]
    assert len(shapes) == 14, run.stdout
    for n, u_bits, q_bits, compared, wrong in shapes:
        bits = n * (u_bits + q_bits)
        assert compared == (1 << bits if bits <= 14 else 20000), run.stdout
        assert wrong == 0, run.stdout
