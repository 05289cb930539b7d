"""The SAM unit's RTL, as FINN gets it: values, protocol, rate."""

import math
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from hwprune.accel import operators
from hwprune.accel.operators.samvau_rtl import SAMVAU_rtl
from hwprune.accel.sources import rtl_dir
from tests.accel.operators.bench import Bench, Stall, verilator
from tests.accel.operators.sam_cases import VECTORS, SamCase, sam_cases

FRAMES = 2
CASES = int(os.environ.get("HWPRUNE_SAM_CASES", "26"))
"""Units side by side in the model; more for a longer run."""
SEED = int(os.environ.get("HWPRUNE_SAM_SEED", "0"))

property_test = settings(max_examples=8, deadline=None, derandomize=True, phases=[Phase.explicit, Phase.generate])
stalls = st.builds(Stall, st.sampled_from([0, 10, 50, 90]), st.sampled_from([1, 3, 40]))


@pytest.fixture(scope="module")
def sams() -> list[SamCase]:
    operators.register()
    return sam_cases(CASES, SEED)


@pytest.fixture(scope="module")
def bench(sams, tmp_path_factory) -> Bench:
    """All units in one Verilated model."""
    folder = tmp_path_factory.mktemp("sam")
    return Bench(
        {case.name: generated(case, folder) for case in sams},
        [rtl_dir() / file for file in SAMVAU_rtl.rtl_sources],
        folder,
    )


def generated(case: SamCase, folder: Path) -> str:
    """The wrapper, with the ROM's file by its full name, as FINN would make it."""
    case.op.set_nodeattr("code_gen_dir_ipgen", str(folder))
    case.op.generate_hdl(case.model, "xc7z020clg400-1", 10)
    return (folder / f"{case.name}.v").read_text().replace('"./', f'"{folder}/')


def simulate(bench, sams, seed, stall=None):
    """Run all units side by side and hold every output to its sums."""
    rng = np.random.default_rng(seed)
    inputs, wanted = {}, {}
    for case in sams:
        x = case.inputs(rng, FRAMES)
        inputs[f"{case.name}_in0_V"] = case.beats_in(x)
        wanted[f"{case.name}_out0_V"] = case.beats_out(case.golden(x))
    pauses = {port: stall(port) for port in (*inputs, *wanted)} if stall else {}
    traces = bench.run(inputs, {port: len(beats) for port, beats in wanted.items()}, pauses, seed)
    for port, beats in wanted.items():
        np.testing.assert_array_equal(traces[port].beats, beats, err_msg=port)
    return traces


@property_test
@given(seed=st.integers(0, 2**31), data=st.data())
def test_sums_and_protocol_under_any_stall(bench, sams, seed, data):
    """Each input and output pauses by a pattern of its own."""
    into, out = data.draw(st.lists(stalls, min_size=1, max_size=4)), data.draw(st.lists(stalls, min_size=1, max_size=4))
    rng = np.random.default_rng(seed)
    simulate(bench, sams, seed, lambda port: rng.choice(into if "_in" in port else out))


def test_cycles_a_vector_are_the_estimate(bench, sams):
    """Without stalls vectors follow each other in `get_exp_cycles`, to the cycle, and inputs are never kept waiting
    longer; the first sums are late by the pipeline only."""
    traces = simulate(bench, sams, 1)
    for case in sams:
        beats, folds = case.op.folds
        cycles = traces[f"{case.name}_out0_V"].cycles
        assert case.op.get_exp_cycles() == VECTORS * beats * folds
        assert np.array_equal(np.diff(cycles), np.full(len(cycles) - 1, beats)), case.name
        assert cycles[0] == beats - 1 + latency(case.op), case.name


def latency(op) -> int:
    """Cycles from the beat that completes the first sums to these: see hls/README.md."""
    simd, group = op.get_nodeattr("SIMD"), op.get_nodeattr("group")
    replayed, block, partial = op.folds[1] > 1, op.in_block_ram, group > simd
    extreme = 3 if min(simd, group) > 1 else 1
    tree = math.ceil(math.log2(op.sets * max(1, simd // group)))
    return replayed + 1 + block + extreme + partial + tree + 2


def test_units_are_clean_under_lint(bench):
    done = verilator(
        *("--lint-only", "-Wall", "-Wno-DECLFILENAME", "--top-module", "bench"),
        *(str(rtl_dir() / file) for file in SAMVAU_rtl.rtl_sources),
        str(bench.folder / "bench.v"),
        cwd=bench.folder,
    )
    assert done.returncode == 0, done.stderr
    assert "%Warning" not in done.stderr
