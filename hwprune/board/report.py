"""What a backend made of an accelerator, in one form for all of them."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt, ValidationError

from hwprune.board.board import Board
from hwprune.errors import UserError
from hwprune.files import write_text

FILE = "build.json"
Resource = Literal["lut", "ff", "dsp", "bram18", "uram"]
NAMES: dict[Resource, str] = {"lut": "LUTs", "ff": "flip-flops", "dsp": "DSP slices", "bram18": "block RAMs of 18 Kb",
                              "uram": "UltraRAMs"}  # fmt: skip
_LESS: dict[Resource, str] = {
    "lut": "lower compile.target_fps or compile.max_luts, or turn more multiplications over to DSP slices",
    "ff": "lower compile.target_fps or compile.max_luts",
    "dsp": "lower compile.target_fps or compile.max_dsps",
    "bram18": "prune more (prune.ratio, prune.budget), or lower compile.max_brams",
    "uram": "prune more (prune.ratio, prune.budget)",
}


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Use(_Model):
    """How much of a kind of resource is taken, and how much there is; blocks of 36 Kb count as two of 18 Kb."""

    used: NonNegativeInt
    available: NonNegativeInt

    @property
    def share(self) -> float:
        """Of what there is, 0 to 1 and beyond; infinite where something is taken that is not there."""
        return self.used / self.available if self.available else math.inf if self.used else 0.0


class BuildReport(_Model):
    """What a backend made.

    Attributes
    ----------
    backend, board, part
        With what, and for what.
    clock_mhz
        That was asked for.
    files
        Paths relative to the folder of the build, sorted: all that later stages and the user take from there.
    bitstream, hardware_handoff
        Those of `files` that configure the part and that describe its blocks to PYNQ; None where there are none.
    utilisation
        After placement where that was run, else after synthesis; empty while nothing was run.
    fmax_mhz
        Highest clock that the timing analysis allows; None while nothing was analysed.
    warnings
        Of the tools, in their own words, each once.
    tools
        Version by name, of those that ran.
    missing
        Tools that are to be had before the build can be finished.
    next_step
        What the user does then; empty where all is done.
    """

    backend: str
    board: str
    part: str
    clock_mhz: Annotated[float, Field(gt=0)]
    files: tuple[str, ...]
    bitstream: str | None = None
    hardware_handoff: str | None = None
    utilisation: dict[Resource, Use] = {}
    fmax_mhz: Annotated[float, Field(gt=0)] | None = None
    warnings: tuple[str, ...] = ()
    tools: dict[str, str] = {}
    missing: tuple[str, ...] = ()
    next_step: str = ""

    complete: bool
    """Whether there is a bitstream; if not, what was generated waits for the `missing` tools."""

    def save(self, folder: Path) -> None:
        """Write ``build.json`` into the folder of the build."""
        write_text(folder / FILE, self.model_dump_json(indent=2) + "\n")

    def require_sound(self) -> None:
        """See that it fits the part and is fast enough.

        Raises
        ------
        UserError
            If not; says by how much, and what to change.
        """
        problems = [
            f"{NAMES[kind]}: {use.used} of the {use.available} of {self.part}, {_times(use)}; {_LESS[kind]}"
            for kind, use in self.utilisation.items()
            if use.used > use.available
        ]
        # A clock generator may miss its aim by a little: 99.999 MHz is 100 MHz.
        if self.fmax_mhz is not None and self.fmax_mhz < self.clock_mhz * (1 - 1e-3):
            # Rounded down, so that the value named is one that the analysis allows.
            reached = math.floor(self.fmax_mhz * 10) / 10
            problems.append(
                f"clock: {self.clock_mhz:g} MHz asked for, {reached:g} MHz reached; set compile.clock_mhz: {reached:g} "
                f"({reached / self.clock_mhz:.0%} of the frames a second), or lower compile.target_fps so that the "
                "part is less full"
            )
        if problems:
            raise UserError("\n".join(f"{self.backend} on {self.board}: {problem}" for problem in problems))


def available(board: Board) -> dict[Resource, int]:
    """What a board's part has, by the names of `BuildReport.utilisation`."""
    has = board.resources
    return {"lut": has.luts, "ff": has.ffs, "dsp": has.dsps, "bram18": has.brams, "uram": has.urams}


def utilisation(board: Board, used: dict[Resource, int]) -> dict[Resource, Use]:
    """Counts beside what the board's part has; kinds that it lacks and nobody uses are left out."""
    there_is = available(board)
    return {
        kind: Use(used=used.get(kind, 0), available=there_is[kind])
        for kind in NAMES
        if there_is[kind] or used.get(kind)
    }


def load_report(folder: Path) -> BuildReport:
    """Read what `BuildReport.save` wrote; UserError where that is missing or damaged."""
    path = folder / FILE
    try:
        return BuildReport.model_validate_json(path.read_bytes())
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); run the stage build again") from error
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(map(str, first["loc"])) or "content"
        raise UserError(f"{path}: {field}: {first['msg']}; run the stage build again") from error


def _times(use: Use) -> str:
    return "of which there are none" if not use.available else f"{use.share:.0%}"
