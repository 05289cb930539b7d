"""Everything about a folding chosen together, for a board's share: `hwprune.accel.optimise` on a FINN graph.

The program counts with cycles by estimate and a short FIFO a stream. What FIFOs really take, and the true interval
where it can be told, come from the whole graph afterwards; if that breaks the goal, the program is solved again with
what it had not known.
"""

import copy
import math
from collections.abc import Callable

from qonnx.core.modelwrapper import ModelWrapper

from hwprune.accel import options
from hwprune.accel.budget import Budget
from hwprune.accel.folding import resources
from hwprune.accel.operator_costs import Amounts
from hwprune.accel.optimise import Problem, choose, fastest, least
from hwprune.errors import UserError

ROUNDS = 5
"""Solutions tried before the last one's shortfall is told."""
UNITS = ("MVAU_rtl", "SAMVAU_rtl")
NAMES = {"lut": "LUTs", "dsp": "DSP slices", "bram18": "block RAMs of 18 Kb", "uram": "UltraRAMs"}


class OverBudgetError(UserError):
    """A speed that does not fit; ``fastest`` cycles a frame do."""

    def __init__(self, text: str, fastest: int):
        super().__init__(text)
        self.fastest = fastest


class JointFold:
    """A search for the options of a graph.

    Parameters
    ----------
    model
        Specialised graph without FIFOs and width converters.
    part
        FPGA part.
    budget
        For everything.
    cycles
        Between frames, at most; None for as few as fit.
    progress
        Called with a word on each step.
    """

    def __init__(
        self,
        model: ModelWrapper,
        part: str,
        budget: Budget,
        cycles: int | None,
        progress: Callable[[str], None] = lambda step: None,
    ):
        self.model, self.part, self.budget, self.cycles, self.progress = model, part, budget, cycles, progress
        progress("options of every operator")
        self.open = options.problem(model, part)

    def solve(
        self,
        complete: Callable[[ModelWrapper], ModelWrapper],
        pace: Callable[[ModelWrapper], int | None],
        sized: Callable[[ModelWrapper], None],
    ) -> ModelWrapper:
        """The whole graph.

        Parameters
        ----------
        complete
            Makes the graph with FIFOs and width converters of a folded one.
        pace
            Cycles between frames of that, with FIFOs that are never full; None if nobody can tell.
        sized
            Sizes its FIFOs, in place.

        Raises
        ------
        UserError
            If it does not fit: by how much, in which resource, and how much less network would.
        """
        cycles, fixed = self.cycles, Amounts()
        for _ in range(ROUNDS):
            found = Problem(self.open.operators, self.open.links, fixed)
            chosen = self._choose(found, cycles)
            folded = copy.deepcopy(self.model)
            options.apply(folded, found, chosen)
            whole = complete(folded)
            true = pace(whole)
            if true is not None and self.cycles is not None and true > self.cycles:
                cycles = min(cycles - 1, cycles * self.cycles // true)
                continue
            sized(whole)
            taken = resources(whole, self.part)
            over = {name: taken[name] - limit for name, limit in self.budget.limits.items() if taken[name] > limit}
            if not over:
                return whole
            # The FIFOs are larger than the program thought; what they take beyond that is set aside.
            counted = Problem(self.open.operators, self.open.links).total(chosen)._asdict()
            fixed = Amounts(**{n: max(getattr(fixed, n), taken[n] - counted[n]) for n in Amounts._fields})
        if over:
            raise UserError(f"compile: with FIFOs of the depths needed the design takes {_excess(taken, self.budget)}")
        raise UserError(f"compile: no folding of {ROUNDS} tried keeps the {self.cycles} cycles between frames")

    def _choose(self, found: Problem, cycles: int | None) -> tuple[int, ...]:
        if cycles is None:
            best = fastest(found, self.budget, lambda pace: self.progress(f"fold for {pace} cycles"))
            if best is None:
                raise UserError(self._too_large(found))
            return best[1]
        if cycles < found.paces()[0]:
            slow = max(zip(self.model.graph.node, found.operators, strict=True), key=lambda pair: _fewest(pair[1]))
            raise OverBudgetError(
                f"compile: operator {slow[0].name!r} takes {_fewest(slow[1])} cycles a frame even when fully unfolded, "
                f"but the goal leaves {cycles}; lower target_fps or raise clock_mhz",
                _fewest(slow[1]),
            )
        self.progress(f"fold for {cycles} cycles")
        chosen = choose(found, self.budget, cycles)
        if chosen is None:
            raise self._too_fast(found, cycles)
        return chosen

    def _too_large(self, found: Problem) -> str:
        """Nothing fits, however slow."""
        smallest = least(found, self.budget, found.paces()[-1])
        taken = found.total(smallest)
        weights = [o[k].amounts for node, o, k in zip(self.model.graph.node, found.operators, smallest, strict=True)
                   if node.op_type in UNITS]  # fmt: skip
        # Of what is over, only the units and their weights become smaller with the network's widths.
        left = []
        for name, limit in self.budget.limits.items():
            if getattr(taken, name) > limit:
                shrinks = sum(getattr(amounts, name) for amounts in weights)
                left.append(1 - (getattr(taken, name) - limit) / max(shrinks, 1))
        told = f"compile: even the smallest folding takes {_excess(taken._asdict(), self.budget)}; "
        if min(left) <= 0:
            return (
                told + "pruning channels does not make up for that: remove layers, raise share, or take a larger board"
            )
        # Rounded down, both: memories shrink block by block, not byte by byte.
        share = min(math.floor(100 * min(left)), 99)
        return (
            f"{told}prune to {share}% of the parameters (widths to {math.isqrt(100 * share)}%), use fewer bits, "
            "raise share, or take a larger board"
        )

    def _too_fast(self, found: Problem, cycles: int) -> UserError:
        taken = found.total(least(found, self.budget, cycles))
        best = fastest(found, self.budget, lambda pace: self.progress(f"fastest that fits: {pace} cycles"))
        if best is None:
            return UserError(self._too_large(found))
        part = cycles / best[0]
        return OverBudgetError(
            f"compile: {cycles} cycles a frame take {_excess(taken._asdict(), self.budget)}. The fastest that fits "
            f"takes {best[0]}: lower target_fps to {part:.0%}, allow a higher clock (compile.max_clock_mhz), or prune "
            f"to {part:.0%} of the operations (widths to {math.sqrt(part):.0%})",
            best[0],
        )


def _fewest(some) -> int:
    return min(option.cycles for option in some)


def _excess(taken: dict[str, int], budget: Budget) -> str:
    """What is over the limits, in words."""
    over = [
        f"{taken[name]} {NAMES[name]}, {taken[name] - limit} more than the {limit} of the budget"
        for name, limit in budget.limits.items()
        if taken[name] > limit
    ]
    return " and ".join(over)
