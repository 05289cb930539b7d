"""The top of an open flow for Zynq-7000: the processor, as its primitive PS7, beside an accelerator in its shell.

Vivado's block design does this with its own IP. Here it is a module of plain Verilog. The processor's ports speak AXI3:
the memory port is an AXI4 master whose bursts are short enough, the control port goes through `axi3_lite`.
"""

from __future__ import annotations

import re

from hwprune.board.board import Board
from hwprune.errors import UserError

TOP, BRIDGE = "zynq7_top", "axi3_lite"
CONTROL_BITS = 12
"""Of the shell's register addresses, and of the control port's identifiers."""
MAX_BURST = 16
"""Beats of a burst on AXI3."""
_CONTROL, _MEMORY = re.compile(r"M_AXI_GP([01])"), re.compile(r"S_AXI_HP([0-3])")
_LITE = (
    *("awaddr", "awvalid", "awready", "wdata", "wstrb", "wvalid", "wready", "bresp", "bvalid", "bready"),
    *("araddr", "arvalid", "arready", "rdata", "rresp", "rvalid", "rready"),
)
_BITS = {"addr": CONTROL_BITS, "data": 32, "strb": 4, "resp": 2}
# Signals of the bridge's AXI3 side by channel, as PS7 spells them behind the port's name; PS7 drives `FROM`.
_FROM = ("awid", "awaddr", "awlen", "awsize", "awburst", "awvalid", "wdata", "wstrb", "wvalid", "bready")
_FROM += ("arid", "araddr", "arlen", "arsize", "arburst", "arvalid", "rready")
_TO = ("awready", "wready", "bid", "bresp", "bvalid", "arready", "rid", "rdata", "rresp", "rlast", "rvalid")
_WIDTHS = {"id": 12, "addr": 32, "len": 4, "size": 2, "burst": 2, "data": 32, "strb": 4, "resp": 2}


def zynq7_top(board: Board) -> str:
    """The text of the top. It has no ports: the processor's own pins are not the fabric's.

    Raises
    ------
    UserError
        A board that is no Zynq-7000, or names ports that PS7 does not have.
    """
    ports = board.ports
    control = _CONTROL.fullmatch(ports.control) if ports else None
    memory = _MEMORY.fullmatch(ports.data) if ports else None
    if board.family != "zynq-7000" or not control or not memory:
        named = f"{ports.control} and {ports.data}" if ports else "no ports"
        raise UserError(
            f"board {board.name}: the open flow for Zynq-7000 takes M_AXI_GP0 or 1 and S_AXI_HP0 to 3, and the board "
            f"of family {board.family} names {named}; take backend vivado"
        )
    if ports.data_bits != 64 or ports.address_bits != 32:
        raise UserError(
            f"board {board.name}: {ports.data} has 64 bits of data and 32 of address on this processor, not "
            f"{ports.data_bits} and {ports.address_bits}; mend the board's file"
        )
    gp, hp = f"MAXIGP{control[1]}", f"SAXIHP{memory[1]}"
    interrupt = "{19'd0, interrupt}"
    processor = {
        "FCLKCLK": "fclk",
        "FCLKRESETN": "fclk_resetn",
        "FCLKCLKTRIGN": "4'd0",
        "IRQF2P": interrupt,
        **{f"{gp}{name.upper()}": f"gp_{name}" for name in (*_FROM, *_TO)},
        f"{gp}ACLK": "aclk",
        **{f"{hp}{ps7}": wire for ps7, wire in _memory().items()},
        f"{hp}ACLK": "aclk",
    }
    bridge = {"aclk": "aclk", "aresetn": "aresetn"}
    for name in (*_FROM, *_TO):
        bridge[f"s_{name}"] = f"gp_{name}[{CONTROL_BITS - 1}:0]" if name.endswith("addr") else f"gp_{name}"
    bridge |= {f"m_{name}": f"lite_{name}" for name in _LITE}
    shell = {"aclk": "aclk", "aresetn": "aresetn", "interrupt": "interrupt"}
    shell |= {f"s_axi_control_{name}": f"lite_{name}" for name in _LITE}
    shell |= {f"m_axi_memory_{name}": f"hp_{name}" for name in _HP}
    lines = [
        "// Made by hwprune: the processor of a Zynq-7000 beside an accelerator in its shell.",
        f"module {TOP};",
        "    wire [3:0] fclk, fclk_resetn;",
        "    wire aclk, interrupt;",
        *(f"    wire {_range(name, _WIDTHS)}gp_{name};" for name in (*_FROM, *_TO)),
        *(f"    wire {_range(name, _BITS)}lite_{name};" for name in _LITE),
        *(f"    wire {f'[{bits - 1}:0] ' if bits > 1 else ''}hp_{name};" for name, bits in _HP.items()),
        "",
        "    BUFG clock (.I(fclk[0]), .O(aclk));",
        "",
        "    // Asynchronous to the clock's edges: two registers, and more for a reset that lasts.",
        "    reg [7:0] steady = 8'd0;",
        "    always @(posedge aclk) steady <= {steady[6:0], fclk_resetn[0]};",
        "    wire aresetn = steady[7];",
        *_instance("(* keep *) PS7", "processor", processor),
        *_instance(BRIDGE, "bridge", bridge),
        *_instance("hwprune_shell", "shell", shell),
        "endmodule",
        "",
    ]
    return "\n".join(lines)


_HP = {
    **{f"a{way}{name}": bits for way in "wr" for name, bits in (("addr", 32), ("len", 8), ("size", 3), ("burst", 2))},
    **{f"a{way}{name}": bits for way in "wr" for name, bits in (("lock", 1), ("cache", 4), ("prot", 3), ("qos", 4))},
    **{f"a{way}{name}": 1 for way in "wr" for name in ("valid", "ready")},
    **{"wdata": 64, "wstrb": 8, "wlast": 1, "wvalid": 1, "wready": 1},
    **{"bresp": 2, "bvalid": 1, "bready": 1},
    **{"rdata": 64, "rresp": 2, "rlast": 1, "rvalid": 1, "rready": 1},
}
"""Signals of the shell's memory port and their widths."""


def _memory() -> dict[str, str]:
    """Ports of PS7's memory port: lengths and sizes of AXI3 have fewer bits, and all transactions one identifier."""
    wires = {name.upper(): f"hp_{name}" for name in _HP}
    for way in ("AW", "AR"):
        wires |= {f"{way}LEN": f"hp_{way.lower()}len[3:0]", f"{way}SIZE": f"hp_{way.lower()}size[1:0]"}
        wires |= {f"{way}LOCK": f"{{1'b0, hp_{way.lower()}lock}}", f"{way}ID": "6'd0"}
    return wires | {"WID": "6'd0", "RDISSUECAP1EN": "1'b0", "WRISSUECAP1EN": "1'b0"}


def _range(name: str, widths: dict[str, int]) -> str:
    bits = next((bits for end, bits in widths.items() if name.endswith(end) and name != "rvalid"), 1)
    bits = 1 if name.endswith("valid") else bits
    return f"[{bits - 1}:0] " if bits > 1 else ""


def _instance(module: str, name: str, connected: dict[str, str]) -> list[str]:
    ports = ",\n".join(f"        .{port}({wire})" for port, wire in connected.items())
    return ["", f"    {module} {name} (", ports, "    );"]
