"""SAM layers that are trained in few bits, with Brevitas' quantisers.

Of the weights only the distances from the greatest of each group matter (`hwprune.sam.neuron`), so those are what is
quantised: unsigned codes whose step is 2**shift times that of the layer's input. Nothing is ever clipped at the top; a
distance beyond the codes is dead or nearly so. With a floor they are counted from zero.
"""

from collections.abc import Callable

import torch
from brevitas.core.function_wrapper import TensorClampSte
from brevitas.core.quant import IntQuant
from torch import Tensor, nn

from hwprune.sam.integer import IntegerSamConv2d, grouped, ungrouped
from hwprune.sam.layer import SamConv2d
from hwprune.sam.settings import Sam


class QuantSamConv2d(SamConv2d):
    """`SamConv2d` with weights whose distances are multiples of the input's step.

    Parameters
    ----------
    in_channels, out_channels, kernel_size, stride, padding, sam, bias
        As of `SamConv2d`.
    bits
        Of a distance.
    unit
        Gives the step of the input, a scalar tensor; asked at each pass, for it is learned where the input is made.
    """

    def __init__(self, *shape: int, sam: Sam, bits: int, unit: Callable[[], Tensor], bias: bool = False):
        super().__init__(*shape, sam=sam, bias=bias)
        self.unit = unit
        self._quant = IntQuant(narrow_range=False, signed=False, input_view_impl=nn.Identity(),
                               tensor_clamp_impl=TensorClampSte())  # fmt: skip
        self._bits = torch.tensor(float(bits)), torch.tensor(0.0)

    def step(self) -> Tensor:
        """What a distance of 1 means, in the unit of the float activations."""
        return self.unit().detach() * 2.0**self.sam.shift

    def halves(self) -> list[tuple[Tensor, Tensor, Tensor]]:
        """For P, and for N where there is one: the weights from which the distances of each group are counted, (J,
        groups, 1); the direction in which the others lie; and the distances, (J, groups, group), still float."""
        halves = []
        for weight, way in ((self.positive, -1), (self.negative, 1 if self.sam.form == "maxmin" else -1)):
            if weight is None:
                continue
            weight = grouped(weight, self.group)
            if self.sam.floor:
                end = torch.zeros_like(weight[..., :1])
            else:
                end = (weight.amin if way > 0 else weight.amax)(-1, keepdim=True)
            halves.append((end, way, way * (weight - end)))
        return halves

    def codes(self) -> list[Tensor]:
        """The distances as integers, (J, C, k, k), of P and of N where there is one."""
        bits, zero = self._bits
        return [
            ungrouped(self._quant.to_int(self.step(), zero, bits, distance), self.positive.shape)
            for _, _, distance in self.halves()
        ]

    def weights(self) -> tuple[Tensor, Tensor | None]:
        """P and N with rounded distances; the gradient passes straight through."""
        (bits, zero), step, rounded = self._bits, self.step(), [None, None]
        for i, (end, way, distance) in enumerate(self.halves()):
            rounded[i] = ungrouped(end + way * self._quant(step, zero, bits, distance), self.positive.shape)
        return tuple(rounded)


def sam_affine(source: QuantSamConv2d, unit: Tensor) -> tuple[Tensor, Tensor]:
    """What one step of the integer sums stands for in the trained layer, and the constant of each unit.

    Parameters
    ----------
    source
        The trained layer.
    unit
        What an integer 1 at its input stands for, a float64 scalar.

    Returns
    -------
    tuple of Tensor
        float64 (J,) each: the layer computes ``scale * distances + constant``.
    """
    ends = [end.double().squeeze(-1) for end, _, _ in source.halves()]
    if source.polarity is not None:
        ends[0] = ends[0] * source.sign().double()
    elif source.sam.form == "difference":
        ends[1] = -ends[1]
    constant = sum(ends).sum(1)
    if source.bias is not None:
        constant = constant + source.bias.double()
    return (unit * 2.0 ** min(0, source.sam.shift)).expand_as(constant), constant


def sam_codes(source: QuantSamConv2d, target: IntegerSamConv2d, falling: Tensor, largest: int) -> float:
    """Copy the codes, with the opposite sum where ``falling``; a bound of the sums for inputs up to ``largest``."""
    codes = source.codes()
    if source.sam.form == "difference":
        turned = falling[:, None, None, None]
        codes = [torch.where(turned, other, own) for own, other in zip(codes, reversed(codes), strict=True)]
    else:
        sign = torch.ones_like(target.sign) if source.polarity is None else source.sign()
        target.sign.copy_(torch.where(falling[:, None], -sign, sign))
    for buffer, values in zip((target.p, target.n), codes, strict=False):
        buffer.copy_(values)
    groups = source.positive[0].numel() // source.group
    return groups * 2.0 * largest * 2.0 ** max(0, -source.sam.shift)
