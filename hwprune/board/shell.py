"""The shell around an accelerator: registers, DMA and interrupt, as RTL of our own; no vendor's block is needed.

The top is plain Verilog, for Vivado refers to no SystemVerilog module from a block design. It holds an accelerator and
`shell_body`, which does everything else.
"""

from __future__ import annotations

import hashlib
import shutil
from dataclasses import dataclass
from pathlib import Path

from hwprune.accel.design import Design, Stream
from hwprune.accel.module_header import defined_modules
from hwprune.accel.sources import rtl_dir
from hwprune.board import registers as registers_module
from hwprune.board.board import Board
from hwprune.board.registers import Register, register_map
from hwprune.errors import UserError
from hwprune.files import atomic_folder, write_json, write_text

TOP = "hwprune_shell"
REGISTERS = "registers.json"
SOURCES = "rtl"
OWN = "shell"
"""Folder in `SOURCES` with the shell's modules."""
COMMANDS = 4
"""Commands that can wait."""
MODULES = (
    *(registers_module.PACKAGE, "shell_pkg"),
    *("shell_fifo", "shell_unpack", "shell_pack", "shell_bursts", "shell_read", "shell_collect", "shell_write"),
    *("shell_frames", "shell_reset", "shell_lite", "shell_control", "shell_body"),
)
SHARED = ("skid_buffer", "row_buffer")
"""Modules of the operators that the shell uses too; a design may bring them."""


@dataclass(frozen=True)
class Shell:
    """An accelerator in its shell, as it lies in a folder.

    Attributes
    ----------
    folder
        To which `files`, and the names of memory files in the sources, are relative.
    files
        All sources, the accelerator's included, packages first and the top last.
    registers
        The register map.
    design_id
        What register `design` reads.
    """

    folder: Path
    files: tuple[str, ...]
    registers: tuple[Register, ...]
    design_id: int
    top: str = TOP

    @property
    def sources(self) -> tuple[Path, ...]:
        """The source files, absolute."""
        return tuple(self.folder / file for file in self.files)


def write_shell(design: Design, board: Board, folder: Path | str, *, max_burst: int = 16) -> Shell:
    """Write an accelerator's sources, its shell's, and `registers.json`.

    Parameters
    ----------
    design
        An accelerator with one input; it may lie in `folder` itself.
    board
        Gives the widths of the memory port.
    folder
        Gets `rtl/`, replaced whole, and `registers.json`.
    max_burst
        Words of the longest burst, a power of two: 16 is what an AXI3 port takes, as the Zynq-7000 has them. The shell
        buffers 4 bursts of the input and 2 of each output.

    Raises
    ------
    UserError
        A board without a processor, a design with several inputs or without outputs, or one that another version of
        hwprune compiled.
    """
    if board.ports is None:
        raise UserError(
            f"board {board.name}: has no processor, and so no memory port for the shell; choose another board"
        )
    if len(design.inputs) != 1 or not 1 <= len(design.outputs) <= registers_module.MAX_OUTPUTS:
        raise UserError(
            f"{design.folder}: {len(design.inputs)} inputs and {len(design.outputs)} outputs; the shell feeds one "
            f"input and takes 1 to {registers_module.MAX_OUTPUTS} outputs"
        )
    word_bytes = board.ports.data_bits // 8
    if max_burst not in (2, 4, 8, 16, 32, 64, 128, 256) or max_burst * word_bytes > 4096:
        raise UserError(
            f"max_burst: {max_burst} is not a power of two from 2 to 256, or its words of {word_bytes} bytes are more "
            "than 4096 bytes"
        )
    folder = Path(folder).expanduser().resolve()
    design_id = design_checksum(design)
    registers = register_map(len(design.outputs))
    folder.mkdir(parents=True, exist_ok=True)
    with atomic_folder(folder / SOURCES) as new:
        shutil.copytree(design.folder / SOURCES, new, dirs_exist_ok=True, ignore=_own(design.folder / SOURCES))
        (new / OWN).mkdir()
        for name in (*MODULES, *_lacking(design)):
            shutil.copyfile(rtl_dir() / f"{name}.sv", new / OWN / f"{name}.sv")
        write_text(new / f"{TOP}.v", _top_text(design, board, max_burst, design_id))
    write_json(folder / REGISTERS, _description(design, board, registers, design_id))
    own = [f"{SOURCES}/{OWN}/{name}.sv" for name in (*MODULES, *_lacking(design))]
    files = sorted((*design.files, *own), key=lambda file: not Path(file).stem.endswith("_pkg"))
    return Shell(folder, (*files, f"{SOURCES}/{TOP}.v"), registers, design_id)


def _own(sources: Path):
    """What `shutil.copytree` leaves out: a shell that was written into the design's own folder before."""
    return lambda place, names: [OWN, f"{TOP}.v"] if Path(place) == sources else []


