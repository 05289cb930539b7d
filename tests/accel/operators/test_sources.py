"""The SystemVerilog itself: found, clean under lint, and checking its parameters."""

import re

import pytest

from hwprune.accel import sources
from hwprune.accel.sources import rtl_dir
from hwprune.errors import UserError
from tests.accel.operators.bench import verilator

REFUSED = [
    ("maxpool2d", {"PE": 2, "CHANNELS": 3}, "PE=2 does not divide CHANNELS=3"),
    ("maxpool2d", {"STRIDE": 3}, "STRIDE=3 is neither 1 nor 2"),
    ("maxpool2d", {"HEIGHT": 1}, "gives no output"),
    ("maxpool2d", {"KERNEL": 1}, "KERNEL=1 is below 2"),
    ("maxpool2d", {"PAD_LEFT": 2}, "padding of 0, 2, 0, 0 (top, left, bottom, right) is too much"),
    ("maxpool2d", {"STRIDE": 1, "PAD_TOP": 1, "PAD_BOTTOM": 1}, "padding of 1, 0, 1, 0"),
    ("pairwise_max", {"STRIDE": 1, "FIRST": 1, "LAST": 1}, "no time for both FIRST and LAST"),
    ("upsample_nearest", {"FACTOR": 1}, "FACTOR=1 is below 2"),
    ("upsample_nearest", {"SIMD": 2, "CHANNELS": 5}, "SIMD=2 does not divide CHANNELS=5"),
    ("stream_concat", {"INPUTS": 1}, "INPUTS=1 has to be at least 2"),
    ("stream_concat", {"IN_BITS": "64'h0000000800000009"}, "input 0 has IN_BITS=9"),
    ("stream_duplicate", {"OUTPUTS": 1}, "OUTPUTS=1 has to be at least 2"),
    ("skid_buffer", {"WIDTH": 0}, "WIDTH=0 is below 1"),
    ("samvau", {"SIMD": 3}, "SIMD=3 does not divide MW=8"),
    ("samvau", {"PE": 4}, "PE=4 does not divide MH=2"),
    ("samvau", {"GROUP": 5}, "GROUP=5 does not divide MW=8"),
    ("samvau", {"MW": 24, "SIMD": 4, "GROUP": 6}, "of SIMD=4 and GROUP=6 one has to divide the other"),
    ("samvau", {"SETS": 1, "MIN": 1}, "SETS=1, MIN=1"),
    ("samvau", {"X_SHIFT": 1, "Q_SHIFT": 1}, "X_SHIFT=1 and Q_SHIFT=1"),
    ("samvau", {"OUT_BITS": 0}, "OUT_BITS=0"),
    ("sam_extreme", {"N": 0}, "N=0"),
    ("adder_tree", {"N": 1}, "N=1 has to be at least 2"),
    ("vector_replay", {"PASSES": 0}, "PASSES=0"),
    ("rom", {"DEPTH": 0}, "DEPTH=0"),
    ("mvau", {"SIMD": 3}, "SIMD=3 does not divide MW=8"),
    ("mvau", {"PE": 4}, "PE=4 does not divide MH=2"),
    ("mvau", {"W_BITS": 1}, "W_BITS=1 at least 2"),
    ("mvau", {"CHAIN": 5}, "CHAIN=5 1 to SIMD=4"),
    ("dsp_chain", {"STEP": 9}, "STEP=9 is less than LANE_BITS=10"),
    ("lut_products", {"N": 0}, "N=0"),
    ("width_converter", {"IN_BITS": 0}, "IN_BITS=0"),
    ("width_converter", {"IN_BITS": 16}, "IN_BITS=16 and OUT_BITS=16"),
]
PACKAGES = [str(path) for path in sorted(rtl_dir().glob("*_pkg.sv"))]
"""Before all others: Verilator finds modules in a folder, but not packages."""


def test_every_wrapped_case_is_clean_under_lint(bench):
    """All shapes, widths and signs at once; the wrappers share one file here, so file names cannot match modules."""
    done = verilator(
        *("--lint-only", "-Wall", "-Wno-DECLFILENAME", "--top-module", "bench"),
        *PACKAGES,
        *(str(path) for path in sorted(rtl_dir().glob("*.sv")) if str(path) not in PACKAGES),
        str(bench.folder / "bench.v"),
        cwd=bench.folder,
    )
    assert done.returncode == 0, done.stderr
    assert "%Warning" not in done.stderr


@pytest.mark.parametrize("path", sorted(rtl_dir().glob("*.sv")), ids=lambda path: path.stem)
def test_each_file_is_clean_under_lint(path):
    package = path.stem.endswith("_pkg")
    sources = PACKAGES if package else [*PACKAGES, str(path), "--top-module", path.stem]
    done = verilator("--lint-only", "-Wall", "-y", str(path.parent), *sources, cwd=path.parent)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(("module", "parameters", "message"), REFUSED)
def test_impossible_parameters_are_refused_at_elaboration(module, parameters, message):
    folder = rtl_dir()
    settings = [f"-G{name}={value}" for name, value in parameters.items()]
    sources = [*PACKAGES, str(folder / f"{module}.sv"), "--top-module", module]
    done = verilator("--lint-only", "-y", str(folder), *settings, *sources, cwd=folder)
    assert done.returncode != 0
    assert message in done.stderr


def test_no_initial_blocks():
    """Reset makes the state; nothing rests on power-up values, which other parts than FPGAs lack; but for ROMs."""
    for path in rtl_dir().glob("*.sv"):
        assert not re.search(r"\binitial\b(?! if \(FILE != \"\"\) \$readmemh)", path.read_text()), path


def test_missing_sources_are_named(tmp_path, monkeypatch):
    monkeypatch.setattr(sources, "_PACKAGE", tmp_path / "hwprune")
    with pytest.raises(UserError, match=re.escape(str(tmp_path / "hls" / "rtl"))):
        rtl_dir()
    installed = tmp_path / "hwprune" / "rtl"
    installed.mkdir(parents=True)
    (installed / "skid_buffer.sv").write_text("")
    assert rtl_dir() == installed
