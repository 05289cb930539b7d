"""Widths of a network by the names of its layers."""

from collections.abc import Mapping


def chosen_widths(model: str, usual: Mapping[str, int], widths: Mapping[str, int] | None) -> dict[str, int]:
    """``usual`` with the layers named in ``widths`` changed.

    Raises
    ------
    ValueError
        If ``widths`` names another layer, or gives a layer no channels.
    """
    for name, width in (widths or {}).items():
        if name not in usual:
            raise ValueError(f"{model} has no layer {name!r} whose width is free; it has {', '.join(usual)}")
        if width < 1:
            raise ValueError(f"{model}: layer {name!r} cannot have {width} channels; give it one or more")
    return {**usual, **(widths or {})}
