"""How many frames a second of the reference network fit on an xc7z020 at 100 MHz, everything counted by synthesis.

Tiny-YOLOv3 with its stride-1 pool at 416x416 and 0.87M parameters, all weights on the chip (`full_size.py`; random, the
hardware does not care), in at most 85 % of the LUTs and 95 % of the DSP slices and block RAMs: all layers MAC, and some
SAM. Folds, stream widths, memory styles, DSP slices or LUTs and FIFOs are chosen together, as `hwprune run` does it for
a board. FINN's side is its own folding (SetFolding) and its own matrix-vector units, with the converters, pools and
FIFO sizes of hwprune, which it is better with.

Frames are the cycle model's with the FIFOs of the design. Every operator, converter and FIFO is synthesised by Yosys
from the very RTL, by itself; a design that is over a limit is made again with so much less. Costs are kept by what the
sources and memories say (`board_fit_costs.json` beside this file), so that only what has changed is synthesised again,
and some of the others, drawn anew in every run, to see that they still hold; `--again` synthesises all.
"""

import argparse
import json
import random
import tempfile
from collections.abc import Iterable
from dataclasses import asdict, replace
from functools import partial
from importlib.metadata import version
from pathlib import Path

from common import conclude, say
from full_size import random_network
from networks import REFERENCE, reference
from qonnx.custom_op.registry import getCustomOp

from hwprune.accel.accelerator import Accelerator
from hwprune.accel.compile import Goal, assemble, compile_accelerator, hardware_graph, operator_rows, with_streams
from hwprune.accel.folding import fold_options, node_cycles
from hwprune.accel.names import transform_named
from hwprune.board.board import load_board
from hwprune.board.instances import measure_instances, total
from hwprune.board.netlist import Cost
from hwprune.board.parts import budget
from hwprune.files import write_text
from hwprune.quant.export import export_qonnx
from hwprune.sam.settings import Sam
from hwprune.sim.cycle.sizing import fastest_interval, size_fifos, unbounded_model

BOARD, CLOCK_MHZ = load_board("pynq-z2"), 100
LIMITS = budget(BOARD, 0.85)
SAM = Sam(form="signed", group=1, floor=True, shift=2)
COSTS = Path(__file__).with_name("board_fit_costs.json")
CHECKED = 6
"""Known costs that are synthesised again."""
MIXED = ("conv2", "conv3", "conv4", "conv12")
ROUNDS = 4


class Fit:
    """Designs, and what they take."""

    def __init__(self, folder: Path, known: dict[str, Cost]):
        self.folder, self.known = folder, known
        self.used: set[str] = set()
        self.checked = 0
        self.sizing = None

    def design(self, name: str, sam: Iterable[str] = ()) -> dict:
        """The fastest within the limits, by synthesis."""
        graph = self._graph(name, sam)
        limits = LIMITS
        for turn in range(ROUNDS):
            goal = Goal(BOARD.part, CLOCK_MHZ, None, limits, jointly=True)
            place = self.folder / f"{name}{turn}"
            told = partial(self._tell, name)
            made = compile_accelerator(graph, place, goal, told, self._size, fastest_interval)
            row = self._row(name, made)
            over = {key: row[key] - limit for key, limit in LIMITS.limits.items() if row[key] > limit}
            if not over:
                return row
            say(f"{name}: over by {over}; again with less")
            taken = {key: made.resources[key] - over[key] for key in over}
            limits = replace(limits, **{_FIELDS[key]: amount for key, amount in taken.items()})
        return row | {"fps": 0}

    def finns(self, fps: float) -> dict:
        """FINN's folding for so many frames a second, with its matrix-vector units."""
        from finn.transformation.fpgadataflow.set_folding import SetFolding

        goal = Goal(BOARD.part, CLOCK_MHZ, fps)
        place = self.folder / "finn"
        model, affine = hardware_graph(self._graph("finn", ()), place, goal.part)
        for node in model.get_nodes_by_op_type("MVAU_rtl"):
            getCustomOp(node).set_nodeattr("core", "finn")
        model = transform_named(model, SetFolding(goal.target_cycles, two_pass_relaxation=False))
        for node in model.graph.node:  # of those that FINN has no RTL for, its folding knows nothing
            if node_cycles(node) > goal.target_cycles:
                operator = getCustomOp(node)
                for option in fold_options(model, node):
                    for attribute, value in option.items():
                        operator.set_nodeattr(attribute, value)
                    if node_cycles(node) <= goal.target_cycles:
                        break
        rows = operator_rows(model, goal.part)
        model = with_streams(model, goal, partial(self._tell, "finn"), self._size)
        row = self._row("finn", assemble(model, affine, rows, place, goal))
        fits = all(row[key] <= limit for key, limit in LIMITS.limits.items())
        return row if fits else row | {"fps": 0}

    @staticmethod
    def _tell(name: str, step: str) -> None:
        say(f"{name}: {step}")

    def _graph(self, name: str, sam: Iterable[str]):
        table, size = reference().table, reference().size
        table = table.with_neurons(dict.fromkeys(sam, SAM)) if sam else table
        return export_qonnx(random_network(table, size), size, self.folder / f"{name}.onnx")

    def _size(self, design):
        self.sizing = size_fifos(unbounded_model(design), progress=lambda step: say(f"FIFOs: {step}"))
        return self.sizing.sizes

    def _row(self, name: str, made: Accelerator) -> dict:
        def done(instance: str, cost: Cost) -> None:
            say(f"{name}: {instance} {cost.lut} LUT, {cost.dsp} DSP, {cost.bram18} BRAM18")

        say(f"{name}: synthesise")
        costs, keys = measure_instances(made.design, known=self.known, done=done)
        self.used |= set(keys)
        self._check(made.design, set(keys) & set(self.known))
        self.known |= keys
        interval = self.sizing.rate.interval
        row = {
            "name": name,
            "fps": round(CLOCK_MHZ * 1e6 / interval, 1),
            "clock_mhz": CLOCK_MHZ,
            "cycles": interval,
            **total(costs),
            "estimated": made.resources,
            "instances": len(costs),
        }
        say(json.dumps(row))
        return row

    def _check(self, design, old: set[str]) -> None:
        """Synthesise a few of those that were known again."""
        drawn = random.sample(sorted(old), min(CHECKED, len(old)))
        _, anew = measure_instances(design, known={k: v for k, v in self.known.items() if k not in drawn})
        wrong = [key for key in drawn if anew[key] != self.known[key]]
        if wrong:
            raise SystemExit(
                f"{COSTS.name} is not what Yosys makes here of {len(wrong)} of {len(drawn)} instances: --again"
            )
        self.checked += len(drawn)


