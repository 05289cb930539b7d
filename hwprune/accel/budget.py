"""What a design may take, and the fastest that keeps to it."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

STRIDE = 1.03
"""From one number of cycles to the next, where designs are tried one by one."""


@dataclass(frozen=True)
class Budget:
    """What a design may take, by `hwprune.accel.folding.resources`; None is no limit."""

    luts: int | None = None
    dsps: int | None = None
    brams: int | None = None
    """Blocks of 18 Kb."""

    @property
    def limits(self) -> dict[str, int]:
        """Those that there are, with the keys of an estimate."""
        limits = {"lut": self.luts, "dsp": self.dsps, "bram18": self.brams}
        return {key: limit for key, limit in limits.items() if limit is not None}

    def holds(self, resources: dict[str, int]) -> bool:
        """Whether an estimate (see `hwprune.accel.folding.resources`) keeps to it."""
        return all(resources[key] <= limit for key, limit in self.limits.items())


def fewest_cycles(slowest: int, budget: Budget, fits: Callable[[int, Budget], bool]) -> int | None:
    """Cycles a frame of the fastest design within ``budget``, from 1 to ``slowest``; None if not even that fits.

    ``fits`` tells whether a design of so many cycles is possible and within a budget.
    """
    # Fewer cycles never take fewer LUTs or DSP slices: the fastest design within those is found by bisection.
    logic = replace(budget, brams=None)
    fast, best = 1, slowest
    while fast < best:
        middle = (fast + best) // 2
        if fits(middle, logic):
            best = middle
        else:
            fast = middle + 1
    # A weight memory's block RAMs rise and fall with its shape: on to the first design that holds them too.
    while best < slowest and not fits(best, budget):
        best = min(slowest, math.ceil(best * STRIDE))
    return best if fits(best, budget) else None
