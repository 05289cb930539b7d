"""SAM layers in integers."""

import torch
from torch import Tensor, nn

from hwprune.sam.functional import sam_conv2d
from hwprune.sam.settings import Sam


class IntegerSamConv2d(nn.Module):
    """`hwprune.sam.neuron.distances` on integers held in float32; in an ONNX export, one QONNX node.

    Attributes
    ----------
    p, n
        Codes of the distances, (J, C, k, k); ``n`` is None in the form ``signed``.
    sign
        (J, groups) of 1 and -1; None in the form ``difference``.
    """

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int, stride: int, padding: int, sam: Sam):
        super().__init__()
        self.sam, self.stride, self.padding = sam, stride, padding
        self.group = sam.group_size(in_channels, kernel_size)
        shape = (out_channels, in_channels, kernel_size, kernel_size)
        groups = in_channels * kernel_size**2 // self.group
        self.register_buffer("p", torch.zeros(shape))
        self.register_buffer("n", torch.zeros(shape) if sam.two_sets else None)
        self.register_buffer("sign", None if sam.form == "difference" else torch.ones(out_channels, groups))

    def forward(self, x: Tensor) -> Tensor:
        if torch.onnx.is_in_onnx_export() and not torch.jit.is_tracing():
            return self._node(x)
        form, step = self.sam.form, 2.0 ** max(0, self.sam.shift)
        negative = None if self.n is None else self.n * (step if form == "maxmin" else -step)
        return sam_conv2d(x * 2.0 ** max(0, -self.sam.shift), self.p * -step, negative, self.sign, form=form,
                          group=self.group, stride=self.stride, padding=self.padding, floor=self.sam.floor)  # fmt: skip

    def _node(self, x: Tensor) -> Tensor:
        units, _, kernel, _ = self.p.shape
        height, width = ((d + 2 * self.padding - kernel) // self.stride + 1 for d in x.shape[2:])
        inputs = [x, *(tensor for tensor in (self.p, self.n, self.sign) if tensor is not None)]
        attributes = {"form": self.sam.form, "group": self.group, "shift": self.sam.shift,
                      "floor": int(self.sam.floor), "stride": self.stride, "padding": self.padding}  # fmt: skip
        return torch.onnx.ops.symbolic("hwprune.sam.qonnx_op::SamConv", inputs, attributes, dtype=x.dtype,
                                       shape=(x.shape[0], units, height, width), version=1)  # fmt: skip


def grouped(weight: Tensor, group: int) -> Tensor:
    """(J, C, k, k) -> (J, groups, group), connections in the order of `hwprune.sam.neuron`."""
    return weight.permute(0, 2, 3, 1).reshape(len(weight), -1, group)


def ungrouped(weight: Tensor, shape: torch.Size) -> Tensor:
    """The inverse of `grouped`."""
    units, channels, *kernel = shape
    return weight.reshape(units, *kernel, channels).permute(0, 3, 1, 2)
