"""Estimated LUTs, DSP slices and block RAMs against synthesis of the very RTL by Yosys, operator by operator.

Operators of detectors' kinds, sizes and folds are drawn at random (`operator_cases.py`), with a seed that no estimate
was fitted to; and three networks are compiled, the reference network at 416x416 as fast as it fits an xc7z020 among
them, and each of their operators, converters and FIFOs is synthesised by itself. LUTs are sites: two LUTs of the same
five inputs are one. FINN's own estimates are compared where the RTL is FINN's: thresholds, windows, paddings, FIFOs.
"""

import argparse
import json
import tempfile
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from board_fit import BOARD, CLOCK_MHZ, LIMITS
from common import conclude, say
from full_size import random_network
from networks import Example, examples, reference
from operator_cases import draw
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.custom_op.registry import getCustomOp
from synthesised import Synthesis

from hwprune.accel import operators
from hwprune.accel.compile import GRAPH, Goal, compile_accelerator
from hwprune.accel.design import Design
from hwprune.accel.finn_env import prepare_finn
from hwprune.accel.folding import node_resources
from hwprune.accel.stitch import stitch
from hwprune.board.netlist import Cost
from hwprune.quant.export import export_qonnx
from hwprune.sim.cycle.sizing import fastest_interval, size_fifos, unbounded_model

COUNTS = {
    **{"mac_in_dsps": 6, "mac_in_luts": 4, "sam": 6, "thresholds": 6, "window": 7, "padding": 4, "pool": 4, "queue": 7},
    **{"width": 6, "fork": 2, "join": 2, "upsample": 3},
}
SEED = 7
SMALL = ("quickstart", "mixed")


@dataclass(frozen=True)
class Row:
    """An operator: where it is from, its type, what FINN and hwprune estimate, and what synthesis makes of it."""

    source: str
    name: str
    kind: str
    estimated: dict[str, int]
    finns: dict[str, int] | None
    cost: Cost

    @property
    def error(self) -> float:
        """Of the LUTs, relative."""
        return abs(self.estimated["lut"] / self.cost.lut - 1)

    @property
    def finns_error(self) -> float:
        """Of the LUTs, relative."""
        return abs(self.finns["lut"] / self.cost.lut - 1)


def finns_classes() -> dict[str, type]:
    """FINN's own operators, of those whose RTL is FINN's."""
    from finn.custom_op.fpgadataflow.rtl.convolutioninputgenerator_rtl import ConvolutionInputGenerator_rtl
    from finn.custom_op.fpgadataflow.rtl.fmpadding_rtl import FMPadding_rtl
    from finn.custom_op.fpgadataflow.rtl.streamingfifo_rtl import StreamingFIFO_rtl
    from finn.custom_op.fpgadataflow.rtl.thresholding_rtl import Thresholding_rtl

    found = (ConvolutionInputGenerator_rtl, FMPadding_rtl, StreamingFIFO_rtl, Thresholding_rtl)
    return {each.__name__: each for each in found}


def rows_of(source: str, model: ModelWrapper, costs: dict[str, Cost]) -> Iterable[Row]:
    """Of all operators of a graph that take LUTs."""
    finns = finns_classes()
    for node in model.graph.node:
        if not costs[node.name].lut:
            continue
        told = None
        if node.op_type in finns:
            estimate = finns[node.op_type](node).node_res_estimation(BOARD.part)
            told = {"lut": int(estimate["LUT"]), "bram18": int(estimate["BRAM_18K"])}
        yield Row(source, node.name, node.op_type, node_resources(node, BOARD.part), told, costs[node.name])


def drawn(folder: Path, synthesis: Synthesis) -> list[Row]:
    """Operators beside each other in one graph."""
    prepare_finn(folder)
    operators.register()
    model = draw(SEED, COUNTS)
    for node in model.graph.node:
        target = folder / "build" / node.name
        target.mkdir(parents=True)
        operator = getCustomOp(node)
        operator.set_nodeattr("code_gen_dir_ipgen", str(target))
        operator.code_generation_ipgen(model, BOARD.part, 1e3 / CLOCK_MHZ)
    return list(rows_of("drawn", model, synthesis.measure("drawn", stitch(model, folder / "design"))))


def of_network(name: str, example: Example, goal: Goal, folder: Path, synthesis: Synthesis) -> list[Row]:
    """Operators of a compiled network."""
    folder.mkdir()
    graph = export_qonnx(random_network(example.table, example.size), example.size, folder / "network.onnx")

    def size(design: Design):
        return size_fifos(unbounded_model(design)).sizes

    say(f"{name}: compile")
    made = compile_accelerator(graph, folder / "compile", goal, size=size, interval=fastest_interval)
    model = ModelWrapper(str(folder / "compile" / GRAPH))
    return list(rows_of(name, model, synthesis.measure(name, made.design)))


