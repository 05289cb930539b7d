"""The budget that widths are chosen for. Imports neither torch nor Lightning, so that a recipe is read quickly."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, PositiveInt


class WidthBudget(BaseModel):
    """What the accelerator may take, and how fast it must be; `hwprune.prune.widths` finds the widths."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True)

    fps: Annotated[float, Field(gt=0)]
    """Frames a second that every operator of the accelerator must reach."""
    part: Annotated[str, Field(pattern=r"^xc[a-z0-9]+(-[a-z0-9]+)*$")] = "xc7z020clg400-1"
    """Xilinx part; the default is that of the PYNQ-Z1 and PYNQ-Z2 boards."""
    clock_mhz: Annotated[float, Field(gt=0, le=1000)] = 100.0
    """Clock of the accelerator, in MHz."""
    luts: PositiveInt | None = None
    """Look-up tables, by estimate, without FIFOs and width converters; 70 % of the part's where it is not given."""
    dsps: PositiveInt | None = None
    """DSP slices; the part's where it is not given."""
    brams: PositiveInt | None = None
    """Block RAMs of 18 Kb, without FIFOs; 90 % of the part's where it is not given."""
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 1
    """Of the search."""
