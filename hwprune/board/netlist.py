"""What a flat netlist for 7-series parts takes: LUTs, registers, carry chains, DSPs, memories, levels."""

import re
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass

_LUT = re.compile(r"LUT[1-6]|INV")


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

    def __add__(self, other: "Cost") -> "Cost":
        """Of both beside each other."""
        mine, its = asdict(self), asdict(other)
        return Cost(**{key: (max if key == "levels" else sum)((mine[key], its[key])) for key in mine})


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
