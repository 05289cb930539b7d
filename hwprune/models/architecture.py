"""The layer table: a network as data.

Everything that changes a network (pruning, quantisation, compilation) works on this table, and a checkpoint stores it
as JSON beside its weights. A layer names its inputs; the pixels are called ``image``.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, PositiveInt, model_validator

from hwprune.sam.settings import Sam

IMAGE = "image"
LEAKY_SLOPE = 0.1  # darknet's


class _Layer(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")
    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9]*(_[a-z0-9]+)*$")]
    inputs: Annotated[tuple[str, ...], Field(min_length=1)]

    @property
    def input(self) -> str:
        """The only input of a layer that has one."""
        (only,) = self.inputs
        return only


class Conv(_Layer):
    """Convolution, then batch norm (or a bias), then the activation; square kernel, symmetric zero padding.

    With ``sam`` its units are SAM neurons; without, they multiply and accumulate. A fully connected layer is one whose
    kernel is as large as the map that it reads.
    """

    op: Literal["conv"] = "conv"
    out_channels: PositiveInt
    kernel: PositiveInt
    stride: PositiveInt = 1
    padding: Annotated[int, Field(ge=0)] = 0
    dilation: PositiveInt = 1
    norm: bool = True
    activation: Literal["leaky", "relu", "linear"] = "leaky"
    sam: Sam | None = None

    @property
    def reach(self) -> int:
        """Rows, and columns, from the first to the last pixel under the kernel."""
        return self.dilation * (self.kernel - 1) + 1

    @model_validator(mode="after")
    def _sam_is_dense(self):
        if self.sam and self.dilation > 1:
            raise ValueError(
                f"layer {self.name!r}: SAM neurons take neighbouring pixels, not a dilation of {self.dilation}"
            )
        return self


class MaxPool(_Layer):
    """Max-pool over a square window; ``pad`` is (left, right, top, bottom), and a padded pixel never wins."""

    op: Literal["maxpool"] = "maxpool"
    kernel: PositiveInt = 2
    stride: PositiveInt = 2
    pad: tuple[int, int, int, int] = (0, 0, 0, 0)


class AvgPool(_Layer):
    """Mean over a square window, without padding."""

    op: Literal["avgpool"] = "avgpool"
    kernel: PositiveInt = 2
    stride: PositiveInt = 2


class L2Norm(_Layer):
    """Each pixel's channels divided by their Euclidean length, then times a learned scale for each channel (Liu et al.,
    "ParseNet", 2015; SSD, section 3.1)."""

    op: Literal["l2norm"] = "l2norm"
    scale: Annotated[float, Field(gt=0, description="at the start of training")] = 20.0


class Upsample(_Layer):
    """Nearest-neighbour upsampling."""

    op: Literal["upsample"] = "upsample"
    factor: PositiveInt = 2


class Concat(_Layer):
    """Concatenation over channels."""

    op: Literal["concat"] = "concat"


class Add(_Layer):
    """Residual join: the sum of tensors of one shape."""

    op: Literal["add"] = "add"


Layer = Annotated[Conv | MaxPool | AvgPool | L2Norm | Upsample | Concat | Add, Field(discriminator="op")]


class Architecture(BaseModel):
    """Layers in execution order, and the names of those whose outputs leave the network."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    name: str
    in_channels: PositiveInt = 3
    layers: tuple[Layer, ...]
    heads: Annotated[tuple[str, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _names_resolve(self):
        seen = {IMAGE}
        for layer in self.layers:
            for source in layer.inputs:
                if source not in seen:
                    raise ValueError(f"layer {layer.name!r} reads {source!r}, which no earlier layer makes")
            if layer.name in seen:
                raise ValueError(f"two layers are called {layer.name!r}")
            if layer.op not in ("concat", "add") and len(layer.inputs) != 1:
                raise ValueError(f"layer {layer.name!r} ({layer.op}) takes one input, not {len(layer.inputs)}")
            seen.add(layer.name)
        for head in self.heads:
            if head not in seen - {IMAGE}:
                raise ValueError(f"head {head!r} is no layer")
        channels = self.channels()
        for layer in self.layers:
            if layer.op == "conv" and layer.sam:
                try:
                    layer.sam.group_size(channels[layer.input], layer.kernel)
                except ValueError as error:
                    raise ValueError(f"layer {layer.name!r}: {error}") from None
        return self

    def __getitem__(self, name: str) -> Layer:
        return next(layer for layer in self.layers if layer.name == name)

    def consumers(self, name: str) -> list[Layer]:
        """The layers that read ``name``, in execution order."""
        return [layer for layer in self.layers if name in layer.inputs]

    def channels(self) -> dict[str, int]:
        """Channels of every layer's output, and of the image."""
        channels = {IMAGE: self.in_channels}
        for layer in self.layers:
            incoming = [channels[source] for source in layer.inputs]
            if layer.op == "add" and len(set(incoming)) > 1:
                raise ValueError(f"layer {layer.name!r} adds tensors of {incoming} channels")
            channels[layer.name] = (
                layer.out_channels if layer.op == "conv" else sum(incoming) if layer.op == "concat" else incoming[0]
            )
        return channels

    def shapes(self, height: int, width: int) -> dict[str, tuple[int, int, int]]:
        """(channels, height, width) of every layer's output for an image of this size, in pixels.

        Raises
        ------
        ValueError
            If a join meets tensors of different size, or a tensor vanishes.
        """
        channels, sizes = self.channels(), {IMAGE: (height, width)}
        for layer in self.layers:
            incoming = {sizes[source] for source in layer.inputs}
            if len(incoming) > 1:
                raise ValueError(f"layer {layer.name!r} joins tensors of sizes {sorted(incoming)}")
            h, w = incoming.pop()
            if layer.op == "conv":
                h, w = ((d + 2 * layer.padding - layer.reach) // layer.stride + 1 for d in (h, w))
            elif layer.op == "maxpool":
                left, right, top, bottom = layer.pad
                h = (h + top + bottom - layer.kernel) // layer.stride + 1
                w = (w + left + right - layer.kernel) // layer.stride + 1
            elif layer.op == "avgpool":
                h, w = ((d - layer.kernel) // layer.stride + 1 for d in (h, w))
            elif layer.op == "upsample":
                h, w = h * layer.factor, w * layer.factor
            if h < 1 or w < 1:
                raise ValueError(f"layer {layer.name!r} has no pixels left for an image of {height}x{width}")
            sizes[layer.name] = (h, w)
        return {name: (channels[name], *size) for name, size in sizes.items()}

    def with_widths(self, widths: Mapping[str, int]) -> "Architecture":
        """The same table with other ``out_channels`` for the convolutions named in ``widths``."""
        return self.changed({name: {"out_channels": width} for name, width in widths.items()})

    def with_neurons(self, neurons: Mapping[str, Sam | None]) -> "Architecture":
        """The same table with other neurons in the convolutions named in ``neurons``."""
        return self.changed({name: {"sam": neuron} for name, neuron in neurons.items()})

    def changed(self, fields: Mapping[str, Mapping[str, Any]]) -> "Architecture":
        """The same table with some fields of the named layers changed; checked anew."""
        layers = [layer.model_copy(update=fields.get(layer.name)) for layer in self.layers]
        return Architecture(name=self.name, in_channels=self.in_channels, layers=layers, heads=self.heads)
