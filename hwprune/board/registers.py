"""The shell's registers, as data: the RTL package, `registers.json`, driver and documentation come from here."""

from __future__ import annotations

import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

IDENTIFIER = 0x6877_7072
"""What register `identifier` reads: "hwpr" in ASCII."""
VERSION = 0x0001_0000
"""Of the register map: major in the upper half, minor in the lower."""
ADDRESS_BITS = 12
"""Of the AXI-Lite port."""
MAX_OUTPUTS = 64
PACKAGE = "shell_registers_pkg"
"""SystemVerilog package with the offsets and the positions of the fields."""


@dataclass(frozen=True)
class Bits:
    """A field of a register: `width` bits from bit `low` on."""

    name: str
    low: int
    width: int
    meaning: str


@dataclass(frozen=True)
class Register:
    """A register of 32 bits, or of 64: then the lower word lies at `offset`, the upper one at `offset + 4`.

    Attributes
    ----------
    access
        ``ro``: read only; ``rw``: read and write; ``w1c``: a bit is set by the hardware, and cleared by writing 1.
    count, stride
        How many there are of it, and the bytes from one to the next.
    latched
        The lower word has to be read first: it holds the upper one, so that both are of one moment.
    """

    name: str
    offset: int
    access: Literal["ro", "rw", "w1c"]
    meaning: str
    bits: int = 32
    fields: tuple[Bits, ...] = ()
    count: int = 1
    stride: int = 0
    latched: bool = False


def register_map(outputs: int) -> tuple[Register, ...]:
    """Registers of a shell around an accelerator with so many output streams."""
    return (
        Register("identifier", 0x00, "ro", f'{IDENTIFIER:#x}, "hwpr": that there is a shell at this address'),
        Register("version", 0x04, "ro", "of this register map: major in the upper half, minor in the lower"),
        Register("design", 0x08, "ro", "checksum of the accelerator, as `design` in registers.json"),
        Register(
            "control",
            0x0C,
            "rw",
            "commands; 0 bits do nothing",
            fields=(
                Bits("start", 0, 1, "write 1: put the command in `frames` and the addresses into the queue; reads 0"),
                Bits(
                    "reset",
                    1,
                    1,
                    "write 1: soft reset. Transfers under way on the bus are finished, then everything but "
                    "interrupt_enable is as after power-up; reads 1 until that is done",
                ),
            ),
        ),
        Register(
            "status",
            0x10,
            "ro",
            "what goes on",
            fields=(
                Bits("busy", 0, 1, "frames were commanded and are not finished"),
                Bits("full", 1, 1, "the queue takes no command now"),
                Bits("resetting", 2, 1, "a soft reset is under way"),
            ),
        ),
        Register(
            "interrupt_enable",
            0x14,
            "rw",
            "which causes raise the interrupt line",
            fields=_causes(),
        ),
        Register(
            "interrupt",
            0x18,
            "w1c",
            "causes since they were cleared; the line is high while an enabled one is set",
            fields=_causes(),
        ),
        Register(
            "error",
            0x1C,
            "w1c",
            "errors since they were cleared; a frame with a bus error still counts as finished",
            fields=(
                Bits("read_slave", 0, 1, "a read was answered by SLVERR"),
                Bits("read_decode", 1, 1, "a read was answered by DECERR"),
                Bits("write_slave", 2, 1, "a write was answered by SLVERR"),
                Bits("write_decode", 3, 1, "a write was answered by DECERR"),
                Bits("unaligned", 4, 1, "a command was refused: an address is no multiple of the bytes of a word"),
                Bits("overflow", 5, 1, "a command was refused: the queue was full"),
                Bits("no_frames", 6, 1, "a command was refused: `frames` was 0"),
            ),
        ),
        Register("read_error_address", 0x20, "ro", "of the first word read in error since `error` was cleared", 64),
        Register("write_error_address", 0x28, "ro", "of the first burst written in error, likewise", 64),
        Register("frames_commanded", 0x30, "ro", "frames put into the queue since reset, modulo 2^32"),
        Register("frames_finished", 0x34, "ro", "frames of which every output is in memory, likewise"),
        Register(
            "frame_cycles",
            0x38,
            "ro",
            "clock cycles from the end of the last frame but one, or from its command if nothing ran then, to the end "
            "of the last frame",
            64,
            latched=True,
        ),
        Register("busy_cycles", 0x40, "ro", "clock cycles with `busy` since reset", 64, latched=True),
        Register(
            "frames",
            0x48,
            "rw",
            "frames of the next command, whose inputs and outputs lie one pitch after the other",
            fields=(Bits("count", 0, 16, "1 to 65535"),),
        ),
        Register("input_address", 0x50, "rw", "of the next command's first frame", 64),
        Register("output_address", 0x58, "rw", "likewise, one for each output stream", 64, count=outputs, stride=8),
    )


