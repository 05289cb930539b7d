"""What a SAM unit takes of a 7-series part, beside a MAC unit that does the same number of connections a cycle.

All designs stand in the same flow, Yosys, at 100 MHz, without place and route. Activations have 4 bits without a sign,
weights 4 bits; they stream in. Counted are LUT6 sites (see `synthesis.Cost.lut`). A unit belongs to a layer of 288
inputs, which decides the width of its sums. Run from the repository.
"""

import argparse
import math
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from common import conclude, say

from hwprune.board.netlist import Cost
from hwprune.board.yosys import Unit, synthesise

sys.path.insert(0, str(Path(__file__).parents[1]))
from hwprune.accel.rtllib import ADAPTATIONS, adapt_text, installed_rtllib
from hwprune.accel.sources import rtl_dir

INPUTS = 288
"""Connections of a unit: 32 channels, 3x3."""
LANES = 4
"""Products of 4 bits that FINN packs into a DSP48E1, if no weight is -8."""
SIZES = (8, 16, 32)
HEADLINE = 16
OUTPUTS, PES = 32, 4
"""Of the layer."""
RTL, PE_RTL = rtl_dir(), Path(__file__).parent / "rtl"
MAC_FILES = [
    *(PE_RTL / file for file in ("xc7_cells.sv", "ternary_adder.sv", "mac_pe.sv")),
    RTL / "adder_tree.sv",
]
SAM_FILES = [RTL / file for file in ("sam_pkg.sv", "delay_line.sv", "adder_tree.sv", "sam_extreme.sv")]
SHELL = [RTL / file for file in ("skid_buffer.sv", "row_buffer.sv", "vector_replay.sv", "rom.sv")]
TERNARY, PACKED, WIDE = "MAC, ternary adders", "MAC, packed in DSPs", "SAM maxmin, whole field, sums of 6 bits"
MAC_METHODS = {"MAC, *": 0, "MAC, digits": 1, "MAC, rows": 2, TERNARY: 3}
"""`METHOD` of mac_pe.sv."""


@dataclass(frozen=True)
class Kind:
    """A SAM unit."""

    form: str
    group: int
    q_bits: int = 4
    q_shift: int = 0

    @property
    def name(self) -> str:
        if self in WEIGHTS:
            return f"adders, weights {WEIGHTS[self]}"
        groups = f"groups of {self.group}" if self.group else "whole field"
        codes = f", codes of {self.q_bits} bits" if self.q_bits != 4 else ""
        return f"SAM {self.form}, {groups}{codes}"

    @property
    def sets(self) -> int:
        return 1 if self.form == "signed" else 2

    @property
    def sum_bits(self) -> int:
        """Of the sum over the groups of a unit, with its sign."""
        groups = INPUTS // self.group if self.group else 1
        return 1 + math.ceil(math.log2(15 * groups + 1))

    @property
    def weight_bits(self) -> float:
        """Weight memory, bits a connection."""
        return self.sets * self.q_bits + (1 / (self.group or INPUTS) if self.form == "signed" else 0)

    def parameters(self) -> dict[str, int | str]:
        """Of sam_pe.sv, and by the same names of samvau.sv."""
        return {
            "GROUP": self.group,
            "SETS": self.sets,
            "MIN": f"1'b{int(self.form == 'maxmin')}",
            "SIGNS": f"1'b{int(self.form == 'signed')}",
            "Q_BITS": max(1, self.q_bits),
            "Q_SHIFT": self.q_shift,
        }


BINARY, SIGNS_AND_ZERO = Kind("signed", 1, 0), Kind("signed", 1, 1, 4)
WEIGHTS = {BINARY: "-1 and 1", SIGNS_AND_ZERO: "-1, 0 and 1"}
"""Multiplications by these are SAM units too: without codes, and with a code whose one step no activation reaches."""
KINDS = [Kind("signed", 1), Kind("signed", 2)]
KINDS += [Kind(form, group) for form in ("signed", "difference", "maxmin") for group in (4, 8, 0)]
SHORT = [
    Kind(form, group, bits, 4 - bits)
    for form, group in (("signed", 1), ("signed", 4), ("difference", 4))
    for bits in (3, 2)
]
BEST, GROUPED = Kind("signed", 1), Kind("difference", 4)
MAC_SUM_BITS = 1 + math.ceil(math.log2(INPUTS * 15 * 8 + 1))


