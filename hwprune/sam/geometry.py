"""The sizes of a SAM layer's operands, checked."""

from typing import NamedTuple

import torch
from torch import Tensor

from hwprune.sam.settings import FORMS, Form


class Geometry(NamedTuple):
    """In the order in which ``kernels/sam.cpp`` reads them."""

    images: int
    channels: int
    height: int
    width: int
    units: int
    kernel: int
    stride: int
    padding: int
    out_height: int
    out_width: int
    group: int

    @classmethod
    def of(
        cls,
        x: Tensor,
        positive: Tensor,
        negative: Tensor | None,
        sign: Tensor | None,
        form: Form,
        group: int,
        stride: int,
        padding: int,
        floor: bool = False,
    ) -> "Geometry":
        """The geometry of operands as `hwprune.sam.functional.sam_conv2d` takes them.

        Raises
        ------
        ValueError
            If something does not fit; the message holds the values.
        """
        if form not in FORMS:
            raise ValueError(f"form {form!r} is none of {', '.join(FORMS)}")
        if floor and form == "maxmin":
            raise ValueError("the form maxmin has minima, which cannot start at zero: no floor")
        if x.dim() != 4:
            raise ValueError(f"x has shape {tuple(x.shape)}; it must be (N, C, H, W)")
        images, channels, height, width = x.shape
        if positive.dim() != 4 or positive.shape[1] != channels or positive.shape[2] != positive.shape[3]:
            raise ValueError(
                f"positive has shape {tuple(positive.shape)}; for x of shape {tuple(x.shape)} "
                f"it must be (J, {channels}, k, k)"
            )
        units, kernel = positive.shape[0], positive.shape[2]
        if (negative is None) != (form == "signed"):
            raise ValueError(
                f"the form {form} takes {'no negative weights' if form == 'signed' else 'negative weights, not None'}"
            )
        if negative is not None and negative.shape != positive.shape:
            raise ValueError(f"negative has shape {tuple(negative.shape)}, positive {tuple(positive.shape)}")
        connections = channels * kernel**2
        if not 1 <= group <= connections or (group != connections and channels % group):
            raise ValueError(
                f"a group of {group} connections: it must divide the {channels} channels, "
                f"or be all {connections} connections"
            )
        if sign is not None and sign.shape != (units, connections // group):
            raise ValueError(f"sign has shape {tuple(sign.shape)}; it must be ({units}, {connections // group})")
        if stride < 1 or padding < 0:
            raise ValueError(f"stride {stride}, padding {padding}: stride must be 1 or more, padding not negative")
        out_height, out_width = ((size + 2 * padding - kernel) // stride + 1 for size in (height, width))
        if min(height, width, kernel) < 1 or min(out_height, out_width) < 1:
            raise ValueError(
                f"a window of {kernel}x{kernel} does not fit into {height}x{width} pixels with a padding of {padding}"
            )
        if x.dtype not in (torch.float32, torch.float64):
            raise ValueError(f"x is of {x.dtype}; it must be float32 or float64")
        for name, tensor in (("positive", positive), ("negative", negative), ("sign", sign)):
            if tensor is not None and (tensor.dtype != x.dtype or tensor.device != x.device):
                raise ValueError(f"{name} is {tensor.dtype} on {tensor.device}, x {x.dtype} on {x.device}")
        return cls(images, channels, height, width, units, kernel, stride, padding, out_height, out_width, group)
