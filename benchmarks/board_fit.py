"""How many frames a second of the reference network fit on an xc7z020 at 100 MHz, everything counted by synthesis.

Tiny-YOLOv3 with its stride-1 pool at 416x416 and 0.87M parameters, all weights on the chip (`full_size.py`; random, the
hardware does not care), in at most 85 % of the LUTs and 95 % of the DSP slices and block RAMs: all layers MAC, and some
SAM. Folds, stream widths, memory styles, DSP slices or LUTs and FIFOs are chosen together, as `hwprune run` does it for
a board. FINN's side is its own folding (SetFolding) and its own matrix-vector units, with the converters, pools and
FIFO sizes of hwprune, which it is better with.

Frames are the cycle model's with the FIFOs of the design. Every operator, converter and FIFO is synthesised by Yosys
from the very RTL, by itself (`synthesised.py`); a design that is over a limit is made again with so much less.
"""

import argparse
import json
import tempfile
from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from pathlib import Path

from common import conclude, say
from full_size import random_network
from networks import REFERENCE, reference
from qonnx.custom_op.registry import getCustomOp
from synthesised import Synthesis

from hwprune.accel.accelerator import Accelerator
from hwprune.accel.compile import Goal, assemble, compile_accelerator, hardware_graph, operator_rows, with_streams
from hwprune.accel.folding import fold_options, node_cycles
from hwprune.accel.names import transform_named
from hwprune.board.board import load_board
from hwprune.board.instances import total
from hwprune.board.parts import budget
from hwprune.quant.export import export_qonnx
from hwprune.sam.settings import Sam
from hwprune.sim.cycle.sizing import fastest_interval, size_fifos, unbounded_model

BOARD, CLOCK_MHZ = load_board("pynq-z2"), 100
LIMITS = budget(BOARD, 0.85)
SAM = Sam(form="signed", group=1, floor=True, shift=2)
MIXED = ("conv2", "conv3", "conv4", "conv12")
ROUNDS = 4


class Fit:
    """Designs, and what they take."""

    def __init__(self, folder: Path, synthesis: Synthesis):
        self.folder, self.synthesis = folder, synthesis
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
        costs = self.synthesis.measure(name, made.design)
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


_FIELDS = {"lut": "luts", "dsp": "dsps", "bram18": "brams"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sam", default=",".join(MIXED), help="layers that are SAM in the mixed design")
    parser.add_argument("--finn-fps", type=float, default=100, help="goal of FINN's folding; at 100 it just fits")
    parser.add_argument("--again", action="store_true", help="synthesise everything, also what is known")
    parser.add_argument("--only", choices=("mac", "mixed", "finn"), help="one design, without a result")
    options = parser.parse_args()
    synthesis = Synthesis(options.again)
    with tempfile.TemporaryDirectory(prefix="board-fit-") as temporary:
        fit = Fit(Path(temporary), synthesis)
        make = {
            "mac": lambda: fit.design("mac"),
            "mixed": lambda: fit.design("mixed", options.sam.split(",")),
            "finn": lambda: fit.finns(options.finn_fps),
        }
        rows = {}
        for name in [options.only] if options.only else make:
            rows[name] = make[name]()
    if options.only:
        return
    best = max(rows["mac"]["fps"], rows["mixed"]["fps"])
    conclude(
        "board_fit",
        best,
        "fps",
        f"FINN's folding and units: {rows['finn']['fps']} fps",
        round(best / rows["finn"]["fps"], 3) if rows["finn"]["fps"] else None,
        {
            "image": reference().size,
            "widths": REFERENCE,
            "part": BOARD.part,
            "limits": LIMITS.limits,
            "sam": options.sam,
        },
        mac_fps=rows["mac"]["fps"],
        mixed_fps=rows["mixed"]["fps"],
        checked=synthesis.checked,
        designs=list(rows.values()),
    )


if __name__ == "__main__":
    main()
