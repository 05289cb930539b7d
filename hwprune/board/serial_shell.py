"""An accelerator behind a serial line, for boards without a processor: memories for one frame and a UART, as RTL of our
own. `hwprune.board.serial_host` is the other side of the line."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from hwprune.accel.design import Design, Stream
from hwprune.accel.module_header import defined_modules
from hwprune.accel.sources import rtl_dir
from hwprune.accel.stitch import SOURCES
from hwprune.board.shell import design_checksum
from hwprune.errors import UserError
from hwprune.files import atomic_folder, write_text

TOP = "serial_shell"
BAUD = 1_000_000
"""Bits a second on the line: what USB serial chips do, and a whole number of cycles of any clock in whole MHz."""
MAX_BAUD_ERROR = 0.015
"""Of the bit rate, against the host's: sampled in its middle, a bit bears 5 % by both sides together."""
OWN = "serial"
"""Folder in `SOURCES` with the modules of the shell."""
MODULES = (
    *("serial_pkg", "serial_uart_rx", "serial_uart_tx", "serial_receiver", "serial_port"),
    *("serial_frame_in", "serial_frame_out"),
)
SHARED = "row_buffer"
"""Module of the operators that the shell uses too; a design may bring it."""
MAX_BEAT_BYTES = 252
"""Of an input beat: what a request can load at once."""


@dataclass(frozen=True)
class SerialShell:
    """An accelerator behind a serial line, as it lies in a folder.

    Attributes
    ----------
    folder
        To which `files`, and the names of memory files in the sources, are relative.
    files
        All sources, the accelerator's included, packages first and the top last.
    design_id
        What the status names, by which a host knows the accelerator.
    clocks_per_bit
        Cycles of a bit on the line.
    """

    folder: Path
    files: tuple[str, ...]
    design_id: int
    clocks_per_bit: int
    top: str = TOP

    @property
    def sources(self) -> tuple[Path, ...]:
        """The source files, absolute."""
        return tuple(self.folder / file for file in self.files)