def _causes() -> tuple[Bits, ...]:
    return (
        Bits("frame", 0, 1, "a frame is finished"),
        Bits("idle", 1, 1, "the last commanded frame is finished"),
        Bits("error", 2, 1, "an error was met"),
    )


def as_json(registers: tuple[Register, ...]) -> list[dict]:
    """The registers as plain data, for `registers.json`."""
    return [asdict(register) for register in registers]


def rtl_package() -> str:
    """The registers as a SystemVerilog package: `NAME` is an offset, `NAME_FIELD` the lowest bit of a field."""
    lines = [
        "// Offsets and fields of the shell's registers, made by `python -m hwprune.board.registers`.",
        # Offsets of read-only words and positions of fields are there for whoever needs them.
        "/* verilator lint_off UNUSEDPARAM */",
        f"package {PACKAGE};",
        f"    localparam logic [31:0] IDENTIFIER_VALUE = 32'h{IDENTIFIER:08x};",
        f"    localparam logic [31:0] VERSION_VALUE = 32'h{VERSION:08x};",
    ]
    for register in register_map(1):
        name = register.name.upper()
        lines.append(f"    localparam logic [{ADDRESS_BITS - 1}:0] {name} = {ADDRESS_BITS}'h{register.offset:03x};")
        lines += [f"    localparam int unsigned {name}_{bits.name.upper()} = {bits.low};" for bits in register.fields]
        if register.fields:
            width = max(bits.low + bits.width for bits in register.fields)
            lines.append(f"    localparam int unsigned {name}_BITS = {width};")
    return "\n".join([*lines, "endpackage", "/* verilator lint_on UNUSEDPARAM */", ""])


def markdown() -> str:
    """The registers as a page of the documentation."""
    lines = [
        "# Registers of the shell",
        "",
        "Made by `python -m hwprune.board.registers`: 32-bit words on an AXI-Lite port; of a register of 64 bits the "
        "lower word lies at the offset, the upper one 4 bytes on. `w1c`: a bit that is set is cleared by writing 1.",
        "What is not listed reads 0, and a write there does nothing.",
        "",
        "| offset | register | access | meaning |",
        "|---|---|---|---|",
    ]
    for register in register_map(MAX_OUTPUTS):
        offset, meaning = f"{register.offset:#05x}", register.meaning
        if register.count > 1:
            offset += f" + {register.stride}k"
        if register.latched:
            meaning += "; read the lower word first"
        meaning += "".join(f"<br>{_place(bits)} `{bits.name}`: {bits.meaning}" for bits in register.fields)
        bits = "" if register.bits == 32 else f" ({register.bits} bits)"
        lines.append(f"| {offset} | `{register.name}`{bits} | {register.access} | {meaning} |")
    return "\n".join(lines) + "\n"


def _place(bits: Bits) -> str:
    return f"bit {bits.low}" if bits.width == 1 else f"bits {bits.low + bits.width - 1}:{bits.low}"


if __name__ == "__main__":
    checkout = Path(sys.argv[1] if len(sys.argv) > 1 else ".")
    (checkout / "docs" / "registers.md").write_text(markdown())
    (checkout / "hls" / "rtl" / f"{PACKAGE}.sv").write_text(rtl_package())
