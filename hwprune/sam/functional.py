"""SAM as a differentiable function of tensors: `sam_conv2d`, and `soft_sam_conv2d` for annealing in training.

`hwprune.sam.neuron` defines what is computed.
"""

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from hwprune.sam.settings import FORMS, Form


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
) -> Tensor:
    """A layer of SAM neurons, as `hwprune.sam.neuron.sam` defines it over `hwprune.sam.neuron.windows`.

    Differentiable once, by every tensor. The extreme's winner gets the whole gradient; of equal ones the connection
    with the lowest number wins. NaN wins everything, as in NumPy. Neither the windows nor the winners are stored.

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
    geometry = _geometry(x, positive, negative, sign, form, group, stride, padding)
    return _SamConv2d.apply(x, positive, negative, sign, form, geometry)


class _SamConv2d(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, positive, negative, sign, form, geometry):
        kernels = _kernels(x.device)
        positive, negative, sign = (None if t is None else t.contiguous() for t in (positive, negative, sign))
        ctx.save_for_backward(x, positive, negative, sign)
        ctx.form, ctx.geometry = form, geometry
        return kernels.forward(x, positive, negative, sign, form, geometry)

    @staticmethod
    @once_differentiable
    def backward(ctx, go):
        gradients = _kernels(go.device).backward(
            *ctx.saved_tensors, go.contiguous(), ctx.form, ctx.geometry, ctx.needs_input_grad[0]
        )
        return *gradients, None, None


def _kernels(device: torch.device):
    match device.type:
        case "cpu":
            from hwprune.sam.kernels import cpu as kernels
        case other:
            raise ValueError(f"SAM runs on cpu, not on a tensor of {other}")
    return kernels


def _geometry(x, positive, negative, sign, form, group, stride, padding) -> tuple[int, ...]:
    """(N, C, H, W, J, k, stride, padding, H', W', group), after every check."""
    if form not in FORMS:
        raise ValueError(f"form {form!r} is none of {', '.join(FORMS)}")
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
    return images, channels, height, width, units, kernel, stride, padding, out_height, out_width, group
