"""How netlists are counted, on small ones counted by hand, and against a greatest matching."""

import networkx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwprune.accel.sources import rtl_dir
from hwprune.board.netlist import levels, measure, pairs
from hwprune.board.yosys import Unit, netlists


def lut(inputs, output):
    """A LUT as in Yosys's JSON."""
    ports = {f"I{i}": [bit] for i, bit in enumerate(inputs)}
    directions = {**dict.fromkeys(ports, "input"), "O": "output"}
    return {"type": f"LUT{len(inputs)}", "port_directions": directions, "connections": {**ports, "O": [output]}}


def carry(select, output, into="0"):
    ports = {"CI": [into], "CYINIT": ["0"], "DI": ["0"] * 4, "S": select, "O": output, "CO": [b + 100 for b in output]}
    directions = {name: "output" if name in ("O", "CO") else "input" for name in ports}
    return {"type": "CARRY4", "port_directions": directions, "connections": ports}


def module(*cells):
    return {"cells": {f"c{i}": cell for i, cell in enumerate(cells)}, "ports": {}}


@pytest.mark.parametrize(
    ("luts", "expected"),
    [
        ([("abcde", False), ("abcd", False)], 1),  # five inputs together
        ([("abcde", False), ("abcdf", False)], 0),  # six
        ([("abcdef", False), ("ab", False)], 0),  # six inputs take a site
        ([("ab", False), ("cde", False), ("ab", False)], 1),
        ([("ab", True), ("ab", True)], 0),  # both feed a carry chain: only O6 can
        ([("ab", True), ("cd", False)], 1),
        ([("abc", False), ("abd", False), ("de", False), ("abcde", False)], 2),
    ],
)
def test_pairs_counted_by_hand(luts, expected):
    assert pairs([(frozenset(inputs), summed) for inputs, summed in luts]) == expected


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    st.lists(st.tuples(st.frozensets(st.integers(0, 12), min_size=1, max_size=6), st.booleans()), max_size=40),
)
def test_pairs_are_a_greatest_matching_or_nearly(luts):
    graph = networkx.Graph()
    for i, (one, one_sum) in enumerate(luts):
        for j, (other, other_sum) in enumerate(luts[:i]):
            if len(one | other) <= 5 and len(one) <= 5 and len(other) <= 5 and not (one_sum and other_sum):
                graph.add_edge(i, j)
    greatest = len(networkx.max_weight_matching(graph, maxcardinality=True))
    assert greatest - 1 <= pairs(luts) <= greatest


def test_levels_counted_by_hand():
    """Two LUTs, a chain of two carry cells, a LUT; then a second chain."""
    first = [lut([1, 2], 10), lut([10, 3], 11), carry([11, "0", "0", "0"], [20, 21, 22, 23])]
    chain = [carry(["0"] * 4, [30, 31, 32, 33], into=123), lut([33, 4], 40)]
    assert levels(module(*first)) == 3
    assert levels(module(*first, *chain)) == 4
    assert levels(module(*first, *chain, carry([40, "0", "0", "0"], [50, 51, 52, 53]))) == 5


def test_a_foreign_cell_is_refused():
    with pytest.raises(RuntimeError, match=r"\$mul"):
        measure(module({"type": "$mul", "port_directions": {}, "connections": {}}))


def test_leaf_takes_no_more_luts_than_documented():
    """docs/sam-logic.md; the saturated differences and comparisons that it replaced took 29 and 123 sites."""
    pytest.importorskip("pyosys", reason="pyosys is not installed: no synthesis")
    files = [rtl_dir() / name for name in ("sam_pkg.sv", "delay_line.sv", "sam_extreme.sv")]
    units = [Unit(str(n), "sam_extreme", files, {"N": n}) for n in (4, 16)]
    costs = {name: measure(module) for name, module in netlists(units).items()}
    assert costs["4"].lut <= 26
    assert costs["16"].lut <= 105
    assert all(cost.dsp == cost.carry4 == 0 for cost in costs.values())