def finn_mvu() -> dict[str, str]:
    """FINN's DSP unit, adapted where its text is for Vivado and simulators only."""
    folder = installed_rtllib()
    texts = {f"{n}.sv": (folder / "mvu" / f"{n}.sv").read_text() for n in ("mvu_pkg", "add_multi", "mvu")}
    for adaptation in ADAPTATIONS:
        if adaptation.file == "mvu/add_multi.sv":
            texts["add_multi.sv"] = adapt_text(texts["add_multi.sv"], adaptation)
    texts["mvu.sv"] = texts["mvu.sv"].replace("Dirty <= 0;", "Dirty = 0;")  # of a warning in simulations
    return texts


def mac_design(name: str, size: int) -> Unit:
    """One MAC unit without DSPs; `name` is of `MAC_METHODS`."""
    values = {"SIMD": size, "ACC_BITS": MAC_SUM_BITS, "METHOD": MAC_METHODS[name]}
    return Unit(f"{name}|{size}", "mac_pe", MAC_FILES, values)


def sam_design(kind: Kind, size: int) -> Unit:
    """One SAM unit."""
    values = {**kind.parameters(), "SIMD": size, "ACC_BITS": kind.sum_bits}
    files = [*SAM_FILES, PE_RTL / "sam_pe.sv"]
    if kind.q_bits:
        return Unit(f"{kind.name}|{size}", "sam_pe", files, values)
    return Unit(f"{kind.name}|{size}", "binary_pe", [*files, PE_RTL / "binary_pe.sv"],
                  {"SIMD": size, "ACC_BITS": kind.sum_bits})  # fmt: skip


def pe_designs(size: int) -> list[Unit]:
    """One unit of `size` connections a cycle, in all ways; FINN's is four of them."""
    designs = [mac_design(name, size) for name in (MAC_METHODS if size == HEADLINE else ("MAC, *", TERNARY))]
    packed = {
        "NARROW_WEIGHTS": "1'b1",
        "PE": LANES,
        "SIMD": size,
        "WEIGHT_WIDTH": 4,
        "ACTIVATION_WIDTH": 4,
        "ACCU_WIDTH": MAC_SUM_BITS,
    }
    designs.append(Unit(f"{PACKED}|{size}", "mvu", [], packed, dsp=True, library=True, data=finn_mvu()))
    few = [kind for kind in KINDS if kind.form == "signed"] + [GROUPED]
    designs += [sam_design(kind, size) for kind in ([*KINDS, *SHORT, *WEIGHTS] if size == HEADLINE else few)]
    if size == HEADLINE:
        designs.append(Unit(f"{WIDE}|{size}", "sam_wide_pe", [PE_RTL / "sam_wide_pe.sv"], {"SIMD": size}))
    return designs


