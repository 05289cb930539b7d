"""A compiled network, as the simulation, the board and the report see it; read without FINN."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hwprune.accel.design import DESCRIPTION as DESIGN
from hwprune.accel.design import Design, load_design
from hwprune.accel.stitch import SOURCES
from hwprune.errors import UserError
from hwprune.files import write_json

DESCRIPTION = "accelerator.json"
GRAPH = "accelerator.onnx"
"""The folded hardware graph, FIFOs and width converters included, before code generation."""


@dataclass(frozen=True)
class HostAffine:
    """What the host does with a head's integers: ``scale * accumulator + bias``, float32, per channel."""

    head: str
    scale: np.ndarray
    bias: np.ndarray


@dataclass(frozen=True)
class Accelerator:
    """A compiled network.

    Attributes
    ----------
    design
        The stitched RTL and its streams.
    affine
        For each head, in the network's order, what the host does with its integers.
    origin
        For every stream's tensor, the tensor of the layer that it carries: FIFOs and width converters only pass on.
    operators
        A row for each operator: name, op, cycles, pe, simd, lut, dsp, bram18, uram (estimates).
    resources
        The estimate of the whole, FIFOs and width converters included: lut, dsp, bram18, uram.
    clock_mhz
        The clock that it was made for.
    """

    design: Design
    affine: list[HostAffine]
    origin: dict[str, str]
    operators: list[dict]
    resources: dict[str, int]
    clock_mhz: float

    def save(self, folder: Path) -> None:
        """Write ``accelerator.json`` beside the design."""
        affine = [{"head": a.head, "scale": a.scale.tolist(), "bias": a.bias.tolist()} for a in self.affine]
        write_json(
            folder / DESCRIPTION,
            {
                "affine": affine,
                "origin": self.origin,
                "operators": self.operators,
                "resources": self.resources,
                "clock_mhz": self.clock_mhz,
            },
        )

    def files(self) -> list[Path]:
        """Everything that the compiled network consists of, memory files included."""
        folder = self.design.folder
        named = [folder / DESCRIPTION, folder / DESIGN, folder / GRAPH]
        return named + sorted(path for path in (folder / SOURCES).rglob("*") if path.is_file())

    @classmethod
    def load(cls, folder: Path) -> "Accelerator":
        """Read what `save` wrote.

        Raises
        ------
        UserError
            If a file is missing or damaged.
        """
        path = folder / DESCRIPTION
        try:
            content = json.loads(path.read_text())
            affine = [
                HostAffine(a["head"], np.array(a["scale"], np.float32), np.array(a["bias"], np.float32))
                for a in content["affine"]
            ]
            kept = (content[name] for name in ("origin", "operators", "resources", "clock_mhz"))
            return cls(load_design(folder), affine, *kept)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UserError(f"{path}: cannot be read ({error!r}); run the stage compile again") from error
