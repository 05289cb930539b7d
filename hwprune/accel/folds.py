"""Which values of PE and SIMD an operator can have: FINN's rules, for nodes of a graph and of a design alike."""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
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


def common_divisors(number: int | Iterable[int]) -> list[int]:
    """Of a number, or of all numbers, from 1 on."""
    numbers = [int(n) for n in number] if isinstance(number, Iterable) else [int(number)]
    shared = math.gcd(*numbers)
    return [d for d in range(1, shared + 1) if shared % d == 0]
