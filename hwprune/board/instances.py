"""What a stitched design takes by synthesis, instance by instance of its top.

Yosys maps each instance by itself: the whole at once takes it many times as long, and what optimisation across the
borders of streams could save is not counted. Instances of equal text and memory are mapped once.
"""

import json
import re
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory

from hwprune.accel.design import Design
from hwprune.accel.stitch import SOURCES
from hwprune.board.for_yosys import prepare
from hwprune.board.netlist import Cost, measure
from hwprune.board.yosys import DELAY_PS, SLANG, yosys

INSTANCE = re.compile(r"^    (\w+) u_(\w+) \($", re.MULTILINE)
"""In the top that `hwprune.accel.stitch` writes."""
DEFINED = re.compile(r"^\s*(?:module|package)\s+(?:automatic\s+)?(\w+)", re.MULTILINE)
SYNTH = "synth_xilinx -flatten -abc9 -noiopad -noclkbuf -arch xc7"
ROM = "rom$"
"""How the names of modules begin that Yosys makes of ``rom.sv``."""
FEW = 16
"""Words of a ROM that are better worked into the logic."""


@dataclass(frozen=True)
class Instance:
    """An instance of the top.

    Attributes
    ----------
    name, module
        Its own and its module's.
    files
        The sources that it needs, relative to the folder of all.
    key
        The same for all that Yosys would make the same of.
    """

    name: str
    module: str
    files: tuple[str, ...]
    key: str


def measure_instances(
    design: Design,
    workers: int = 2,
    known: Mapping[str, Cost] | None = None,
    done: Callable[[str, Cost], None] = lambda name, cost: None,
) -> tuple[dict[str, Cost], dict[str, Cost]]:
    """Synthesise every instance of a design for 7-series parts.

    Parameters
    ----------
    design
        A stitched one.
    workers
        Yosys processes at a time; each takes one core.
    known
        Costs by key, of other designs.
    done
        Called with each instance's name and cost as it is ready.

    Returns
    -------
    costs
        By instance.
    keys
        By key, for the ``known`` of another design. A key tells the sources and memories of an instance.

    Raises
    ------
    RuntimeError
        If Yosys refuses an instance; with the end of its output.
    """
    with TemporaryDirectory(prefix="instances-") as temporary:
        folder = Path(temporary)
        found = instances(folder, prepare(design, folder), design.top)
        costs = dict(known or {})
        new = [i for number, i in enumerate(found)
               if i.key not in costs and i.key not in {other.key for other in found[:number]}]  # fmt: skip

        def one(instance: Instance) -> None:
            costs[instance.key] = _synthesise(instance, folder)
            done(instance.name, costs[instance.key])

        with ThreadPoolExecutor(workers) as pool:
            list(pool.map(one, new))
    return {i.name: costs[i.key] for i in found}, {i.key: costs[i.key] for i in found}


def total(costs: Mapping[str, Cost]) -> dict[str, int]:
    """LUTs, registers, DSP slices and block RAMs of all instances."""
    return {name: sum(getattr(cost, name) for cost in costs.values()) for name in ("lut", "ff", "dsp", "bram18")}


def instances(folder: Path, files: list[str], top: str) -> list[Instance]:
    """Those of a prepared design (`hwprune.board.for_yosys.prepare`), in the order of its top."""
    texts = {file: (folder / file).read_text() for file in files}
    defined = {name: file for file, text in texts.items() for name in DEFINED.findall(text)}
    words = {file: set(re.findall(r"\w+", text)) & set(defined) for file, text in texts.items()}
    return [
        _instance(folder, name, module, _needed(defined[module], defined, words, files), texts)
        for module, name in INSTANCE.findall(texts[defined[top]])
    ]


def _needed(first: str, defined: dict[str, str], words: dict[str, set[str]], files: list[str]) -> list[str]:
    """A source and all whose modules and packages it names, directly or not."""
    needed, waiting = set(), [first]
    while waiting:
        file = waiting.pop()
        if file not in needed:
            needed.add(file)
            waiting += [defined[name] for name in words[file]]
    return [file for file in files if file in needed]


def _instance(folder: Path, name: str, module: str, files: list[str], texts: dict[str, str]) -> Instance:
    content = sha256()
    own = sorted({Path(file).parts[1] for file in files} & {name, name.removesuffix("_weights")})
    for file in files:
        content.update(re.sub(rf"{re.escape(own[0])}", "", texts[file]).encode() if own else texts[file].encode())
    for home in own:
        for path in sorted((folder / SOURCES / home).iterdir()):
            if path.suffix == ".dat":
                content.update(path.read_bytes())
    return Instance(name, module, tuple(files), content.hexdigest())


def _synthesise(instance: Instance, folder: Path) -> Cost:
    """In a process of its own: abc9 depends on the numbers of wires, and so on what was mapped before."""
    apart = _has_lut_rom(instance, folder)
    read = f"{SLANG} -D XC7 -D SYNTHESIS -D YOSYS_SRL -I {SOURCES}/finn-rtllib/swg --top {instance.module}"
    with TemporaryDirectory(prefix="instances-") as results:
        netlist, rom_netlist = Path(results, "logic.json"), Path(results, "rom.json")
        script = [
            *(f"read_verilog -lib +/xilinx/{cells}.v" for cells in ("cells_sim", "cells_xtra")),
            f"{read} {'--keep-hierarchy ' if apart else ''}{' '.join(instance.files)}",
            *(_rom_apart(instance.module, rom_netlist) if apart else ()),
            f"scratchpad -set abc9.D {DELAY_PS}",
            f"{SYNTH} -top {instance.module}",
            "delete t:$scopeinfo",
            f"write_json {netlist}",
        ]
        try:
            yosys(script, folder)
        except RuntimeError as error:
            raise RuntimeError(f"{instance.name}: {error}") from None
        module = _modules(netlist)[instance.module]
        if not apart:
            return measure(module)
        logic = {name: cell for name, cell in module["cells"].items() if not cell["type"].startswith(ROM)}
        (rom,) = _modules(rom_netlist).values()
        return measure(module | {"cells": logic}) + measure(rom)


def _modules(path: Path) -> dict[str, dict]:
    """All of a netlist but the cells of the part."""
    modules = json.loads(path.read_text())["modules"]
    return {
        name: module for name, module in modules.items() if not {"blackbox", "whitebox"} & set(module["attributes"])
    }


def _has_lut_rom(instance: Instance, folder: Path) -> bool:
    """Whether it has a ROM in LUTs of more than a few words."""
    home = folder / SOURCES / instance.name
    contents = (path for names in ("weights", "codes") for path in home.glob(f"*_{names}.dat"))
    words = max((path.read_text().count("\n") for path in contents), default=0)
    return words > FEW and any(".BLOCK(1'b0)" in path.read_text() for path in home.glob("*.v"))


def _rom_apart(module: str, netlist: Path) -> list[str]:
    """Synthesise the ROM by itself, and leave it out of the rest.

    Vivado makes a ROM of 64 words a LUT, with the slice's own multiplexers behind them. So does Yosys; but not where it
    takes the delay that the logic beside it leaves for looking at less area, and finds more.
    """
    return [
        f"hierarchy -top {module}",
        f"setattr -mod -set keep_hierarchy 1 {ROM}*",
        "flatten",
        "design -save all",
        f"delete {module}",
        "scratchpad -unset abc9.D",
        SYNTH,
        "delete t:$scopeinfo",
        f"write_json {netlist}",
        "design -load all",
        f"blackbox {ROM}*",
    ]
