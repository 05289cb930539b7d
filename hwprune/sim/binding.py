"""The streams of a Verilated model: found in the headers that Verilator wrote, bound to the harness by a C++ header."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hwprune.errors import UserError
from hwprune.sim.simulator import Port

PREFIX = "Vdesign"
"""Name of the C++ class that Verilator makes, whatever the top is called."""
STREAM_WIRES = ("tvalid", "tready", "tdata")
KINDS = ("inputs", "outputs", "taps", "monitors")


@dataclass(frozen=True)
class Wire:
    """A port or public wire of the top: its member in the model's root class, its width, IN / OUT or empty."""

    member: str
    bits: int
    direction: str


def read_wires(top: str, objects: Path) -> dict[str, Wire]:
    """Ports and public wires of the top module, by their names in the SystemVerilog."""
    wires = {}
    # CData/*0:0*/ top__DOT__name;
    inner = re.compile(rf"/\*(\d+):(\d+)\*/ ({re.escape(top)}__DOT__(\w+));")
    for high, low, member, name in inner.findall((objects / f"{PREFIX}___024root.h").read_text()):
        wires[name] = Wire(member, int(high) - int(low) + 1, "")
    # VL_IN8(&name,7,0);
    port = re.compile(r"VL_(IN|OUT|INOUT)(?:8|16|64|W)?\(&(\w+),(\d+),(\d+)")
    for direction, name, high, low in port.findall((objects / f"{PREFIX}.h").read_text()):
        wires[name] = Wire(name, int(high) - int(low) + 1, direction)
    return wires


def find_streams(
    top: str, wires: dict[str, Wire], taps: Sequence[str], monitors: Sequence[str]
) -> dict[str, list[Port]]:
    """AXI-Stream ports of the top by direction, and the taps and monitors that were asked for.

    Raises
    ------
    UserError
        No clock or reset, half a stream, an input that belongs to no stream, or a tap or monitor that is not there.
    """
    for name in ("ap_clk", "ap_rst_n"):
        if name not in wires or wires[name].direction != "IN":
            raise UserError(f"{top}: no input {name}")
    found: dict[str, list[Port]] = {kind: [] for kind in KINDS}
    used = {"ap_clk", "ap_rst_n"}
    for name in sorted(wires, key=_natural):
        direction = wires[name].direction
        if direction and name.lower().endswith("_tvalid"):
            names = _stream_names(name[: -len("_tvalid")], name)
            lacking = [wire for wire in names if wire not in wires]
            if lacking:
                raise UserError(f"{top}: {name} without {', '.join(lacking)}")
            used.update(names)
            kind = "inputs" if direction == "IN" else "outputs"
            found[kind].append(Port(name[: -len("_tvalid")], wires[names[2]].bits))
    stray = [name for name, wire in wires.items() if wire.direction in ("IN", "INOUT") and name not in used]
    if stray:
        raise UserError(f"{top}: inputs {', '.join(sorted(stray))} belong to no AXI-Stream; tie them off in a wrapper")
    for tap in taps:
        lacking = [wire for wire in _stream_names(tap) if wire not in wires]
        if lacking:
            raise UserError(f"{top}: tap {tap}: no wire {', '.join(lacking)} marked /* verilator public_flat_rd */")
        found["taps"].append(Port(tap, wires[f"{tap}_tdata"].bits))
    for monitor in monitors:
        if monitor not in wires or wires[monitor].direction == "IN" or wires[monitor].bits > 64:
            raise UserError(f"{top}: monitor {monitor} is no output or public wire of at most 64 bits")
        found["monitors"].append(Port(monitor, wires[monitor].bits))
    return found


def binding_header(wires: dict[str, Wire], found: dict[str, list[Port]]) -> str:
    """The C++ header `design.h` that hands the addresses of ports and public wires to the harness."""
    lines = [
        f'#include "{PREFIX}.h"',
        f'#include "{PREFIX}___024root.h"',
        f"using Model = {PREFIX};",
        "static void describe(Model& model, Design& design) {",
        "    auto& root = *model.rootp;",
        "    design.clock = &root.ap_clk;",
        "    design.reset_n = &root.ap_rst_n;",
    ]
    for kind in ("inputs", "outputs", "taps"):
        for port in found[kind]:
            names = next(n for n in (_stream_names(port.name, "TVALID"), _stream_names(port.name)) if n[0] in wires)
            addresses = ", ".join(f"&root.{wires[name].member}" for name in names)
            lines.append(f'    design.{kind}.push_back(Design::stream("{port.name}", {addresses}, {port.bytes}));')
    for port in found["monitors"]:
        address = f"&root.{wires[port.name].member}"
        lines.append(f'    design.monitors.push_back({{"{port.name}", {address}, {port.bytes}}});')
    return "\n".join([*lines, "}", ""])


def _stream_names(stream: str, like: str = "") -> list[str]:
    """Valid, ready and data wire of a stream; upper case if the wire `like` is."""
    return [f"{stream}_{wire.upper() if like.endswith('TVALID') else wire}" for wire in STREAM_WIRES]


def _natural(name: str) -> list[tuple[int, str]]:
    """Sort key by which in2 comes before in10."""
    return [(int(part), "") if part.isdigit() else (0, part) for part in re.split(r"(\d+)", name)]