def layer_designs() -> list[Unit]:
    """A layer of 288 inputs and 32 outputs, 16 x 4 connections a cycle: replay of inputs, weights, units, output."""
    depth = INPUTS // HEADLINE * OUTPUTS // PES
    fold = {"MW": INPUTS, "MH": OUTPUTS, "SIMD": HEADLINE, "PE": PES}

    def words(bits: int) -> dict[str, str]:
        drawn = np.random.default_rng(1).integers(0, 16, (depth, -(-bits // 4)))
        drawn[:, 0] &= (1 << (bits - 1) % 4 + 1) - 1
        return {f"codes_{bits}.dat": "".join("".join(f"{digit:x}" for digit in row) + "\n" for row in drawn)}

    def memory(bits: int) -> dict[str, str]:
        return {"BLOCK": "1'b1", "CODES": f'"codes_{bits}.dat"'}

    bits = PES * HEADLINE * 4
    mac = {**fold, "ACC_BITS": MAC_SUM_BITS, **memory(bits)}
    mac_files = [*MAC_FILES, *SHELL, RTL / "delay_line.sv", PE_RTL / "mac_layer.sv"]
    # The unit that is not taken still has to be there for its name.
    absent = {"mvu.sv": "module mvu; endmodule\n"}
    codes = words(bits)
    designs = [
        Unit(f"layer|{TERNARY}", "mac_layer", mac_files, mac, data=absent | codes),
        Unit(f"layer|{PACKED}", "mac_layer", mac_files, {**mac, "DSP": "1'b1"}, dsp=True,
               library=True, data=finn_mvu() | codes),
    ]  # fmt: skip
    for kind in (BEST, Kind("signed", 4), GROUPED, Kind("maxmin", 0)):
        bits = PES * (kind.sets * HEADLINE * 4 + (max(1, HEADLINE // (kind.group or INPUTS)) if kind.sets == 1 else 0))
        values = {**fold, **kind.parameters(), "GROUP": kind.group or INPUTS, "OUT_BITS": kind.sum_bits, **memory(bits)}
        designs.append(
            Unit(f"layer|{kind.name}", "samvau", [*SAM_FILES, *SHELL, RTL / "samvau.sv"], values, data=words(bits))
        )
    return designs


# conv2 to conv9, conv11 and conv12 of the quickstart's net (3x3 and 1x1 layers between the first and the heads):
# inputs of a unit, outputs, pixels at 96x96.
NETWORK = [
    (8 * 9, 16, 48**2), (16 * 9, 32, 24**2), (32 * 9, 64, 12**2), (64 * 9, 96, 6**2), (96 * 9, 128, 3**2),
    (128 * 9, 192, 3**2), (192, 64, 3**2), (64 * 9, 128, 3**2), (64, 48, 3**2), (144 * 9, 96, 6**2),
]  # fmt: skip
NETWORK_CYCLES = 100_000
"""A frame at 1000 frames a second and 100 MHz."""


def network_units() -> dict[int, int]:
    """Units of each size over all layers: 16 (8 where 16 do not divide the inputs) connections wide, as many as the
    slowest layer needs."""
    units: dict[int, int] = {}
    for inputs, outputs, pixels in NETWORK:
        size = 16 if inputs % 16 == 0 else 8
        wanted = math.ceil(inputs // size * outputs * pixels / NETWORK_CYCLES)
        units[size] = units.get(size, 0) + next(n for n in range(wanted, outputs + 1) if outputs % n == 0)
    return units


def table(costs: dict[str, Cost], size: int) -> list[dict]:
    """Rows for one size; what FINN's four units take is divided among them."""
    weight_bits = {kind.name: kind.weight_bits for kind in [*KINDS, *SHORT, *WEIGHTS]}
    rows = []
    for key, cost in costs.items():
        name, _, at = key.partition("|")
        if at == str(size):
            row = asdict(cost)
            if name == PACKED:
                row |= {field: row[field] / LANES for field in ("lut", "lut_cells", "ff", "carry4", "muxf", "dsp")}
            default = 8 if name == WIDE else 4
            rows.append({"unit": name, **row, "weight_bits": round(weight_bits.get(name, default), 2)})
    return rows


def best_mac(costs: dict[str, Cost], size: int, count: str = "lut") -> tuple[float, str]:
    """Fewest LUTs of the MAC units without a DSP."""
    return min((getattr(costs[key], count), name) for name in MAC_METHODS if (key := f"{name}|{size}") in costs)


def plot(rows: list[dict], path: Path) -> None:
    """Bars of LUT sites; DSPs are written beside them."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    rows = sorted(rows, key=lambda row: -row["lut"])
    figure, axes = pyplot.subplots(figsize=(8, 0.3 * len(rows) + 1))
    colours = ["tab:gray" if row["unit"].startswith("MAC") else "tab:green" for row in rows]
    axes.barh([row["unit"] for row in rows], [row["lut"] for row in rows], color=colours)
    for at, row in enumerate(rows):
        more = f" + {row['dsp']:g} DSP" if row["dsp"] else ""
        axes.text(row["lut"], at, f" {row['lut']:g}{more}", va="center", fontsize=8)
    axes.set_xlabel(f"LUT6 sites of a unit of {HEADLINE} connections a cycle")
    axes.margins(x=0.15, y=0.01)
    axes.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    pyplot.close(figure)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--plot", type=Path, help="PNG or SVG to be written")
    parser.add_argument("--workers", type=int, default=2, help="Yosys processes at a time")
    options = parser.parse_args()

    designs = [design for size in (HEADLINE, *SIZES) for design in pe_designs(size)]
    designs = list({design.name: design for design in designs}.values()) + layer_designs()
    say(f"{len(designs)} designs to synthesise")
    count = 0

    def done(name: str, cost: Cost) -> None:
        nonlocal count
        count += 1
        say(f"{count:3d}/{len(designs)} {name}: {cost.lut} LUT, {cost.dsp} DSP")

    costs = synthesise(designs, options.workers, done=done)

    for size in SIZES:
        least, _ = best_mac(costs, size)
        print(f"\nUnit of {size} connections a cycle")
        print(
            f"{'':46}{'LUT':>7}{'ratio':>7}{'cells':>7}{'FF':>7}{'CARRY4':>8}{'DSP':>6}{'levels':>8}{'weight bits':>13}"
        )
        for row in table(costs, size):
            print(
                f"{row['unit']:46}{row['lut']:7g}{row['lut'] / least:7.2f}{row['lut_cells']:7g}{row['ff']:7g}"
                f"{row['carry4']:8g}{row['dsp']:6g}{row['levels']:8d}{row['weight_bits']:13g}"
            )

    print(f"\nLayer of {INPUTS} inputs, {OUTPUTS} outputs, {HEADLINE} x {PES} connections a cycle, with its weights")
    print(f"{'':46}{'LUT':>7}{'FF':>7}{'CARRY4':>8}{'DSP':>6}{'BRAM18':>8}{'levels':>8}")
    layer = {name.partition("|")[2]: cost for name, cost in costs.items() if name.startswith("layer|")}
    for name, cost in layer.items():
        print(f"{name:46}{cost.lut:7d}{cost.ff:7d}{cost.carry4:8d}{cost.dsp:6d}{cost.bram18:8d}{cost.levels:8d}")

    units = network_units()
    print(f"\nUnits of the inner layers of the quickstart's net at 1000 frames a second: {units}")
    network = {}
    for name in (TERNARY, PACKED, BEST.name, GROUPED.name):
        rows = {size: next(r for r in table(costs, size) if r["unit"] == name) for size in units}
        network[name] = {
            field: round(sum(rows[size][field] * number for size, number in units.items()), 1)
            for field in ("lut", "ff", "dsp")
        }
        print(f"{name:46}{network[name]['lut']:9g} LUT{network[name]['ff']:9g} FF{network[name]['dsp']:7g} DSP")

    if options.plot:
        plot(table(costs, HEADLINE), options.plot)
        say(f"{options.plot} written")
    least, method = best_mac(costs, HEADLINE)
    least_cells, _ = best_mac(costs, HEADLINE, "lut_cells")
    value = costs[f"{BEST.name}|{HEADLINE}"]
    conclude(
        "sam_logic", value.lut, "LUT", method, round(value.lut / least, 3),
        {"inputs": HEADLINE, "activation_bits": 4, "weight_bits": 4, "field": INPUTS},
        form=BEST.name, versus_lut=least, ratio_before_pairing=round(value.lut_cells / least_cells, 3),
        ratios={
            kind.name: round(costs[f"{kind.name}|{HEADLINE}"].lut / least, 3) for kind in [*KINDS, *SHORT, *WEIGHTS]
        },
        units={str(size): table(costs, size) for size in SIZES},
        layer={name: asdict(cost) for name, cost in layer.items()},
        network={"units": units, **network},
    )  # fmt: skip


if __name__ == "__main__":
    main()
