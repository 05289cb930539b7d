"""One option for each operator so that all fit together: an integer program over operators, streams and resources.

Each operator has options (fold, memory style, DSP slices or LUTs), each stream costs what its two ends make of it: a
width converter where they differ, a FIFO as wide as its reader. In a streaming design the slowest operator decides, so
a number of cycles a frame only strikes out options; what is left is to choose one of each operator's under limits on
several resources. HiGHS (through `scipy.optimize.milp`) solves that exactly, up to `GAP`.

The pairs of beats on a stream are flows (Schlesinger's relaxation of a pairwise model): those from an option's lanes
add up to whether an option of these lanes is chosen. On a tree and without limits their linear program has whole
solutions already, so branching is only over what the limits cut.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import NamedTuple

import numpy as np

from hwprune.accel.budget import Budget
from hwprune.accel.operator_costs import Amounts

GAP = 0.01
"""Of the objective: how far a solution may be from the best. Fitting or not is exact."""
SECONDS = 60
"""For one program; the best found by then counts."""
BESIDES = 0.1
"""What a share of another resource counts beside one of LUTs: only LUTs crowd the router."""
RESOURCES = Amounts._fields


class Option(NamedTuple):
    """One way to build an operator: attributes of its node, cycles a frame, elements of a beat at either end, cost."""

    settings: tuple[tuple[str, int | str], ...]
    cycles: int
    lanes_in: int
    lanes_out: int
    amounts: Amounts


@dataclass(frozen=True)
class Link:
    """A stream: indices of the operators at its ends, and its cost by elements of a beat at either end."""

    source: int
    sink: int
    cost: Callable[[int, int], Amounts]


@dataclass(frozen=True)
class Problem:
    """A design whose options are open.

    Attributes
    ----------
    operators
        The options of each.
    links
        Between them.
    fixed
        What the design takes besides.
    """

    operators: Sequence[Sequence[Option]]
    links: Sequence[Link]
    fixed: Amounts = field(default_factory=Amounts)

    def total(self, chosen: Sequence[int]) -> Amounts:
        """All that a design takes, by the option of each operator."""
        taken = [options[k] for options, k in zip(self.operators, chosen, strict=True)]
        parts = [option.amounts for option in taken]
        parts += [link.cost(taken[link.source].lanes_out, taken[link.sink].lanes_in) for link in self.links]
        return Amounts(*map(sum, zip(self.fixed, *parts, strict=True)))

    def paces(self) -> list[int]:
        """Cycles a frame that a design may come to, the fewest first."""
        least = max(min(option.cycles for option in options) for options in self.operators)
        return sorted({o.cycles for options in self.operators for o in options if o.cycles >= least})


def choose(problem: Problem, budget: Budget, cycles: int) -> tuple[int, ...] | None:
    """The design that takes least of a budget: in shares of the limits, LUTs before the others (`BESIDES`).

    Parameters
    ----------
    problem
        The options.
    budget
        Limits, of which there is at least one.
    cycles
        A frame, that no operator may exceed.

    Returns
    -------
    tuple of int, or None
        The number of each operator's option; None if no design keeps to the budget.
    """
    return _Program(problem, budget, cycles).solve(stretch=False)


def least(problem: Problem, budget: Budget, cycles: int) -> tuple[int, ...]:
    """The design whose most exceeded limit is exceeded least; arguments as those of `choose`."""
    chosen = _Program(problem, budget, cycles).solve(stretch=True)
    assert chosen is not None  # without limits every choice of options within the cycles is a design
    return chosen


def fastest(
    problem: Problem, budget: Budget, tell: Callable[[int], None] = lambda cycles: None
) -> tuple[int, tuple[int, ...]] | None:
    """Cycles a frame of the fastest design within a budget, and its options; None if not even the slowest fits.

    More cycles leave more options, so the fewest are found by bisection; ``tell`` is called with each number tried.
    """
    paces = problem.paces()
    low, high, best = 0, len(paces) - 1, None
    while low <= high:
        middle = (low + high) // 2
        tell(paces[middle])
        chosen = choose(problem, budget, paces[middle])
        if chosen is None:
            low = middle + 1
        else:
            best, high = (paces[middle], chosen), middle - 1
    return best


class _Program:
    """Variables: options of all operators (binary), then pairs of lanes of all links (continuous), then the stretch of
    the limits."""

    def __init__(self, problem: Problem, budget: Budget, cycles: int):
        self.problem, self.limits = problem, budget.limits
        self.left = [_worthwhile(options, cycles) for options in problem.operators]
        starts = np.cumsum([0, *map(len, self.left)])
        self.starts, self.count = starts[:-1], int(starts[-1])
        self.costs: list[Amounts] = [problem.operators[n][k].amounts for n, ks in enumerate(self.left) for k in ks]
        self.rows: list[tuple[dict[int, float], float, float]] = []
        for start, ks in zip(self.starts, self.left, strict=True):
            self.rows.append((dict.fromkeys(range(start, start + len(ks)), 1.0), 1.0, 1.0))
        for link in problem.links:
            self._add(link)

    def _add(self, link: Link) -> None:
        ends = [self._by_lanes(link.source, "lanes_out"), self._by_lanes(link.sink, "lanes_in")]
        flows: tuple[dict, dict] = ({lanes: {} for lanes in ends[0]}, {lanes: {} for lanes in ends[1]})
        for out in ends[0]:
            for into in ends[1]:
                flows[0][out][len(self.costs)] = flows[1][into][len(self.costs)] = 1.0
                self.costs.append(link.cost(out, into))
        for end, flow in zip(ends, flows, strict=True):
            for lanes, options in end.items():
                self.rows.append((flow[lanes] | dict.fromkeys(options, -1.0), 0.0, 0.0))

    def _by_lanes(self, operator: int, end: str) -> Mapping[int, list[int]]:
        found: dict[int, list[int]] = {}
        for number, k in enumerate(self.left[operator]):
            lanes = getattr(self.problem.operators[operator][k], end)
            found.setdefault(lanes, []).append(int(self.starts[operator]) + number)
        return found

    def solve(self, stretch: bool) -> tuple[int, ...] | None:
        """With ``stretch`` limits may be exceeded, all by one factor, which is then made least."""
        from scipy.optimize import Bounds, LinearConstraint, milp
        from scipy.sparse import coo_array

        if not all(self.left):
            return None
        costs = np.array(self.costs, float)
        rows, objective = list(self.rows), np.zeros(len(costs) + 1)
        for name, limit in self.limits.items():
            used, fixed = costs[:, RESOURCES.index(name)], getattr(self.problem.fixed, name)
            share = max(limit, 0.5)  # of nothing, half a unit
            row = dict(zip(np.flatnonzero(used).tolist(), (used[used != 0] / share).tolist(), strict=True))
            if stretch:
                rows.append((row | {len(costs): -1.0}, -np.inf, -fixed / share))
            else:
                rows.append((row, -np.inf, (limit - fixed) / share))
            objective[:-1] += used / share * (1e-3 if stretch else 1) * (1 if name == "lut" else BESIDES)
        objective[-1] = float(stretch)
        entries = [(value, row, column) for row, (line, *_) in enumerate(rows) for column, value in line.items()]
        values, at, columns = zip(*entries, strict=True)
        matrix = coo_array((values, (at, columns)), shape=(len(rows), len(objective))).tocsr()
        whole = np.zeros(len(objective))
        whole[: self.count] = 1
        upper = np.ones(len(objective))
        upper[-1] = np.inf if stretch else 0
        done = milp(
            objective,
            integrality=whole,
            bounds=Bounds(0, upper),
            constraints=LinearConstraint(matrix, [low for _, low, _ in rows], [high for *_, high in rows]),
            options={"mip_rel_gap": GAP, "time_limit": SECONDS},
        )
        if done.x is None:
            return None
        picked = [int(np.argmax(done.x[s : s + len(ks)])) for s, ks in zip(self.starts, self.left, strict=True)]
        return tuple(ks[number] for ks, number in zip(self.left, picked, strict=True))


def _worthwhile(options: Sequence[Option], cycles: int) -> list[int]:
    """Those within the cycles that no other of the same lanes is better than in every resource."""
    found: list[int] = []
    groups: dict[tuple[int, int], list[int]] = {}
    for k, option in enumerate(options):
        if option.cycles <= cycles:
            groups.setdefault((option.lanes_in, option.lanes_out), []).append(k)
    for group in groups.values():
        kept: list[int] = []
        for k in sorted(group, key=lambda k: options[k].amounts):
            mine = options[k].amounts
            if not any(all(a <= b for a, b in zip(options[other].amounts, mine, strict=True)) for other in kept):
                kept.append(k)
        found += kept
    return found


def cached(cost: Callable[[int, int], Amounts]) -> Callable[[int, int], Amounts]:
    """A link's cost, computed once for each pair."""
    return cache(cost)
