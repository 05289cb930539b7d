"""SAM as a differentiable function of tensors: `sam_conv2d`, and `soft_sam_conv2d` for annealing in training.

`hwprune.sam.neuron` defines what is computed.
"""

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from hwprune.sam.geometry import Geometry
from hwprune.sam.settings import Form
from hwprune.sam.soft import soft_sam_conv2d

__all__ = ["sam_conv2d", "soft_sam_conv2d"]


def sam_conv2d(
    x: Tensor,
    positive: Tensor,
    negative: Tensor | None = None,
    sign: Tensor | None = None,
    *,
    form: Form,
    group: int,
    stride: int = 1,
    padding: int = 0,
    floor: bool = False,
) -> Tensor:
    """A layer of SAM neurons, as `hwprune.sam.neuron.sam` defines it over `hwprune.sam.neuron.windows`.

    Differentiable once, by every tensor. The extreme's winner gets the whole gradient; of equal ones the connection
    with the lowest number wins, but a floor before all. NaN wins everything, as in NumPy. Neither the windows nor the
    winners are stored.

    Parameters
    ----------
    x
        (N, C, H, W), float32 or float64.
    positive
        P, (J, C, k, k).
    negative
        N, (J, C, k, k); None in the form ``signed``.
    sign
        (J, C * k * k / group), by which each group's term is multiplied (+1 and -1 in a trained layer; any value is
        taken); all 1 if None.
    form
        Which terms, see `hwprune.sam.settings.Sam`.
    group
        Connections that share an extreme: a divisor of C, or C * k * k.
    stride, padding
        As in `torch.nn.functional.conv2d`; a padded pixel takes part with x = 0.
    floor
        Maxima start at zero; not in the form ``maxmin``.

    Returns
    -------
    Tensor
        (N, J, H', W').

    Raises
    ------
    ValueError
        If shapes, types, devices, form or group do not fit together.
    UserError
        On a CPU, if there is no C++ compiler.
    """
    geometry = Geometry.of(x, positive, negative, sign, form, group, stride, padding, floor)
    return _SamConv2d.apply(x, positive, negative, sign, form, geometry, floor)


class _SamConv2d(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, positive, negative, sign, form, geometry, floor):
        kernels = _kernels(x.device)
        positive, negative, sign = (None if t is None else t.contiguous() for t in (positive, negative, sign))
        ctx.save_for_backward(x, positive, negative, sign)
        ctx.form, ctx.geometry, ctx.floor = form, geometry, floor
        return kernels.forward(x, positive, negative, sign, form, geometry, floor)

    @staticmethod
    @once_differentiable
    def backward(ctx, go):
        gradients = _kernels(go.device).backward(
            *ctx.saved_tensors, go.contiguous(), ctx.form, ctx.geometry, ctx.floor, ctx.needs_input_grad[0]
        )
        return *gradients, None, None, None


def _kernels(device: torch.device):
    match device.type:
        case "cpu":
            from hwprune.sam.kernels import cpu as kernels
        case "cuda":
            from hwprune.sam.kernels import triton_sam as kernels
        case other:
            raise ValueError(f"SAM runs on cpu and cuda, not on a tensor of {other}")
    return kernels
