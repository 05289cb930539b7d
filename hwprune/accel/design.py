"""A stitched accelerator as it lies in its folder: sources, streams and FIFOs. Readable without FINN.

All paths are kept relative to the folder, memory files included, so that the folder can be moved or sent away whole.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from hwprune.errors import UserError
from hwprune.files import write_text

DESCRIPTION = "design.json"


class Stream(BaseModel):
    """One AXI-Stream between two nodes, or between a node and the outside.

    Attributes
    ----------
    name
        Of the wires `NAME_tdata`, `NAME_tvalid`, `NAME_tready`; for a port, `NAME_TDATA` and so on.
    role
        Whether it is a port of the top.
    tensor
        Tensor of the graph that it carries.
    producer, consumer
        Nodes; None at the side that is a port.
    datatype
        Of an element, as qonnx names it (UINT4, INT17, ...).
    normal_shape, folded_shape
        Of a frame: as a tensor, NHWC, and as it is sent: the last axis is a beat.
    bits
        Width of TDATA, padded to whole bytes.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    role: Literal["input", "inner", "output"]
    tensor: str
    producer: str | None
    consumer: str | None
    datatype: str
    normal_shape: tuple[int, ...]
    folded_shape: tuple[int, ...]
    bits: int

    @property
    def beats(self) -> int:
        """Beats a frame."""
        count = 1
        for extent in self.folded_shape[:-1]:
            count *= extent
        return count


class Fifo(BaseModel):
    """A FIFO node: its depth in beats, the streams on both sides, and the monitors of its fill."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    depth: int
    source: str
    sink: str

    @property
    def count(self) -> str:
        """Monitor: beats held now."""
        return f"{self.name}_count"

    @property
    def maxcount(self) -> str:
        """Monitor: most beats held since reset."""
        return f"{self.name}_maxcount"


class Operator(BaseModel):
    """A node of the graph, as far as its timing depends on it.

    Attributes
    ----------
    name
        Of the node.
    op_type
        FINN's name of the operator (`MVAU_rtl`, ...).
    inputs, outputs
        Names of its streams, in the order of its ports; weights and thresholds are no streams.
    attributes
        FINN's node attributes that are integers, lists of integers, data types or memory styles.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    op_type: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: dict[str, int | str | tuple[int, ...]]


class Design(BaseModel):
    """A stitched accelerator.

    Attributes
    ----------
    folder
        Where it lies: also the folder that the names of memory files in the sources refer to.
    top
        Name of the top module.
    files
        Sources relative to `folder`, packages first and the top last.
    streams
        Every stream, in the order of the graph.
    fifos
        Every FIFO, in the order of the graph.
    operators
        Every node, FIFOs and width converters included, in the order of the graph.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    folder: Path = Field(exclude=True)
    top: str
    files: tuple[str, ...]
    streams: tuple[Stream, ...]
    fifos: tuple[Fifo, ...]
    operators: tuple[Operator, ...]

    @property
    def sources(self) -> tuple[Path, ...]:
        """The source files, absolute."""
        return tuple(self.folder / file for file in self.files)

    @property
    def inputs(self) -> tuple[Stream, ...]:
        """Input ports in the order of the graph's inputs."""
        return tuple(stream for stream in self.streams if stream.role == "input")

    @property
    def inner(self) -> tuple[Stream, ...]:
        """Streams that are no port."""
        return tuple(stream for stream in self.streams if stream.role == "inner")

    @property
    def outputs(self) -> tuple[Stream, ...]:
        """Output ports in the order of the graph's outputs."""
        return tuple(sorted((s for s in self.streams if s.role == "output"), key=lambda s: (len(s.name), s.name)))

    def save(self) -> None:
        """Write the description into the folder."""
        write_text(self.folder / DESCRIPTION, self.model_dump_json(indent=2) + "\n")


def load_design(folder: Path | str) -> Design:
    """Read back what `hwprune.accel.stitch.stitch` wrote, wherever the folder lies now.

    Raises
    ------
    UserError
        No description, a broken one, or a source file that is not there.
    """
    folder = Path(folder).expanduser().resolve()
    path = folder / DESCRIPTION
    way_out = "compile the accelerator anew"
    try:
        described = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); {way_out}") from error
    except ValueError as error:
        raise UserError(f"{path}: is not JSON ({error}); {way_out}") from error
    if not isinstance(described, dict):
        raise UserError(f"{path}: is not a JSON object; {way_out}")
    try:
        # The description does not say where it lies; it gets the place it was found at.
        design = Design.model_validate({**described, "folder": folder})
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(map(str, first["loc"]))
        raise UserError(f"{path}: {field}: {first['msg']}; {way_out}") from error
    for source in design.sources:
        if not source.is_file():
            raise UserError(f"{source}: a source of the design is not there; {way_out}")
    return design