def _lacking(design: Design) -> list[str]:
    """Shared modules that the design does not bring; UserError if it brings another version."""
    lacking = list(SHARED)
    for source in design.sources:
        for module in defined_modules(source.read_text(encoding="utf-8")):
            if module in MODULES or module == TOP:
                raise UserError(f"{source}: module {module} has the name of a module of the shell; rename it")
            if module in SHARED:
                if source.read_bytes() != (rtl_dir() / f"{module}.sv").read_bytes():
                    raise UserError(f"{source}: is not this version's {module}; compile the accelerator anew")
                lacking.remove(module)
    return lacking


def design_checksum(design: Design) -> int:
    """32 bits that tell one accelerator from another: of its description, sources and memory files."""
    total = hashlib.sha256(design.model_dump_json().encode())
    root = design.folder / SOURCES
    if not root.is_dir():
        raise UserError(f"{root}: the accelerator's sources are not there; compile the accelerator anew")
    for path in sorted(path for path in root.rglob("*") if path.is_file()):
        name = path.relative_to(root)
        if name.parts[0] not in (OWN, f"{TOP}.v"):
            content = path.read_bytes()
            total.update(f"{name.as_posix()} {len(content)}\n".encode() + content)
    return int.from_bytes(total.digest()[:4])


def _description(design: Design, board: Board, registers: tuple[Register, ...], design_id: int) -> dict:
    word_bytes = board.ports.data_bits // 8
    return {
        "version": registers_module.VERSION,
        "identifier": registers_module.IDENTIFIER,
        "design": design_id,
        "board": board.name,
        "base": board.memory.registers,
        "bytes": board.memory.register_bytes,
        "word_bytes": word_bytes,
        "commands": COMMANDS,
        "input": _stream(design.inputs[0], word_bytes),
        "outputs": [_stream(stream, word_bytes) for stream in design.outputs],
        "registers": registers_module.as_json(registers),
    }


