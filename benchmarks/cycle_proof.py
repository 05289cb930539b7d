"""The cycle model against Verilator: the cycle of every beat of every stream, with and without stalls.

Each operator in random shapes, folds and FIFO depths, many instances beside each other in one Verilated top; then whole
networks, the reference network at 416x416 among them. Values are compared on the way: of operators with NumPy, of
networks with the integer network, stream by stream. Run from the repository.
"""

import argparse
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from common import conclude, say
from full_size import random_network
from networks import Example, examples, reference

sys.path.insert(0, str(Path(__file__).parents[1]))
from hwprune.accel.compile import Goal, compile_accelerator
from hwprune.quant.export import export_qonnx
from hwprune.sim.accelerator import build_simulator
from hwprune.sim.cycle.model import CycleModel, Stalls
from hwprune.sim.equivalence import check_equivalence
from tests.nets import integer_network
from tests.sim.cycle_bench import build_bench
from tests.sim.cycle_cases import CASES, depths

TOGETHER = 40
"""Instances of a top."""
STALLS = (Stalls(), Stalls(10, 1), Stalls(50, 2), Stalls(90, 3))


class Account:
    """What was compared so far."""

    def __init__(self):
        self.rows, self.first = [], []

    def add(self, name: str, cases: int, wrong_cases: int, beats: int, differences: list[str], wrong: int) -> None:
        self.rows.append({"name": name, "cases": cases, "wrong_cases": wrong_cases, "beats": beats, "differing": wrong})
        self.first += differences[:3]
        say(f"{name:32} {cases:4d} cases, {beats:10d} beats, {wrong} differ")
        for difference in differences[:3]:
            say(f"    {difference}")

    def total(self, key: str) -> int:
        return sum(row[key] for row in self.rows)


def prove_operator(kind: str, cases: int, account: Account, rng: np.random.Generator) -> None:
    """Random instances, each run without and with stalls."""
    beats, wrong, wrong_cases, told = 0, 0, set(), []
    for start in range(0, cases, TOGETHER):
        instances = CASES[kind](rng, min(TOGETHER, cases - start))
        with TemporaryDirectory(prefix="cycle-proof-") as folder:
            bench = build_bench(instances, Path(folder), depths(rng, instances))
            for stalls in STALLS:
                compared, differences = bench.check(stalls)
                beats += compared
                wrong += sum(difference.count for difference in differences)
                told += map(str, differences)
                wrong_cases |= {(start, difference.operator) for difference in differences}
    account.add(kind, cases, min(len(wrong_cases), cases), beats, told, wrong)


def prove_network(name: str, example: Example, stalls: int, account: Account) -> None:
    """Values and cycles of every stream of a compiled network."""
    small = example.size != reference().size
    network = integer_network(example.table, example.size, 1) if small else random_network(example.table, example.size)
    with TemporaryDirectory(prefix="cycle-proof-") as temporary:
        folder = Path(temporary)
        graph = export_qonnx(network, example.size, folder / "net.onnx")
        goal = Goal("xc7z020clg400-1", clock_mhz=100, target_fps=example.fps)
        accelerator = compile_accelerator(graph, folder / "compile", goal)
        simulator = build_simulator(accelerator.design, folder / "verilator")
        shape = (2 if small else 1, example.table.in_channels, *example.size)
        found = check_equivalence(
            simulator,
            accelerator.design,
            accelerator.origin,
            network,
            np.random.default_rng(1).integers(0, 256, shape, np.uint8),
            stall_percent=stalls,
            seeds=(1,),
            model=CycleModel(accelerator.design),
        )
    told = [*found.cycle_differences, *map(str, found.differences)]
    wrong = found.cycle_mismatches + found.mismatches
    account.add(f"network {name}", 1, int(wrong > 0), found.cycle_beats, told, wrong)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", type=int, default=20, help="of each operator; 200 take half an hour")
    parser.add_argument(
        "--only", nargs="+", metavar="NAME", help=f"of {', '.join(CASES)}, {', '.join(examples())}, reference"
    )
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    networks = examples() | {"reference": reference()}
    if unknown := sorted(set(options.only or ()) - set(CASES) - set(networks)):
        parser.error(f"--only: there is no {', '.join(unknown)}")
    wanted = options.only or [*CASES, *networks]
    account, start = Account(), time.monotonic()
    for number, kind in enumerate(CASES):
        if kind in wanted:
            prove_operator(kind, options.cases, account, np.random.default_rng([options.seed, number]))
    for name, example in networks.items():
        if name in wanted:
            prove_network(name, example, 0 if name == "reference" else 30, account)
    cases, wrong_cases = account.total("cases"), account.total("wrong_cases")
    conclude(
        "cycle_proof",
        account.total("differing"),
        "beats that differ",
        "Verilator",
        (cases - wrong_cases) / cases,
        {"cases": cases, "beats": account.total("beats"), "operators": sum(kind in wanted for kind in CASES)},
        rows=account.rows,
        differences=account.first,
        seconds=round(time.monotonic() - start, 1),
    )


if __name__ == "__main__":
    main()