def write_serial_shell(design: Design, clock_mhz: float, folder: Path | str, *, baud: int = BAUD) -> SerialShell:
    """Write an accelerator's sources and its serial shell's.

    Parameters
    ----------
    design
        An accelerator with one input.
    clock_mhz
        Of the accelerator and the shell.
    folder
        Gets `rtl/`, replaced whole.
    baud
        Bits a second on the line.

    Raises
    ------
    UserError
        A design that has several inputs, or beats too wide for a request; a baud rate that the clock cannot make.
    """
    if len(design.inputs) != 1 or not 1 <= len(design.outputs) <= 255:
        raise UserError(
            f"{design.folder}: {len(design.inputs)} inputs and {len(design.outputs)} outputs; the serial shell feeds "
            "one input and takes 1 to 255 outputs"
        )
    if (beat := design.inputs[0].bits // 8) > MAX_BEAT_BYTES:
        raise UserError(
            f"{design.folder}: an input beat has {beat} bytes, and the serial shell loads {MAX_BEAT_BYTES} at most; "
            "lower compile.target_fps, so that a beat holds less"
        )
    folder = Path(folder).expanduser().resolve()
    clocks_per_bit = _clocks_per_bit(clock_mhz, baud)
    design_id = design_checksum(design)
    own = [*MODULES, *_lacking(design)]
    with atomic_folder(folder / SOURCES) as new:
        shutil.copytree(design.folder / SOURCES, new, dirs_exist_ok=True)
        (new / OWN).mkdir()
        for name in own:
            shutil.copyfile(rtl_dir() / f"{name}.sv", new / OWN / f"{name}.sv")
        write_text(new / f"{TOP}.sv", _top_text(design, clocks_per_bit, design_id))
    files = [*design.files, *(f"{SOURCES}/{OWN}/{name}.sv" for name in own)]
    files.sort(key=lambda file: not Path(file).stem.endswith("_pkg"))
    return SerialShell(folder, (*files, f"{SOURCES}/{TOP}.sv"), design_id, clocks_per_bit)


def _clocks_per_bit(clock_mhz: float, baud: int) -> int:
    exact = clock_mhz * 1e6 / baud
    clocks = round(exact)
    if clocks < 4 or abs(clocks / exact - 1) > MAX_BAUD_ERROR:
        raise UserError(
            f"serial line: {baud} bits a second are {exact:.2f} cycles of {clock_mhz:g} MHz a bit, which must be "
            f"nearly whole and at least 4; set a clock in whole MHz (compile.clock_mhz: {max(4, round(clock_mhz))})"
        )
    return clocks


def _lacking(design: Design) -> list[str]:
    """Shared modules that the design does not bring; UserError if it brings another version, or a module of ours."""
    lacking = [SHARED]
    for source in design.sources:
        for module in defined_modules(source.read_text(encoding="utf-8")):
            if module in MODULES or module == TOP:
                raise UserError(f"{source}: module {module} has the name of a module of the serial shell; rename it")
            if module == SHARED:
                if source.read_bytes() != (rtl_dir() / f"{module}.sv").read_bytes():
                    raise UserError(f"{source}: is not this version's {module}; compile the accelerator anew")
                lacking.remove(module)
    return lacking


def _top_text(design: Design, clocks_per_bit: int, design_id: int) -> str:
    source, sinks = design.inputs[0], design.outputs
    first = f"{source.name}_taken"
    lines = [
        "// Made by hwprune: an accelerator behind a serial line.",
        f"module {TOP} (",
        "    input  wire ap_clk,",
        "    input  wire ap_rst_n,",
        "    input  wire rx,",
        "    output wire tx",
        ");",
        f"    localparam int unsigned OUTPUTS = {len(sinks)};",
        "",
        "    wire accelerator_rst_n, start, write;",
        "    wire [15:0] frames, read_byte;",
        "    wire [31:0] write_beat, read_beat;",
        f"    wire [{source.bits - 1}:0] write_data;",
        "    wire [OUTPUTS-1:0] first_done, all_done, offered;",
        "    wire [OUTPUTS-1:0][7:0] read_data;",
    ]
    for stream in (source, *sinks):
        lines.append(f"    wire [{stream.bits - 1}:0] {stream.name}_tdata;")
        lines.append(f"    wire {stream.name}_tvalid, {stream.name}_tready;")
    lines.append(f"    wire {first} = {source.name}_tvalid && {source.name}_tready;")
    port = {
        **{name: name for name in ("ap_clk", "ap_rst_n", "rx", "tx", "accelerator_rst_n", "start", "frames")},
        "in_taken": first,
        **{name: name for name in ("first_done", "all_done", "offered", "write", "write_beat", "write_data")},
        **{name: name for name in ("read_beat", "read_byte", "read_data")},
    }
    parameters = {
        "CLOCKS_PER_BIT": clocks_per_bit,
        "DESIGN": f"32'h{design_id:08x}",
        "IN_BYTES": source.bits // 8,
        "IN_BEATS": source.beats,
        "OUTPUTS": "OUTPUTS",
        "OUT_BYTES": _highest_first(f"16'd{stream.bits // 8}" for stream in sinks),
        "OUT_BEATS": _highest_first(f"32'd{stream.beats}" for stream in sinks),
    }
    lines += _instance("serial_port", "port", parameters, port)
    stream = {f"out_{wire}": f"{source.name}_{wire}" for wire in ("tdata", "tvalid", "tready")}
    feed = {"ap_clk": "ap_clk", "ap_rst_n": "accelerator_rst_n", "write": "write"}
    feed |= {"write_beat": _low("write_beat", source), "write_data": "write_data", "start": "start", "frames": "frames"}
    lines += _instance("serial_frame_in", "feed", _size(source), feed | stream)
    for number, sink in enumerate(sinks):
        connected = {"ap_clk": "ap_clk", "ap_rst_n": "accelerator_rst_n", "start": "start", "frames": "frames"}
        connected |= {"first_done": f"first_done[{number}]", "all_done": f"all_done[{number}]"}
        bits = max(1, (sink.bits // 8 - 1).bit_length())
        connected |= {"read_beat": _low("read_beat", sink), "read_byte": f"read_byte[{bits - 1}:0]"}
        connected |= {"read_data": f"read_data[{number}]"}
        connected |= {f"in_{wire}": f"{sink.name}_{wire}" for wire in ("tdata", "tvalid", "tready")}
        lines += _instance("serial_frame_out", f"collect_{number}", _size(sink), connected)
        lines.append(f"    assign offered[{number}] = {sink.name}_tvalid;")
    connected = {"ap_clk": "ap_clk", "ap_rst_n": "accelerator_rst_n"}
    for stream in (source, *sinks):
        connected |= {
            f"{stream.name}_{wire.upper()}": f"{stream.name}_{wire}" for wire in ("tdata", "tvalid", "tready")
        }
    lines += _instance(design.top, "accelerator_i", {}, connected)
    return "\n".join([*lines, "endmodule", ""])


def _size(stream: Stream) -> dict[str, int]:
    return {"BYTES": stream.bits // 8, "BEATS": stream.beats}


def _low(wire: str, stream: Stream) -> str:
    """The bits of a beat's number that a memory of one frame takes."""
    return f"{wire}[{max(1, (stream.beats - 1).bit_length()) - 1}:0]"


def _highest_first(parts: Iterable[str]) -> str:
    return "{" + ", ".join(reversed(list(parts))) + "}"


def _instance(module: str, name: str, parameters: dict, connected: dict[str, str]) -> list[str]:
    values = " #(\n" + ",\n".join(f"        .{key}({value})" for key, value in parameters.items()) + "\n    )"
    ports = ",\n".join(f"        .{key}({value})" for key, value in connected.items())
    return ["", f"    {module}{values if parameters else ''} {name} (", ports, "    );"]