_FIELDS = {"lut": "luts", "dsp": "dsps", "bram18": "brams"}


def known_costs() -> dict[str, Cost]:
    """Those of this version of Yosys; rows are the fields of `Cost`."""
    kept = json.loads(COSTS.read_text()) if COSTS.is_file() else {}
    return {key: Cost(*row) for key, row in kept.get(version("pyosys"), {}).items()}


def keep_costs(known: dict[str, Cost]) -> None:
    """In place of what was known, a line each."""
    rows = ",\n".join(f'"{key}": {json.dumps([*asdict(cost).values()])}' for key, cost in sorted(known.items()))
    write_text(COSTS, f'{{"{version("pyosys")}": {{\n{rows}\n}}}}\n')


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sam", default=",".join(MIXED), help="layers that are SAM in the mixed design")
    parser.add_argument("--finn-fps", type=float, default=100, help="goal of FINN's folding; at 100 it just fits")
    parser.add_argument("--again", action="store_true", help="synthesise everything, also what is known")
    parser.add_argument("--only", choices=("mac", "mixed", "finn"), help="one design, without a result")
    options = parser.parse_args()
    known = {} if options.again else known_costs()
    with tempfile.TemporaryDirectory(prefix="board-fit-") as temporary:
        fit = Fit(Path(temporary), known)
        make = {
            "mac": lambda: fit.design("mac"),
            "mixed": lambda: fit.design("mixed", options.sam.split(",")),
            "finn": lambda: fit.finns(options.finn_fps),
        }
        rows = {}
        for name in [options.only] if options.only else make:
            rows[name] = make[name]()
            keep_costs(known_costs() | fit.known)
    if not options.only:
        keep_costs({key: fit.known[key] for key in fit.used})
    if options.only:
        return
    best = max(rows["mac"]["fps"], rows["mixed"]["fps"])
    conclude(
        "board_fit",
        best,
        "fps",
        f"FINN's folding and units: {rows['finn']['fps']} fps",
        round(best / rows["finn"]["fps"], 3) if rows["finn"]["fps"] else float("inf"),
        {
            "image": reference().size,
            "widths": REFERENCE,
            "part": BOARD.part,
            "limits": LIMITS.limits,
            "sam": options.sam,
        },
        mac_fps=rows["mac"]["fps"],
        mixed_fps=rows["mixed"]["fps"],
        checked=fit.checked,
        designs=list(rows.values()),
    )


if __name__ == "__main__":
    main()