def picture(rows: list[Row], path: Path) -> None:
    """Estimate against synthesis, by kind of operator."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 5.2), layout="constrained")
    FigureCanvasAgg(figure)
    kinds = sorted({row.kind for row in rows})
    for axes, what in zip(figure.subplots(1, 2, sharex=True, sharey=True), ("hwprune", "FINN"), strict=True):
        for number, kind in enumerate(kinds):
            chosen = [r for r in rows if r.kind == kind and (what == "hwprune" or r.finns)]
            told = [(r.estimated if what == "hwprune" else r.finns)["lut"] for r in chosen]
            if chosen:
                label = kind.removesuffix("_rtl")
                axes.scatter([r.cost.lut for r in chosen], [max(1, t) for t in told], s=16, alpha=0.7,
                             color=f"C{number}", label=label)  # fmt: skip
        ends = [2, 1.2 * max(r.cost.lut for r in rows)]
        axes.plot(ends, ends, color="black", linewidth=0.8)
        axes.fill_between(ends, [0.9 * e for e in ends], [1.1 * e for e in ends], color="black", alpha=0.12)
        axes.set(xscale="log", yscale="log", xlabel="LUTs by synthesis", ylabel="LUTs by estimate")
        axes.set_title("hwprune's estimates" if what == "hwprune" else "FINN's, of its own RTL (0 drawn as 1)")
        axes.legend(fontsize=7)
    figure.savefig(path, dpi=110)


def table(rows: list[Row]) -> str:
    """A row a kind, in Markdown."""
    lines = ["| operator | instances | LUTs, median error | greatest | FINN's median | block RAMs wrong, FINN's |",
             "|---|---|---|---|---|---|"]  # fmt: skip
    by_kind = defaultdict(list)
    for row in rows:
        by_kind[row.kind.removesuffix("_rtl")].append(row)
    for kind, some in sorted(by_kind.items()):
        told = [row for row in some if row.finns]
        finns = f"{median(r.finns_error for r in told):.2f}" if told else ""
        blocks = f"{sum(r.finns['bram18'] != r.cost.bram18 for r in told)}" if told else ""
        wrong = sum(r.estimated["bram18"] != r.cost.bram18 for r in some)
        ours = f"{median(r.error for r in some):.3f} | {max(r.error for r in some):.2f}"
        lines.append(f"| {kind} | {len(some)} | {ours} | {finns} | {wrong}{', ' if blocks else ''}{blocks} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--picture", type=Path, help="PNG or SVG to be written")
    parser.add_argument("--again", action="store_true", help="synthesise everything, also what is known")
    options = parser.parse_args()
    synthesis = Synthesis(options.again)
    with tempfile.TemporaryDirectory(prefix="resources-") as temporary:
        folder = Path(temporary)
        rows = drawn(folder / "drawn", synthesis)
        networks = {name: (examples()[name], Goal(BOARD.part, CLOCK_MHZ, examples()[name].fps)) for name in SMALL}
        networks["reference"] = reference(), Goal(BOARD.part, CLOCK_MHZ, None, LIMITS, jointly=True)
        totals = {}
        for name, (example, goal) in networks.items():
            found = of_network(name, example, goal, folder / name, synthesis)
            totals[name] = {
                key: [sum(row.estimated[key] for row in found), sum(getattr(row.cost, key) for row in found)]
                for key in ("lut", "dsp", "bram18")
            }
            say(f"{name}, estimated and synthesised: {json.dumps(totals[name])}")
            rows += found
    for row in rows:
        if any(row.estimated[key] != getattr(row.cost, key) for key in ("dsp", "bram18")) or row.error > 0.3:
            say(f"{row.source} {row.name}: {row.estimated}, {row.cost}")
    print(table(rows))
    if options.picture:
        picture(rows, options.picture)
    ours, known = median(row.error for row in rows), [row for row in rows if row.finns]
    finns, same = median(row.finns_error for row in known), median(row.error for row in known)
    conclude(
        "resources",
        round(ours, 4),
        "median relative error of estimated LUTs",
        f"FINN's estimate of its own RTL: {finns:.3f}, ours of the same: {same:.3f}",
        round(finns / same, 2),
        {"drawn": sum(COUNTS.values()), "networks": list(networks), "instances": len(rows), "part": BOARD.part},
        dsp_errors=sum(row.estimated["dsp"] != row.cost.dsp for row in rows),
        bram_errors=sum(row.estimated["bram18"] != row.cost.bram18 for row in rows),
        finns_bram_errors=sum(row.finns["bram18"] != row.cost.bram18 for row in known),
        drawn_only=round(median(row.error for row in rows if row.source == "drawn"), 4),
        totals=totals,
        checked=synthesis.checked,
    )


if __name__ == "__main__":
    main()
