"""A layer table without the layers that integers cannot express: they become part of the convolutions behind them.

- SSD's normalisation over channels, at a constant length, is a factor of each channel.
- A mean over pixels and the convolution behind it are one convolution, with larger kernel and stride.

The weights follow in `hwprune.quant.hardware_form`.
"""

from hwprune.errors import UserError
from hwprune.models.architecture import Architecture, AvgPool, Conv, L2Norm


def hardware_table(table: Architecture, size: tuple[int, int]) -> Architecture:
    """The layer table without `L2Norm` and `AvgPool`; the same one if it has neither.

    Parameters
    ----------
    table
        Of the float network.
    size
        (height, width) of its images, in pixels.

    Raises
    ------
    UserError
        If something else than a convolution reads such a layer, or it cannot become part of its reader.
    """
    removed = {layer.name: layer for layer in table.layers if layer.op in ("l2norm", "avgpool")}
    if not removed:
        return table
    shapes, layers = table.shapes(*size), []
    for layer in table.layers:
        if layer.name in removed:
            _check_readers(table, layer)
        elif layer.op == "conv" and layer.input in removed:
            layers.append(_merged(removed[layer.input], layer, shapes))
        else:
            layers.append(layer)
    return Architecture(name=table.name, in_channels=table.in_channels, layers=layers, heads=table.heads)


def _check_readers(table: Architecture, layer: L2Norm | AvgPool) -> None:
    what = "the mean over pixels" if layer.op == "avgpool" else "the normalisation"
    readers = [(reader.name, reader.op != "conv" or reader.sam) for reader in table.consumers(layer.name)]
    wrong = [name for name, refused in readers if refused] or ([] if readers else ["the host"])
    if wrong or layer.name in table.heads:
        raise UserError(
            f"layer {layer.name!r} of {table.name!r}: {what} can only become part of multiply-accumulate convolutions "
            f"that read it, but {', '.join(wrong) or 'the host'} reads it, too"
        )


def _merged(removed: L2Norm | AvgPool, conv: Conv, shapes: dict[str, tuple[int, int, int]]) -> Conv:
    """The row of a convolution that takes over what came before it."""
    if removed.op == "l2norm":
        return conv.model_copy(update={"inputs": removed.inputs})
    step = removed.stride
    if conv.padding:
        # Around the means lie zeros; around the pixels they have to lie likewise, without touching a mean.
        sizes = zip(shapes[removed.input][1:], shapes[removed.name][1:], strict=True)
        if removed.kernel > step or any(extent > means * step for extent, means in sizes):
            raise UserError(
                f"layer {conv.name!r} pads the means of {removed.name!r}, whose windows overlap or leave pixels over: "
                "no one convolution does the same; take a padding of 0, or windows that cover the map once"
            )
    return conv.model_copy(
        update={
            "inputs": removed.inputs,
            "kernel": (conv.reach - 1) * step + removed.kernel,
            "stride": conv.stride * step,
            "padding": conv.padding * step,
            "dilation": 1,
        }
    )
