"""Would the proof of the cycle model see a fault? Its recurrences are broken on purpose, a term at a time.

In each kernel every operand of a maximum, and every ``+ 1`` or ``- 1``, is left out in turn. What is left is compared
with the RTL on random instances as in ``cycle_proof.py``; a mutant is noticed if a beat passes in another cycle, or if
the model fails or does not end. Everything runs in Python, without Numba. Run from the repository.
"""

import argparse
import ast
import importlib
import multiprocessing
import os
import sys
import time
import types
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from common import conclude, say

sys.path.insert(0, str(Path(__file__).parents[1]))

CYCLE = "hwprune.sim.cycle"
FULL = "full FIFOs"
SHOWN_BY = {
    "machine": (FULL, "StreamingFIFO_rtl", "UpsampleNearestNeighbour_rtl", "StreamingDataWidthConverter_rtl"),
    "skid": ("StreamingConcat_rtl", "DuplicateStreams_rtl", "UpsampleNearestNeighbour_rtl"),
    "replay": ("MVAU_rtl", "SAMVAU_rtl"),
    "operators.ports": ("StreamingFIFO_rtl",),
    "operators.fmpadding": ("FMPadding_rtl",),
    "operators.mvau": ("MVAU_rtl",),
    "operators.samvau": ("SAMVAU_rtl",),
    "operators.thresholding": ("Thresholding_rtl",),
    "operators.concat": ("StreamingConcat_rtl",),
    "operators.duplicate": ("DuplicateStreams_rtl",),
    "operators.maxpool2d": ("MaxPool2d_rtl",),
    "operators.upsample": ("UpsampleNearestNeighbour_rtl",),
    "operators.sliding_window": ("ConvolutionInputGenerator_rtl",),
    "operators.width_converter": ("StreamingDataWidthConverter_rtl",),
}
"""Module with kernels, and the operators whose instances exercise it; FULL are those of ``test_full_fifos.py``."""


@dataclass(frozen=True)
class Mutant:
    """A module's source with one term left out."""

    module: str
    line: int
    text: str
    source: str


def mutants(module: str, source: str) -> Iterator[Mutant]:
    """All of a module."""
    count = len(list(_places(ast.parse(source))))
    for number in range(count):
        tree = ast.parse(source)
        node, field, kept = list(_places(tree))[number]
        before = ast.unparse(node)
        if field == "args":
            node.args = kept
            if len(kept) == 1:
                node.func, node.args = ast.Name("int", ast.Load()), kept
        else:
            node.op, node.right = ast.Add(), ast.Constant(0)
            if kept is not node.left:
                node.left = kept
        yield Mutant(module, node.lineno, f"{before}  ->  {ast.unparse(node)}", ast.unparse(tree))


def _places(tree: ast.Module) -> Iterator[tuple[ast.expr, str, object]]:
    """Nodes of compiled functions that have something to leave out, and what stays."""
    for function in tree.body:
        if not isinstance(function, ast.FunctionDef) or not function.decorator_list:
            continue
        for node in ast.walk(function):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "max":
                for left_out in range(len(node.args)):
                    yield node, "args", [arg for k, arg in enumerate(node.args) if k != left_out]
            elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add | ast.Sub):
                if isinstance(node.right, ast.Constant) and node.right.value == 1:
                    yield node, "right", node.left
                elif isinstance(node.left, ast.Constant) and node.left.value == 1:
                    yield node, "left", node.right


