"""The integer program finds what trying every design finds."""

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwprune.accel.budget import Budget
from hwprune.accel.operator_costs import Amounts
from hwprune.accel.optimise import BESIDES, GAP, Link, Option, Problem, choose, fastest, least

LANES = st.sampled_from([1, 2, 3, 4])
AMOUNTS = st.builds(Amounts, st.integers(0, 50), st.integers(0, 9), st.integers(0, 9))
OPTIONS = st.lists(st.builds(Option, st.just(()), st.integers(1, 6), LANES, LANES, AMOUNTS), min_size=1, max_size=4)


@st.composite
def problems(draw):
    """Forks, joins and chains of up to five operators."""
    operators = draw(st.lists(OPTIONS, min_size=1, max_size=5))
    pairs = [(a, b) for b in range(len(operators)) for a in range(b)]
    ends = draw(st.lists(st.sampled_from(pairs), unique=True, max_size=6)) if pairs else []
    price = draw(st.integers(0, 20))
    links = [Link(a, b, lambda out, into: Amounts(price * abs(out - into) + into)) for a, b in ends]
    return Problem(operators, links, draw(AMOUNTS))


def designs(problem, cycles):
    for chosen in itertools.product(*(range(len(options)) for options in problem.operators)):
        if all(options[k].cycles <= cycles for options, k in zip(problem.operators, chosen, strict=True)):
            yield chosen


def holds(problem, budget, chosen):
    return budget.holds(problem.total(chosen)._asdict())


def price(problem, budget, chosen):
    taken = problem.total(chosen)
    weights = {"lut": 1, "dsp": BESIDES, "bram18": BESIDES}
    return sum(weights[name] * getattr(taken, name) / limit for name, limit in budget.limits.items())


BUDGETS = st.builds(Budget, st.integers(1, 200), st.integers(1, 30), st.none() | st.integers(1, 30))


@settings(max_examples=60, deadline=None)
@given(problems(), BUDGETS, st.integers(1, 6))
def test_the_cheapest_design_of_all(problem, budget, cycles):
    fitting = [chosen for chosen in designs(problem, cycles) if holds(problem, budget, chosen)]
    found = choose(problem, budget, cycles)
    assert (found is None) == (not fitting)
    if fitting:
        assert found in fitting
        best = min(price(problem, budget, chosen) for chosen in fitting)
        assert price(problem, budget, found) <= best * (1 + GAP) / (1 - GAP) + 1e-3


@settings(max_examples=40, deadline=None)
@given(problems(), BUDGETS)
def test_the_fewest_cycles_of_all_designs_that_fit(problem, budget):
    paces = [c for c in range(1, 7) if any(holds(problem, budget, chosen) for chosen in designs(problem, c))]
    found = fastest(problem, budget)
    assert (found[0] if found else None) == min(paces, default=None)
    if found:
        assert holds(problem, budget, found[1])


@settings(max_examples=40, deadline=None)
@given(problems(), BUDGETS)
def test_the_least_excess(problem, budget):
    def stretch(chosen):
        taken = problem.total(chosen)
        return max(getattr(taken, name) / limit for name, limit in budget.limits.items())

    found = stretch(least(problem, budget, 6))
    assert found <= min(map(stretch, designs(problem, 6))) * 1.05 + 0.02


def test_a_limit_of_nothing_forbids():
    options = [Option((), 1, 1, 1, Amounts(10, 1)), Option((), 1, 1, 1, Amounts(90, 0))]
    assert choose(Problem([options], []), Budget(luts=100, dsps=0), 1) == (1,)
    assert choose(Problem([options], []), Budget(luts=100, dsps=1), 1) == (0,)


def test_a_wider_operator_for_a_cheaper_stream():
    source = [Option((), 1, 4, 4, Amounts(10))]
    sink = [Option((), 1, 1, 1, Amounts(10)), Option((), 1, 4, 4, Amounts(15))]
    for converter, expected in ((3, 0), (8, 1)):
        link = Link(0, 1, lambda out, into, price=converter: Amounts(price if out != into else 0))
        assert choose(Problem([source, sink], [link]), Budget(luts=100), 1) == (0, expected)


@pytest.mark.parametrize("cycles", [0, 5])
def test_no_option_within_the_cycles(cycles):
    problem = Problem([[Option((), 6, 1, 1, Amounts(1))]], [])
    assert choose(problem, Budget(luts=9), cycles) is None
    assert problem.paces() == [6]
