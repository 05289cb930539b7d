"""The float network that a layer table describes."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from hwprune.models.architecture import IMAGE, LEAKY_SLOPE, Architecture, Conv, L2Norm, Layer, MaxPool
from hwprune.sam.layer import SamConv2d


class ConvBlock(nn.Module):
    """``conv``, ``norm`` (identity where the layer has a bias instead) and the activation."""

    def __init__(self, layer: Conv, in_channels: int):
        super().__init__()
        shape = (in_channels, layer.out_channels, layer.kernel, layer.stride, layer.padding)
        bias = not layer.norm
        if layer.sam:
            self.conv = SamConv2d(*shape, sam=layer.sam, bias=bias)
        else:
            self.conv = nn.Conv2d(*shape, layer.dilation, bias=bias)
            if bias and layer.activation != "linear":
                # No norm follows: a deep stack learns only from weights that keep the variance (He et al., "Delving
                # Deep into Rectifiers", 2015, equation 15), while torch's own let it fade.
                nn.init.kaiming_normal_(self.conv.weight, LEAKY_SLOPE if layer.activation == "leaky" else 0)
                nn.init.zeros_(self.conv.bias)
        self.norm = nn.BatchNorm2d(layer.out_channels) if layer.norm else nn.Identity()
        self.activation = activation(layer.activation)

    def forward(self, x: Tensor) -> Tensor:
        return self.activation(self.norm(self.conv(x)))


def activation(name: str) -> nn.Module:
    """The activation called ``leaky``, ``relu`` or ``linear`` in a layer table."""
    return {"leaky": nn.LeakyReLU(LEAKY_SLOPE), "relu": nn.ReLU(), "linear": nn.Identity()}[name]


class PaddedMaxPool(nn.Module):
    """Max-pool whose padding may differ from side to side; padded pixels are -inf, so they never win."""

    def __init__(self, layer: MaxPool):
        super().__init__()
        self.kernel, self.stride, self.pad = layer.kernel, layer.stride, layer.pad

    def forward(self, x: Tensor) -> Tensor:
        if any(self.pad):
            x = F.pad(x, self.pad, value=-torch.inf)
        return F.max_pool2d(x, self.kernel, self.stride)


class ChannelNorm(nn.Module):
    """`hwprune.models.architecture.L2Norm`; ``weight``, (channels,), is the scale."""

    def __init__(self, layer: L2Norm, channels: int):
        super().__init__()
        self.weight = nn.Parameter(torch.full((channels,), layer.scale))

    def forward(self, x: Tensor) -> Tensor:
        return F.normalize(x, dim=1) * self.weight[:, None, None]


class ConcatChannels(nn.Module):
    """Concatenation over channels."""

    def forward(self, *tensors: Tensor) -> Tensor:
        return torch.cat(tensors, 1)


class Sum(nn.Module):
    """Residual join."""

    def forward(self, *tensors: Tensor) -> Tensor:
        return sum(tensors[1:], tensors[0])


class Network(nn.Module):
    """A layer table made executable: ``forward`` takes (N, C, H, W) pixels in 0..1 and returns the heads' raw outputs.

    A subclass that overrides `make` gives the same table other modules (the quantised twin does).
    """

    def __init__(self, architecture: Architecture):
        super().__init__()
        self.architecture = architecture
        channels = architecture.channels()
        self.layers = nn.ModuleDict(
            {layer.name: self.make(layer, channels[layer.inputs[0]]) for layer in architecture.layers}
        )

    def rebuilt(self, architecture: Architecture) -> "Network":
        """A new network of this kind for another table; a subclass that takes more than a table overrides it."""
        return type(self)(architecture)

    def make(self, layer: Layer, in_channels: int) -> nn.Module:
        """The module for one row of the table."""
        match layer.op:
            case "conv":
                return ConvBlock(layer, in_channels)
            case "maxpool":
                return PaddedMaxPool(layer)
            case "avgpool":
                return nn.AvgPool2d(layer.kernel, layer.stride)
            case "l2norm":
                return ChannelNorm(layer, in_channels)
            case "upsample":
                return nn.Upsample(scale_factor=layer.factor, mode="nearest")
            case "concat":
                return ConcatChannels()
            case "add":
                return Sum()

    def forward_all(self, x: Tensor) -> dict[str, Tensor]:
        """Every layer's output by name, the image included."""
        values = {IMAGE: x}
        for layer in self.architecture.layers:
            values[layer.name] = self.layers[layer.name](*(values[source] for source in layer.inputs))
        return values

    def forward(self, x: Tensor) -> list[Tensor]:
        values = self.forward_all(x)
        return [values[head] for head in self.architecture.heads]