def record(kind: str, cases: int, seed: int) -> tuple[list[tuple], int]:
    """Run the RTL of random instances without and with stalls: the arguments of each comparison, and beats compared."""
    from hwprune.accel import operators
    from hwprune.sim.cycle.model import Stalls
    from tests.sim import cycle_bench
    from tests.sim.cycle.test_full_fifos import slow_units
    from tests.sim.cycle_cases import CASES, depths

    operators.register()
    rng = np.random.default_rng(seed)
    kept, beats, compare = [], 0, cycle_bench.compare_cycles

    def keep(design, run, model, frames, stalls):
        kept.append((design, run, frames, stalls))
        return compare(design, run, model, frames, stalls)

    cycle_bench.compare_cycles = keep
    try:
        with TemporaryDirectory(prefix="cycle-mutants-") as folder:
            if kind == FULL:
                instances, fifos = slow_units(rng)
            else:
                instances = CASES[kind](rng, cases)
                fifos = depths(rng, instances)
            bench = cycle_bench.build_bench(instances, Path(folder), fifos)
            rates = (Stalls(50, 2),) if kind == FULL else (Stalls(), Stalls(10, 1), Stalls(50, 2), Stalls(90, 3))
            for stalls in rates:
                compared, differences = bench.check(stalls)
                beats += compared
                if differences:
                    raise SystemExit(f"{kind}: the model is not the RTL as it is: {differences[0]}")
    finally:
        cycle_bench.compare_cycles = compare
    return kept, beats


def noticed(runs: list[tuple], mutant: Mutant, timeout: float | None = None) -> bool:
    """Whether a process with this mutant in the place of its module sees another cycle, fails, or does not end."""
    process = multiprocessing.get_context("fork").Process(target=_compare, args=(runs, mutant), daemon=True)
    process.start()
    process.join(timeout)
    if process.is_alive():
        process.kill()
        process.join()
    return process.exitcode != 0


def _compare(runs: list[tuple], mutant: Mutant) -> None:
    """In a process of its own: load the model again, one module replaced; leave with 1 at the first difference."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # a mutant may fail in any way
    for name in [name for name in sys.modules if name.startswith(CYCLE)]:
        del sys.modules[name]
    name = f"{CYCLE}.{mutant.module}"
    parent, _, short = name.rpartition(".")
    module = types.ModuleType(name)
    sys.modules[name] = module
    exec(compile(mutant.source, name, "exec"), module.__dict__)
    setattr(importlib.import_module(parent), short, module)
    from hwprune.sim.cycle.check import compare_cycles
    from hwprune.sim.cycle.model import CycleModel

    for design, run, frames, stalls in runs:
        if compare_cycles(design, run, CycleModel(design), frames, stalls)[1]:
            raise SystemExit(1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", type=int, default=12, help="instances of each operator")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", nargs="+", metavar="MODULE", choices=SHOWN_BY, help=f"of {', '.join(SHOWN_BY)}")
    options = parser.parse_args()
    os.environ["NUMBA_DISABLE_JIT"] = "1"  # before anything imports Numba: compiling a mutant takes half a minute
    np.seterr(over="ignore")  # stalls are made of words that wrap round
    wanted = options.only or list(SHOWN_BY)
    known, rows, survivors = {}, [], []
    for kind in dict.fromkeys(kind for module in wanted for kind in SHOWN_BY[module]):
        known[kind] = record(kind, options.cases, options.seed)
        say(f"{kind}: {known[kind][1]} beats in RTL")
    for module in wanted:
        runs = [run for kind in SHOWN_BY[module] for run in known[kind][0]]
        source = Path(importlib.import_module(f"{CYCLE}.{module}").__file__).read_text(encoding="utf-8")
        start = time.monotonic()
        if noticed(runs, Mutant(module, 0, "as it is", ast.unparse(ast.parse(source)))):
            raise SystemExit(f"{module}: as it is, it is noticed")
        timeout = 30 + 10 * (time.monotonic() - start)
        made = list(mutants(module, source))
        alive = [mutant for mutant in made if not noticed(runs, mutant, timeout)]
        rows.append({"module": module, "mutants": len(made), "noticed": len(made) - len(alive)})
        survivors += [f"{mutant.module}:{mutant.line}: {mutant.text}" for mutant in alive]
        say(f"{module}: {len(made)} mutants, {len(made) - len(alive)} noticed")
        for mutant in alive:
            say(f"    line {mutant.line}: {mutant.text}")
    total, found = (sum(row[key] for row in rows) for key in ("mutants", "noticed"))
    conclude(
        "cycle_mutants",
        found,
        "mutants noticed",
        "all mutants",
        found / total,
        {"mutants": total, "cases": options.cases, "beats": sum(beats for _, beats in known.values())},
        rows=rows,
        survivors=survivors,
    )


if __name__ == "__main__":
    main()
