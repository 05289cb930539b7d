"""A board as data: what is on it and where, from `boards/NAME.toml`; a new board is a new file."""

import difflib
import tomllib
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt, PositiveInt, ValidationError, model_validator

from hwprune.errors import UserError

FAMILIES = Literal["zynq-7000", "zynq-ultrascale+", "ecp5"]
KIBI = 1 << 10


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Resources(_Section):
    """What the part has. Zero is none."""

    luts: PositiveInt
    ffs: PositiveInt
    dsps: NonNegativeInt
    """DSP slices; on ECP5 multipliers of 18x18."""
    brams: NonNegativeInt
    """Blocks of 18 Kb."""
    urams: NonNegativeInt
    """UltraRAMs of 288 Kb."""


class Clock(_Section):
    """Clocks, in MHz."""

    default_mhz: Annotated[float, Field(gt=0)]
    """Of the accelerator, where the recipe says nothing."""
    max_mhz: Annotated[float, Field(gt=0)]
    """What the processor's clock generator, or a PLL, is asked for at most."""
    reference_mhz: Annotated[float, Field(gt=0)]
    """Of the oscillator."""


class Memory(_Section):
    """The memory map as the accelerator and the processor see it; addresses and sizes in bytes."""

    base: NonNegativeInt
    bytes: PositiveInt
    registers: PositiveInt
    """Address of the accelerator's registers."""
    register_bytes: Annotated[int, Field(ge=4 * KIBI)]

    @model_validator(mode="after")
    def _aligned(self):
        if self.register_bytes & (self.register_bytes - 1) or self.registers % self.register_bytes:
            raise ValueError(
                f"registers {self.registers:#x} must be a multiple of register_bytes {self.register_bytes:#x}, which "
                "must be a power of two"
            )
        return self


class Ports(_Section):
    """Ports of the processor system on which the accelerator hangs, as Vivado names them."""

    control: str
    """AXI master for registers, 32 bits."""
    data: str
    """AXI slave for memory."""
    data_bits: Literal[32, 64, 128]
    address_bits: Literal[32, 40]
    interrupt: str


class Board(_Section):
    """A board.

    Attributes
    ----------
    name
        Of its file.
    part
        As its vendor's tools name it.
    memory, ports, vivado_board
        Only where there is a processor; ``vivado_board`` is the board part whose presets Vivado applies if installed.
    pins
        Location and voltage standard by use, where no processor gives clock and data.
    """

    name: str
    title: str
    part: str
    family: FAMILIES
    vivado_board: str | None = None
    resources: Resources
    clock: Clock
    memory: Memory | None = None
    ports: Ports | None = None
    pins: dict[str, tuple[str, str]] = {}

    @property
    def has_processor(self) -> bool:
        """Whether the accelerator is driven through registers and memory."""
        return self.family != "ecp5"

    @model_validator(mode="after")
    def _is_whole(self):
        if self.has_processor and (self.memory is None or self.ports is None):
            raise ValueError(f"family {self.family} needs the sections memory and ports")
        needed = {"clock", "serial_in", "serial_out"}
        if not self.has_processor and (missing := sorted(needed - set(self.pins))):
            raise ValueError(f"family {self.family} needs pins for {', '.join(missing)}")
        if self.clock.default_mhz > self.clock.max_mhz:
            raise ValueError(f"clock.default_mhz {self.clock.default_mhz:g} is over max_mhz {self.clock.max_mhz:g}")
        return self


def boards() -> tuple[str, ...]:
    """Names of the boards that come with hwprune."""
    return tuple(
        sorted(file.name.removesuffix(".toml") for file in _shipped().iterdir() if file.name.endswith(".toml"))
    )


def load_board(name: str | Path) -> Board:
    """A board by its name, or from a TOML file of one's own.

    Raises
    ------
    UserError
        If there is no such board or file, or something is wrong in it; with file and field.
    """
    if str(name) in boards():
        return _read(str(name), f"boards/{name}.toml", (_shipped() / f"{name}.toml").read_bytes())
    path = Path(name).expanduser()
    if path.suffix == ".toml":
        try:
            content = path.read_bytes()
        except OSError as error:
            raise UserError(f"{path}: cannot be read ({error.strerror})") from error
        return _read(path.stem, str(path), content)
    near = difflib.get_close_matches(str(name).lower(), boards(), 1)
    hint = f" (did you mean {near[0]}?)" if near else ""
    raise UserError(
        f"board {str(name)!r} is not known{hint}; there are {', '.join(boards())}, or give a .toml file like those"
    )


def _shipped():
    return files("hwprune") / "boards"


def _read(name: str, place: str, content: bytes) -> Board:
    try:
        return Board.model_validate({"name": name, **tomllib.loads(content.decode())})
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{place}: no valid TOML: {error}") from error
    except ValidationError as error:
        lines = []
        for found in error.errors():
            field = ".".join(map(str, found["loc"]))
            lines.append(f"{place}: {field + ': ' if field else ''}{found['msg'].removeprefix('Value error, ')}")
        raise UserError("\n".join(lines)) from error
