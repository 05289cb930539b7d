"""The integer form of a quantised network: what the chip computes, as a Brevitas model.

Every scale of the trained network is folded into one affine map a layer, so that all tensors between layers hold small
integers and every convolution sums integers exactly (float32 holds integers up to 2**24). The activation of a layer is
then a function of one integer, ``clamp(round(act(scale * n + bias)))``, evaluated by the same three float32 operations
here, in the QONNX graph and in the search for the chip's thresholds: so all of them agree to the last bit.
"""

from collections.abc import Callable

import brevitas.nn as qnn
import torch
from brevitas.quant import Int8ActPerTensorFloat, Int8WeightPerTensorFloat, Uint8ActPerTensorFloat
from torch import Tensor, nn

from hwprune.errors import UserError
from hwprune.models.architecture import IMAGE, Architecture, Conv, Layer
from hwprune.models.network import Network, activation
from hwprune.quant.network import PIXEL_SCALE, QuantNetwork, is_signed
from hwprune.quant.precision import Precision, shared_scales
from hwprune.sam.integer import IntegerSamConv2d
from hwprune.sam.quantized import sam_affine, sam_codes

EXACT_LIMIT = 2**24
"""Above this, float32 no longer holds every integer."""


class IntegerConvBlock(nn.Module):
    """``conv`` on integers, the affine map, the activation, and the rounding to an integer (not at a head)."""

    def __init__(self, layer: Conv, in_channels: int, weight_bits: int, quantizer: nn.Module | None):
        super().__init__()
        shape = (in_channels, layer.out_channels, layer.kernel, layer.stride, layer.padding)
        if layer.sam:
            self.conv = IntegerSamConv2d(*shape, layer.sam)
        else:
            # A constant scale of one: Brevitas divides the initial value by the largest code.
            self.conv = qnn.QuantConv2d(
                *shape,
                layer.dilation,
                bias=False,
                weight_quant=Int8WeightPerTensorFloat,
                weight_bit_width=weight_bits,
                weight_scaling_impl_type="const",
                weight_scaling_init=float(2 ** (weight_bits - 1) - 1),
            )
        self.register_buffer("scale", torch.ones(1, layer.out_channels, 1, 1))
        self.register_buffer("bias", torch.zeros(1, layer.out_channels, 1, 1))
        self.activation = activation(layer.activation)
        self.quantizer = quantizer

    def forward(self, x: Tensor) -> Tensor:
        # Two roundings, not a fused multiply-add: ONNX has the same two.
        x = self.activation(self.conv(x) * self.scale + self.bias)
        return x if self.quantizer is None else self.quantizer(x)


class IntegerNetwork(Network):
    """Integers from pixel to head: ``forward`` takes (N, C, H, W) pixel values 0..255 as float32 and returns the heads'
    raw outputs, which are ``scale * accumulator + bias``.

    `forward_all` gives the integers of every inner layer. Evaluation only.
    """

    def __init__(self, architecture: Architecture, precision: Precision):
        self.precision = precision
        architecture = precision.apply(architecture)
        self._table = architecture
        self._signed = signed_activations(architecture)
        super().__init__(architecture)
        self.eval()

    def make(self, layer: Layer, in_channels: int) -> nn.Module:
        if layer.op != "conv":
            return super().make(layer, in_channels)
        quantizer = None
        if layer.name not in self._table.heads:
            signed, bits = self._signed[layer.name], self.precision.activation_bits
            quantizer = qnn.QuantIdentity(
                act_quant=Int8ActPerTensorFloat if signed else Uint8ActPerTensorFloat,
                bit_width=bits,
                scaling_impl_type="const",
                scaling_init=float(2 ** (bits - 1) if signed else 2**bits - 1),
            )
        return IntegerConvBlock(layer, in_channels, self.precision.of_weights(self._table, layer.name), quantizer)

    def accumulators(self, values: dict[str, Tensor], name: str) -> Tensor:
        """The integers that layer ``name`` sums, given `forward_all`'s ``values``."""
        return self.layers[name].conv(values[self.architecture[name].input])


def integer_predictor(network: IntegerNetwork) -> Callable[[Tensor], list[Tensor]]:
    """What `hwprune.detect.evaluate` calls: uint8 images in, the heads' raw outputs out."""

    @torch.no_grad()
    def predict(images: Tensor) -> list[Tensor]:
        return network(images.float())

    return predict


def signed_activations(architecture: Architecture) -> dict[str, bool]:
    """For every convolution that is no head, whether its quantiser (shared or its own) has negative codes."""
    owner = shared_scales(architecture)
    signed = {leader: False for leader in owner.values()}
    for conv, leader in owner.items():
        signed[leader] |= is_signed(architecture[conv])
    return {conv: signed[leader] for conv, leader in owner.items()}


@torch.no_grad()
def freeze(network: QuantNetwork) -> IntegerNetwork:
    """The integer form of a trained network; scales, batch norms and biases are folded in double precision.

    Raises
    ------
    UserError
        If a layer could sum past 2**24, where float32 would no longer be exact.
    """
    network.eval()
    table = network.architecture
    # The table already has its activation; applying the precision again changes nothing.
    integer = IntegerNetwork(table, network.precision)
    unit = {IMAGE: torch.tensor(PIXEL_SCALE, dtype=torch.float64)}
    largest = {IMAGE: 255}
    for layer in table.layers:
        if layer.op != "conv":
            unit[layer.name] = unit[layer.inputs[0]]
            largest[layer.name] = max(largest[source] for source in layer.inputs)
            continue
        source, target = network.layers[layer.name], integer.layers[layer.name]
        scale, bias = (sam_affine if layer.sam else _affine)(source.conv, unit[layer.input])
        if layer.norm:
            norm = source.norm
            gain = norm.weight.double() / torch.sqrt(norm.running_var.double() + norm.eps)
            scale, bias = scale * gain, norm.bias.double() + (bias - norm.running_mean.double()) * gain
        if source.quantizer is not None:
            unit[layer.name] = source.quantizer.act_quant.scale().double()
            bits = network.precision.activation_bits
            largest[layer.name] = 2**bits - 1
            scale, bias = scale / unit[layer.name], bias / unit[layer.name]
        # A chip's thresholds only rise with the sum: a falling channel gets the opposite sum.
        reach = (sam_codes if layer.sam else _codes)(source.conv, target.conv, scale < 0, largest[layer.input])
        if reach >= EXACT_LIMIT:
            raise UserError(
                f"layer {layer.name!r} can sum up to {reach:.0f}, past the 2**24 that float32 holds exactly: "
                "use fewer bits or fewer input channels"
            )
        target.scale.copy_(scale.abs().float().reshape(1, -1, 1, 1))
        target.bias.copy_(bias.float().reshape(1, -1, 1, 1))
    return integer


def _affine(source: qnn.QuantConv2d, unit: Tensor) -> tuple[Tensor, Tensor]:
    """What one step of a channel's sum stands for, and its constant; float64 (J,) each."""
    scale = unit * source.quant_weight().scale.double().reshape(-1)
    return scale, torch.zeros_like(scale) if source.bias is None else source.bias.double()


def _codes(source: qnn.QuantConv2d, target: qnn.QuantConv2d, falling: Tensor, largest: int) -> float:
    """Copy the integer weights, negated where ``falling``; a bound of the sums for inputs up to ``largest``."""
    codes = source.quant_weight().int(float_datatype=True)
    codes[falling] = -codes[falling]
    target.weight.copy_(codes)
    return (codes.abs().sum((1, 2, 3)).max() * largest).item()
