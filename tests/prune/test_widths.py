"""Widths for a budget, against every choice there is, on costs that reward what hardware rewards."""

import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hwprune.prune.groups import Group
from hwprune.prune.widths import NoWidthsError, choose_widths


def group(name, width, **members):
    return Group(name, width, members or {name: tuple(range(width))})


def lumpy(widths):
    """A chain of three layers whose memory comes in blocks, and that folds over divisors of at most 8."""
    values = [3, *(widths[name] for name in ("a", "b", "c"))]
    blocks = sum(math.ceil(i * o / 24) for i, o in itertools.pairwise(values))
    folds = sum(max(d for d in range(1, 9) if o % d == 0) for o in values[1:])
    return {"blocks": blocks, "lanes": folds}


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10**6), blocks=st.integers(6, 18), lanes=st.integers(6, 24))
def test_nearly_the_best_of_all_choices(seed, blocks, lanes):
    generator = torch.Generator().manual_seed(seed)
    importance = {name: torch.rand(12, generator=generator).double() for name in "abc"}
    groups, limits = [group(name, 12) for name in "abc"], {"blocks": blocks, "lanes": lanes}
    allowed = [n for n in range(1, 13) if n != 11]  # 11 has no small factors

    def shares(widths):
        """Of its importance, what each group keeps."""
        return [float(importance[name].sort(descending=True).values[:n].sum() / importance[name].sum())
                for name, n in widths.items()]  # fmt: skip

    every = (dict(zip("abc", widths, strict=True)) for widths in itertools.product(allowed, repeat=3))
    best = max(math.prod(shares(w)) for w in every if all(lumpy(w)[key] <= limit for key, limit in limits.items()))
    found = choose_widths(importance, groups, lumpy, limits, seed=seed)
    widths = {name: len(channels) for name, channels in found.kept.items()}
    assert found.cost == lumpy(widths)
    assert all(found.cost[key] <= limit for key, limit in limits.items())
    totals = [float(scores.sum()) for scores in importance.values()]
    left = sum(share * total for share, total in zip(shares(widths), totals, strict=True))
    assert 1 - found.loss == pytest.approx(left / sum(totals))
    assert math.prod(shares(widths)) >= 0.95 * best
    again = choose_widths(importance, groups, lumpy, limits, seed=seed)
    assert again == found


def test_the_most_important_channels_stay():
    scores = torch.tensor([0.1, 0.9, 0.5, 0.9, 0.2, 0.0]).double()
    found = choose_widths({"a": scores}, [group("a", 6)], lambda w: {"channels": w["a"]}, {"channels": 3})
    assert found.kept == {"a": (1, 2, 3)}
    assert found.loss == pytest.approx(0.3 / 2.6)


def test_nothing_goes_where_everything_fits():
    found = choose_widths({"a": torch.ones(7)}, [group("a", 7)], lambda w: {"channels": w["a"]}, {"channels": 7})
    assert found.kept == {"a": tuple(range(7))} and found.loss == 0


def test_multiples_and_the_least_width_hold():
    def cost(widths):
        return {"channels": sum(widths.values())}

    groups = [group("a", 30), group("b", 5)]
    importance = {"a": torch.arange(30.0), "b": torch.arange(5.0)}
    found = choose_widths(importance, groups, cost, {"channels": 20}, multiple=4, min_channels=3)
    widths = {name: len(channels) for name, channels in found.kept.items()}
    assert widths["a"] in (4, 8, 12, 16) and widths["b"] in (4, 5)
    with pytest.raises(NoWidthsError) as caught:
        choose_widths(importance, groups, cost, {"channels": 7}, multiple=4, min_channels=3)
    assert caught.value.least == {"channels": 8}
    assert caught.value.widths == {"a": 4, "b": 4}


def test_each_convolution_of_a_tied_group_keeps_a_channel():
    """Two convolutions share a group's channels: the lower half is one's, the upper half the other's."""
    tied = group("one", 8, one=(0, 1, 2, 3), two=(4, 5, 6, 7))
    scores = torch.tensor([8.0, 7, 6, 5, 4, 3, 2, 1])
    found = choose_widths({"one": scores}, [tied], lambda w: {"channels": w["one"] + w["two"]}, {"channels": 5})
    assert found.kept == {"one": (0, 1, 2, 3, 4)}
    with pytest.raises(NoWidthsError):
        choose_widths({"one": scores}, [tied], lambda w: {"channels": w["one"] + w["two"]}, {"channels": 4})


def test_channels_without_importance_go_first():
    importance = {"a": torch.tensor([0.0, 0, 0, 1]), "b": torch.ones(4)}
    groups = [group("a", 4), group("b", 4)]
    found = choose_widths(importance, groups, lambda w: {"c": w["a"] + w["b"]}, {"c": 5})
    assert found.kept == {"a": (3,), "b": (0, 1, 2, 3)} and found.loss == 0
