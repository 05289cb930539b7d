"""The network that is trained with quantisation: Brevitas layers in the place of the float ones.

Weights have a scale for each output channel, activations one for each tensor (or group of tensors that a concatenation
joins). The integer form that goes onto the chip is made from it by `hwprune.quant.integer.freeze`.
"""

from collections.abc import Callable
from functools import partial

import brevitas.nn as qnn
import torch
from brevitas.quant import Int8ActPerTensorFloat, Int8WeightPerChannelFloat, Uint8ActPerTensorFloat
from torch import Tensor, nn

from hwprune.models.architecture import Architecture, Conv, Layer
from hwprune.models.network import Network, activation
from hwprune.quant.precision import Precision, convolutions_behind, shared_scales
from hwprune.sam.quantized import QuantSamConv2d

PIXEL_SCALE = 1 / 255
"""The unit of an 8-bit pixel: the network is trained on pixels in 0..1."""
CALIBRATION_STEPS = 30
"""Training steps over which an activation's range is observed before it becomes a learned parameter."""


def is_signed(layer: Conv) -> bool:
    """Whether a layer's activations take both signs."""
    return layer.activation != "relu"


class QuantConvBlock(nn.Module):
    """`hwprune.models.network.ConvBlock` with quantised weights, and a quantiser on its output unless it is a head."""

    def __init__(
        self, layer: Conv, in_channels: int, weight_bits: int, quantizer: nn.Module | None, unit: Callable[[], Tensor]
    ):
        super().__init__()
        shape = (in_channels, layer.out_channels, layer.kernel, layer.stride, layer.padding)
        if layer.sam:
            self.conv = QuantSamConv2d(*shape, sam=layer.sam, bits=weight_bits, unit=unit, bias=not layer.norm)
        else:
            self.conv = qnn.QuantConv2d(
                *shape,
                layer.dilation,
                bias=not layer.norm,
                weight_quant=Int8WeightPerChannelFloat,
                weight_bit_width=weight_bits,
            )
        self.norm = nn.BatchNorm2d(layer.out_channels) if layer.norm else nn.Identity()
        self.activation = activation(layer.activation)
        self.quantizer = quantizer

    def forward(self, x: Tensor) -> Tensor:
        x = self.activation(self.norm(self.conv(x)))
        return x if self.quantizer is None else self.quantizer(x)


class QuantNetwork(Network):
    """The Brevitas twin of a float network: pixels in 0..1 in, the heads' raw outputs out.

    Parameters
    ----------
    architecture
        Layer table of the float network.
    precision
        Bit widths and activation.

    Raises
    ------
    UserError
        If the table holds what the integer form cannot express.
    """

    def __init__(self, architecture: Architecture, precision: Precision):
        self.precision = precision
        architecture = precision.apply(architecture)
        self._owner, self._behind = shared_scales(architecture), convolutions_behind(architecture)
        self._quantizers: dict[str, nn.Module] = {}
        self._table = architecture
        super().__init__(architecture)

    def rebuilt(self, architecture: Architecture) -> "QuantNetwork":
        return type(self)(architecture, self.precision)

    def make(self, layer: Layer, in_channels: int) -> nn.Module:
        if layer.op != "conv":
            return super().make(layer, in_channels)
        bits = self.precision.of_weights(self._table, layer.name)
        return QuantConvBlock(layer, in_channels, bits, self._quantizer(layer), partial(self.step, layer.input))

    def step(self, name: str) -> Tensor:
        """What an integer 1 in the output of layer ``name`` (or of the image) stands for, a scalar."""
        sources = self._behind[name]
        if not sources:
            return torch.tensor(PIXEL_SCALE)
        return self._quantizers[self._owner[sources[0]]].act_quant.scale()

    def _quantizer(self, layer: Conv) -> nn.Module | None:
        owner = self._owner.get(layer.name)
        if owner is None:
            return None
        if owner not in self._quantizers:
            members = [self._table[name] for name, leader in self._owner.items() if leader == owner]
            signed = any(is_signed(member) for member in members)
            self._quantizers[owner] = qnn.QuantIdentity(
                act_quant=Int8ActPerTensorFloat if signed else Uint8ActPerTensorFloat,
                bit_width=self.precision.activation_bits,
                collect_stats_steps=CALIBRATION_STEPS,
                high_percentile_q=99.9,
            )
        return self._quantizers[owner]

    def start_from(self, network: Network) -> "QuantNetwork":
        """Take the weights and batch norms of the float ``network`` (same layer table up to the activation)."""
        for name, block in network.layers.items():
            if self._table[name].op == "conv":
                mine = self.layers[name]
                with torch.no_grad():
                    for parameter, value in block.conv.named_parameters():
                        mine.conv.get_parameter(parameter).copy_(value)
                mine.norm.load_state_dict(block.norm.state_dict())
        return self
