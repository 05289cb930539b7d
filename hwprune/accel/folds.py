"""Which values of PE and SIMD an operator can have, by FINN's rules, and which are cheaper: for nodes of a graph, of a
design, and of what is only predicted alike."""

import itertools
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

RULES = {
    "MVAU_rtl": (("SIMD", "MW"), ("PE", "MH")),
    "SAMVAU_rtl": (("SIMD", "MW"), ("PE", "MH")),
    "ConvolutionInputGenerator_rtl": (("SIMD", "IFMChannels"),),
    "FMPadding_rtl": (("SIMD", "NumChannels"),),
    "Thresholding_rtl": (("PE", "NumChannels"),),
    "MaxPool2d_rtl": (("PE", "Channels"),),
    "UpsampleNearestNeighbour_rtl": (("SIMD", "NumChannels"),),
    "DuplicateStreams_rtl": (("PE", "NumChannels"),),
    "StreamingConcat_rtl": (("SIMD", "ChannelsPerStream"),),
}
"""Operator -> (attribute of its parallelism, attribute that it divides), ..."""


@dataclass(frozen=True)
class Fold:
    """One attribute of an operator's parallelism.

    Attributes
    ----------
    attribute
        ``PE`` or ``SIMD``.
    divides
        The attribute that it has to divide; each number of it, if it is a list.
    values
        That it can have, from 1 on.
    """

    attribute: str
    divides: str
    values: tuple[int, ...]


def folds(op_type: str, attribute: Callable[[str], Any]) -> tuple[Fold, ...]:
    """The folds of an operator.

    Parameters
    ----------
    op_type
        FINN's name; one without a rule has no folds.
    attribute
        Gives the value of the operator's attribute of a name.
    """
    found = []
    for name, divided in RULES.get(op_type, ()):
        values = common_divisors(attribute(divided))
        if op_type == "SAMVAU_rtl" and name == "SIMD":  # a beat holds whole groups, or a group whole beats
            group = attribute("group")
            values = [value for value in values if max(value, group) % min(value, group) == 0]
        found.append(Fold(name, divided, tuple(values)))
    return tuple(found)


def mvau_folds(attribute: Callable[[str], Any], channels: int, factor_bits: int) -> list[tuple[int, int]]:
    """(PE, SIMD) of a matrix-vector unit, cheapest first; the last is the fastest.

    Parameters
    ----------
    attribute
        As in `folds`.
    channels
        Of the tensor that its window slides over.
    factor_bits
        Of the wider factor.
    """
    # A DSP slice holds the products of several PE with one input: three of 4 bits, two of more.
    lanes = 3 if factor_bits <= 4 else 2

    def cost(fold: tuple[int, int]) -> tuple[float, int, int]:
        pe, simd = fold
        # A quarter more slices is worth beats that line up; among equals more SIMD and less PE: fewer accumulators.
        return math.ceil(pe / lanes) * simd * (1 if line_up(channels, simd) else 1.25), pe * simd, pe

    simd_fold, pe_fold = folds("MVAU_rtl", attribute)
    return sorted(itertools.product(pe_fold.values, simd_fold.values), key=cost)


def samvau_folds(attribute: Callable[[str], Any], channels: int) -> list[tuple[int, int]]:
    """(PE, SIMD) of a unit of SAM neurons, cheapest first; the last is the fastest. Parameters as in `mvau_folds`."""
    group = attribute("group")

    def cost(fold: tuple[int, int]) -> tuple[float, int]:
        pe, simd = fold
        # As for the matrix-vector unit; a beat that holds whole groups needs no running maxima.
        return pe * simd * (1 if line_up(channels, simd) else 1.25) * (1 if simd % group == 0 else 1.1), pe

    simd_fold, pe_fold = folds("SAMVAU_rtl", attribute)
    return sorted(itertools.product(pe_fold.values, simd_fold.values), key=cost)


def misfits(lanes: int, neighbours: Sequence[int]) -> int:
    """With how many of its neighbours' beats those of ``lanes`` elements do not line up."""
    return sum(not line_up(lanes, other) for other in neighbours)


def line_up(one: int, other: int) -> bool:
    """Whether one beat holds whole beats of the other size."""
    return max(one, other) % min(one, other) == 0


def common_divisors(number: int | Iterable[int]) -> list[int]:
    """Of a number, or of all numbers, from 1 on."""
    return list(_divisors(math.gcd(*map(int, number)) if isinstance(number, Iterable) else int(number)))


@cache
def _divisors(number: int) -> tuple[int, ...]:
    return tuple(d for d in range(1, number + 1) if number % d == 0)
