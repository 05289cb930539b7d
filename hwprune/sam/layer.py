"""SAM in the place of a convolution, in PyTorch."""

import torch
from torch import Tensor, nn

from hwprune.sam import functional
from hwprune.sam.settings import Sam

START, FLOOR_START = 0.5, 1.0
"""Standard deviation of the first weights, where activations have about 1; those under a floor are all negative."""


class SamConv2d(nn.Module):
    """What `torch.nn.Conv2d` is to multiply-accumulate; `hwprune.sam.neuron` defines the sums.

    Parameters
    ----------
    in_channels, out_channels, kernel_size, stride, padding, bias
        As of a convolution with a square kernel.
    sam
        Form and groups.

    Attributes
    ----------
    positive, negative
        P and N, (out_channels, in_channels, kernel_size, kernel_size); ``negative`` is None in the form ``signed``.
    polarity
        (out_channels, groups), in the form ``signed`` only: its sign multiplies a group's maximum, and learns by the
        straight-through estimator within -1..1.
    temperature
        0 for true extremes; above, soft ones (`hwprune.sam.functional.soft_sam_conv2d`).

    Raises
    ------
    ValueError
        If the group does not divide the input channels.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        stride: int = 1,
        padding: int = 0,
        *,
        sam: Sam,
        bias: bool = False,
    ):
        super().__init__()
        self.sam, self.stride, self.padding = sam, stride, padding
        self.group = sam.group_size(in_channels, kernel_size)
        self.temperature = 0.0
        shape = (out_channels, in_channels, kernel_size, kernel_size)
        self.positive = nn.Parameter(torch.empty(shape))
        self.negative = nn.Parameter(torch.empty(shape)) if sam.two_sets else None
        groups = in_channels * kernel_size**2 // self.group
        self.polarity = None if sam.two_sets else nn.Parameter(torch.empty(out_channels, groups))
        self.bias = nn.Parameter(torch.zeros(out_channels)) if bias else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the weights anew."""
        for weight in (self.positive, self.negative):
            if weight is not None:
                nn.init.normal_(weight, std=FLOOR_START if self.sam.floor else START)
                if self.sam.floor:
                    weight.data.abs_().neg_()
        if self.polarity is not None:
            nn.init.uniform_(self.polarity, -1, 1)
        if self.bias is not None:
            nn.init.zeros_(self.bias)

    def sign(self) -> Tensor | None:
        """1 or -1 for each unit and group."""
        if self.polarity is None:
            return None
        hard = torch.where(self.polarity >= 0, 1.0, -1.0)
        return hard + (self.polarity.clamp(-1, 1) - self.polarity.clamp(-1, 1).detach())

    def weights(self) -> tuple[Tensor, Tensor | None]:
        """P and N as they are used; a quantised layer gives rounded ones."""
        return self.positive, self.negative

    def forward(self, x: Tensor) -> Tensor:
        options = {"form": self.sam.form, "group": self.group, "stride": self.stride, "padding": self.padding,
                   "floor": self.sam.floor}  # fmt: skip
        if self.temperature > 0:
            sums = functional.soft_sam_conv2d(x, *self.weights(), self.sign(), temperature=self.temperature, **options)
        else:
            sums = functional.sam_conv2d(x, *self.weights(), self.sign(), **options)
        return sums if self.bias is None else sums + self.bias[:, None, None]

    @torch.no_grad()
    def project(self) -> None:
        """Take back what an optimizer's step carried beyond the bounds; to be called after each.

        Weights under a floor are not positive. The sign's parameter stays within -1..1, where it has a gradient
        (Courbariaux et al., "BinaryConnect", 2015).
        """
        if self.polarity is not None:
            self.polarity.clamp_(-1, 1)
        if self.sam.floor:
            for weight in (self.positive, self.negative):
                if weight is not None:
                    weight.clamp_(max=0)

    def extra_repr(self) -> str:
        out, into, kernel, _ = self.positive.shape
        return f"{into}, {out}, kernel_size={kernel}, stride={self.stride}, padding={self.padding}, {self.sam}"
