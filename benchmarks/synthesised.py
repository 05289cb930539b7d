"""What designs take by synthesis, instance by instance, and a file of what is known of instances.

Costs are kept by what the sources and memories of an instance say, for one version of Yosys (`yosys_costs.json` beside
this file); so only what has changed is synthesised again, and some of the others, drawn anew each time, to see that
they still hold.
"""

import json
import random
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path

from common import say

from hwprune.accel.design import Design
from hwprune.board.instances import measure_instances
from hwprune.board.netlist import Cost
from hwprune.files import write_text

COSTS = Path(__file__).with_name("yosys_costs.json")
SLACK = 0.1
"""LUTs and registers by which instances of equal sources may differ: abc9 depends on their names."""
CHECKED = 6
"""Known instances of a design that are synthesised again."""


class Synthesis:
    """Synthesis with a memory.

    Parameters
    ----------
    again
        Whether what is known is synthesised all the same.
    """

    def __init__(self, again: bool = False):
        self.known = {} if again else self._kept()
        self.checked = 0

    def measure(self, name: str, design: Design) -> dict[str, Cost]:
        """Costs of a design's instances, by their names."""

        def done(instance: str, cost: Cost) -> None:
            say(f"{name}: {instance} {cost.lut} LUT, {cost.dsp} DSP, {cost.bram18} BRAM18")

        say(f"{name}: synthesise")
        costs, keys = measure_instances(design, known=self.known, done=done)
        old = sorted(set(keys) & set(self.known))
        self.known |= keys
        if old:
            self._check(design, old)
        self._keep()
        return costs

    def _check(self, design: Design, old: list[str]) -> None:
        drawn = random.sample(old, min(CHECKED, len(old)))
        _, anew = measure_instances(design, known={k: v for k, v in self.known.items() if k not in drawn})
        for key in drawn:
            if not _same(anew[key], self.known[key]):
                raise SystemExit(
                    f"{COSTS.name} has {self.known[key]} for an instance of which Yosys makes {anew[key]} here: "
                    "use --again to synthesise all of them"
                )
        self.checked += len(drawn)

    @staticmethod
    def _kept() -> dict[str, Cost]:
        """Those of this version of Yosys; rows are the fields of `Cost`."""
        kept = json.loads(COSTS.read_text()) if COSTS.is_file() else {}
        return {key: Cost(*row) for key, row in kept.get(version("pyosys"), {}).items()}

    def _keep(self) -> None:
        """Beside what was known before, a line each."""
        costs = sorted((self._kept() | self.known).items())
        rows = ",\n".join(f'"{key}": {json.dumps([*asdict(cost).values()])}' for key, cost in costs)
        write_text(COSTS, f'{{"{version("pyosys")}": {{\n{rows}\n}}}}\n')


def _same(one: Cost, other: Cost) -> bool:
    """Whether memories and DSP slices are equal, LUTs and registers nearly."""
    near = (abs(getattr(one, of) - getattr(other, of)) <= 2 + SLACK * getattr(other, of) for of in ("lut", "ff"))
    return (one.dsp, one.bram18) == (other.dsp, other.bram18) and all(near)
