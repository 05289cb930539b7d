"""What a network costs: parameters, multiply-accumulates and the operations of SAM neurons, layer by layer."""

from pydantic import BaseModel, ConfigDict
from torch import nn

from hwprune.models.architecture import Architecture


class LayerCost(BaseModel):
    """One convolution of a layer table.

    Attributes
    ----------
    layer
        Its name.
    in_channels, out_channels
        Channels read and made.
    height, width
        Output size in pixels.
    parameters
        Kernel, or the weights of a SAM layer (two for each connection, or one and a polarity for each group), and bias
        or the two vectors of the batch norm.
    macs
        Multiply-accumulates per image; a padded pixel counts like any other, as it does in hardware. None in a SAM
        layer.
    sam_ops
        Weights that SAM neurons apply per image, each with an addition and a comparison; a connection of two weights
        counts twice.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    layer: str
    in_channels: int
    out_channels: int
    height: int
    width: int
    parameters: int
    macs: int
    sam_ops: int


def parameters(network: nn.Module) -> int:
    """Trainable numbers in ``network``; running statistics are buffers and do not count."""
    return sum(parameter.numel() for parameter in network.parameters())


def macs(architecture: Architecture, height: int, width: int) -> int:
    """Multiply-accumulates of all convolutions for one image of ``height`` x ``width`` pixels."""
    return sum(row.macs for row in cost_table(architecture, height, width))


def sam_ops(architecture: Architecture, height: int, width: int) -> int:
    """Weights that all SAM layers apply for one image of ``height`` x ``width`` pixels."""
    return sum(row.sam_ops for row in cost_table(architecture, height, width))


def cost_table(architecture: Architecture, height: int, width: int) -> list[LayerCost]:
    """The cost of every convolution, in execution order; of other layers only `L2Norm` has parameters, one a channel.

    Raises
    ------
    ValueError
        If the table cannot run on an image of this size (see `Architecture.shapes`).
    """
    shapes, rows = architecture.shapes(height, width), []
    for layer in architecture.layers:
        if layer.op != "conv":
            continue
        inputs, (outputs, out_height, out_width) = shapes[layer.input][0], shapes[layer.name]
        weights, places, polarities = inputs * layer.kernel**2 * outputs, out_height * out_width, 0
        if layer.sam and layer.sam.two_sets:
            weights *= 2
        elif layer.sam:
            polarities = weights // layer.sam.group_size(inputs, layer.kernel)
        rows.append(
            LayerCost(
                layer=layer.name,
                in_channels=inputs,
                out_channels=outputs,
                height=out_height,
                width=out_width,
                parameters=weights + polarities + outputs * (2 if layer.norm else 1),
                macs=0 if layer.sam else weights * places,
                sam_ops=weights * places if layer.sam else 0,
            )
        )
    return rows
