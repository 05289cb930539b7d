"""The stalls of the model are those of the RTL's harness."""

import re
import subprocess
from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

import hwprune.sim
from hwprune.sim.cycle.stalls import next_free, stalled

PROGRAM = """
#include <cstdint>
#include <cstdio>
%s
int main() {
    unsigned percent; unsigned long seed, port, cycle;
    while (std::scanf("%%u %%lu %%lu %%lu", &percent, &seed, &port, &cycle) == 4)
        std::putchar(stalled(percent, seed, port, cycle) ? '1' : '0');
}
"""


def test_the_harness_has_the_same_function(tmp_path):
    harness = (Path(hwprune.sim.__file__).parent / "harness.cpp").read_text()
    function = re.search(r"static bool stalled\(.*?\n}\n", harness, re.S)[0]
    (tmp_path / "stalled.cpp").write_text(PROGRAM % function)
    subprocess.run(["g++", "-std=c++20", "-o", tmp_path / "stalled", tmp_path / "stalled.cpp"], check=True)
    rng = np.random.default_rng(1)
    cases = np.stack([rng.integers(0, high, 5000) for high in (101, 2**63, 40, 2**31)], axis=1)
    asked = "\n".join(" ".join(map(str, case)) for case in cases)
    run = subprocess.run([tmp_path / "stalled"], input=asked, capture_output=True, text=True, check=True)
    assert run.stdout == "".join("01"[stalled(*case)] for case in cases.tolist())


@settings(max_examples=20, deadline=None)
@given(percent=st.integers(0, 99), seed=st.integers(0, 2**63 - 1), port=st.integers(0, 30))
def test_the_share_of_stalls_is_what_was_asked_for(percent, seed, port):
    share = np.mean([stalled(percent, seed, port, cycle) for cycle in range(4000)])
    assert abs(share - percent / 100) < 0.05  # more than five standard deviations


@settings(max_examples=50, deadline=None)
@given(percent=st.integers(0, 99), seed=st.integers(0, 2**63 - 1), cycle=st.integers(0, 2**30))
def test_the_next_cycle_without_a_stall(percent, seed, cycle):
    free = next_free(percent, seed, 3, cycle)
    assert not stalled(percent, seed, 3, free)
    assert all(stalled(percent, seed, 3, c) for c in range(cycle, free))
