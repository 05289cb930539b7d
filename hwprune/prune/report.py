"""What pruning took away, layer by layer."""

from pydantic import BaseModel, ConfigDict

from hwprune.models.architecture import Architecture
from hwprune.models.cost import cost_table


class _Change(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")
    parameters_before: int
    parameters_after: int
    macs_before: int
    macs_after: int
    sam_ops_before: int
    sam_ops_after: int


class LayerChange(_Change):
    """One convolution: output channels, parameters, and multiply-accumulates and SAM operations per image."""

    layer: str
    width_before: int
    width_after: int


class PruneReport(_Change):
    """All convolutions in execution order, and their sums."""

    layers: tuple[LayerChange, ...]


def compare(before: Architecture, after: Architecture, height: int, width: int) -> PruneReport:
    """Hold a pruned table against the one it came from, for images of ``height`` x ``width`` pixels.

    Raises
    ------
    ValueError
        If the tables do not have the same convolutions, or cannot run on an image of this size.
    """
    tables = cost_table(before, height, width), cost_table(after, height, width)
    names, names_after = ([row.layer for row in table] for table in tables)
    if names != names_after:
        raise ValueError(f"the tables have other convolutions: {', '.join(names)}; {', '.join(names_after)}")
    rows = [
        LayerChange(
            layer=old.layer,
            width_before=old.out_channels,
            width_after=new.out_channels,
            parameters_before=old.parameters,
            parameters_after=new.parameters,
            macs_before=old.macs,
            macs_after=new.macs,
            sam_ops_before=old.sam_ops,
            sam_ops_after=new.sam_ops,
        )
        for old, new in zip(*tables, strict=True)
    ]
    totals = {field: sum(getattr(row, field) for row in rows) for field in _Change.model_fields}
    return PruneReport(layers=tuple(rows), **totals)