def _stream(stream: Stream, word_bytes: int) -> dict:
    """A stream in memory: `pitch` bytes from one frame to the next, `beat_bytes` from one beat to the next.

    The bits that fill up a beat to whole bytes are undefined.
    """
    beat_bytes = stream.bits // 8
    frame = stream.beats * beat_bytes
    return {
        "name": stream.name,
        "datatype": stream.datatype,
        "normal_shape": list(stream.normal_shape),
        "folded_shape": list(stream.folded_shape),
        "beat_bytes": beat_bytes,
        "beats": stream.beats,
        "bytes": frame,
        "pitch": -(-frame // word_bytes) * word_bytes,
    }


# Ports of the two AXI interfaces by channel: direction as the master sees it, bits (a number or a parameter).
_LITE = (
    ("awaddr", "out", 12),
    ("awvalid", "out", 1),
    ("awready", "in", 1),
    ("wdata", "out", 32),
    ("wstrb", "out", 4),
    ("wvalid", "out", 1),
    ("wready", "in", 1),
    ("bresp", "in", 2),
    ("bvalid", "in", 1),
    ("bready", "out", 1),
    ("araddr", "out", 12),
    ("arvalid", "out", 1),
    ("arready", "in", 1),
    ("rdata", "in", 32),
    ("rresp", "in", 2),
    ("rvalid", "in", 1),
    ("rready", "out", 1),
)


def _full(address_bits: int, data_bits: int) -> tuple[tuple[str, str, int], ...]:
    constants = (("size", 3), ("burst", 2), ("lock", 1), ("cache", 4), ("prot", 3), ("qos", 4))

    def address(channel: str) -> tuple[tuple[str, str, int], ...]:
        return (
            (f"{channel}addr", "out", address_bits),
            (f"{channel}len", "out", 8),
            *((f"{channel}{name}", "out", bits) for name, bits in constants),
            (f"{channel}valid", "out", 1),
            (f"{channel}ready", "in", 1),
        )

    return (
        *address("aw"),
        ("wdata", "out", data_bits),
        ("wstrb", "out", data_bits // 8),
        ("wlast", "out", 1),
        ("wvalid", "out", 1),
        ("wready", "in", 1),
        ("bresp", "in", 2),
        ("bvalid", "in", 1),
        ("bready", "out", 1),
        *address("ar"),
        ("rdata", "in", data_bits),
        ("rresp", "in", 2),
        ("rlast", "in", 1),
        ("rvalid", "in", 1),
        ("rready", "out", 1),
    )


def _constants(data_bits: int) -> dict[str, str]:
    """Signals of an address channel that never change: whole words, INCR, normal memory, secure, data."""
    size = (data_bits // 8).bit_length() - 1
    return {"size": f"3'd{size}", "burst": "2'b01", "lock": "1'b0", "cache": "4'b0011", "prot": "3'b000", "qos": "4'd0"}


def _top_text(design: Design, board: Board, max_burst: int, design_id: int) -> str:
    address_bits, data_bits = board.ports.address_bits, board.ports.data_bits
    full = _full(address_bits, data_bits)
    source, sinks = design.inputs[0], design.outputs
    ports = [
        *_signal("clock", "aclk", "CLK", "ASSOCIATED_BUSIF s_axi_control:m_axi_memory, ASSOCIATED_RESET aresetn"),
        *_signal("reset", "aresetn", "RST", "POLARITY ACTIVE_LOW"),
        *_interface("s_axi_control", _LITE, "in", "PROTOCOL AXI4LITE, DATA_WIDTH 32, ADDR_WIDTH 12"),
        *_interface(
            "m_axi_memory",
            full,
            "out",
            f"PROTOCOL AXI4, DATA_WIDTH {data_bits}, ADDR_WIDTH {address_bits}, ID_WIDTH 0, SUPPORTS_NARROW_BURST 0, "
            f"MAX_BURST_LENGTH {max_burst}, NUM_READ_OUTSTANDING 16, NUM_WRITE_OUTSTANDING 8",
        ),
        *_signal("interrupt", "interrupt", "INTERRUPT", "SENSITIVITY LEVEL_HIGH", "output"),
    ]
    ports[-1] = ports[-1].removesuffix(",")
    constants = {f"{way}{name}": value for way in ("aw", "ar") for name, value in _constants(data_bits).items()}
    parameters = {
        "DESIGN_VALUE": f"32'h{design_id:08x}",
        "WORD_BYTES": data_bits // 8,
        "ADDRESS_BITS": address_bits,
        "MAX_BURST": max_burst,
        "COMMANDS": COMMANDS,
        "IN_BYTES": source.bits // 8,
        "IN_BEATS": source.beats,
        "OUTPUTS": len(sinks),
        "OUT_BYTES": _side_by_side(f"32'd{stream.bits // 8}" for stream in sinks),
        "OUT_BEATS": _side_by_side(f"32'd{stream.beats}" for stream in sinks),
        "OUT_BITS": sum(stream.bits for stream in sinks),
    }
    body = {"aclk": "aclk", "aresetn": "aresetn"}
    body |= {f"control_{name}": f"s_axi_control_{name}" for name, _, _ in _LITE}
    body |= {f"memory_{name}": f"m_axi_memory_{name}" for name, _, _ in full if name not in constants}
    body |= {"irq": "interrupt", "ap_rst_n": "ap_rst_n"}
    body |= {f"in_{wire}": f"{source.name}_{wire}" for wire in ("tdata", "tvalid", "tready")}
    body |= {
        f"out_{wire}": _side_by_side(f"{stream.name}_{wire}" for stream in sinks)
        for wire in ("tdata", "tvalid", "tready")
    }
    accelerator = {"ap_clk": "aclk", "ap_rst_n": "ap_rst_n"}
    wires = ["    wire ap_rst_n;"]
    for stream in (source, *sinks):
        wires.append(f"    wire [{stream.bits - 1}:0] {stream.name}_tdata;")
        wires.append(f"    wire {stream.name}_tvalid, {stream.name}_tready;")
        accelerator |= {
            f"{stream.name}_{wire.upper()}": f"{stream.name}_{wire}" for wire in ("tdata", "tvalid", "tready")
        }
    return "\n".join(
        [
            "// Made by hwprune: an accelerator in its shell.",
            "/* verilator lint_off SYMRSVDWORD */",  # `interrupt` is a common word of C++
            f"module {TOP} (",
            *ports,
            ");",
            "",
            *wires,
            "",
            *(f"    assign m_axi_memory_{name} = {value};" for name, value in constants.items()),
            "",
            "    shell_body #(",
            ",\n".join(f"        .{name}({value})" for name, value in parameters.items()),
            "    ) body (",
            ",\n".join(f"        .{port}({wire})" for port, wire in body.items()),
            "    );",
            "",
            f"    {design.top} accelerator (",
            ",\n".join(f"        .{port}({wire})" for port, wire in accelerator.items()),
            "    );",
            "",
            "endmodule",
            "/* verilator lint_on SYMRSVDWORD */",
            "",
        ]
    )


def _side_by_side(parts) -> str:
    """A concatenation with the first part lowest."""
    return "{" + ", ".join(reversed(list(parts))) + "}"


def _signal(kind: str, port: str, logical: str, properties: str, direction: str = "input") -> list[str]:
    return [
        f'    (* X_INTERFACE_INFO = "xilinx.com:signal:{kind}:1.0 {port} {logical}" *)',
        f'    (* X_INTERFACE_PARAMETER = "XIL_INTERFACENAME {port}, {properties}" *)',
        f"    {direction} wire {port},",
    ]


def _interface(name: str, signals: tuple[tuple[str, str, int], ...], outward: str, properties: str) -> list[str]:
    """Ports of an AXI interface. `outward` is the master's direction that is an output here."""
    lines = [f'    (* X_INTERFACE_PARAMETER = "XIL_INTERFACENAME {name}, {properties}" *)']
    for signal, direction, bits in signals:
        way = "output" if direction == outward else "input"
        width = f" [{bits - 1}:0]" if bits > 1 else ""
        lines.append(f'    (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 {name} {signal.upper()}" *)')
        lines.append(f"    {way} wire{width} {name}_{signal},")
    return lines
