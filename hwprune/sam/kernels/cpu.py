"""The kernel on the CPU: C++, see ``sam.cpp``.

Why not Numba, which installs with pip: its inner loops for groups of 4 (difference, unrolled by hand, vectorised by
LLVM) took 19 and 37 cycles for 16 places forward and backward on a Zen 4, these take 11 and 25 (those of conv2d about 4
and 8). 1.5 times slower is outside of the goal of 4 times conv2d, and each size of group would need a source of its
own, where C++ has templates.
"""

import ctypes

import torch
from torch import Tensor

from hwprune.sam.geometry import Geometry
from hwprune.sam.kernels import build
from hwprune.sam.settings import FORMS, Form

_TYPES = {torch.float32: "float", torch.float64: "double"}


def forward(
    x: Tensor,
    positive: Tensor,
    negative: Tensor | None,
    sign: Tensor | None,
    form: Form,
    geometry: Geometry,
    floor: bool,
) -> Tensor:
    """The sums; x of any strides, all else contiguous."""
    out = x.new_empty(geometry.images, geometry.units, geometry.out_height, geometry.out_width)
    library = build.load("sam.cpp", SAM_TYPE=_TYPES[x.dtype], SAM_FORM=FORMS.index(form), SAM_FLOOR=int(floor))
    library.sam_forward(_numbers(geometry, x), *map(_pointer, (x, positive, negative, sign, out)), _threads())
    return out


def backward(
    x: Tensor,
    positive: Tensor,
    negative: Tensor | None,
    sign: Tensor | None,
    go: Tensor,
    form: Form,
    geometry: Geometry,
    floor: bool,
    needs_x: bool,
) -> tuple[Tensor | None, Tensor, Tensor | None, Tensor | None]:
    """Gradients of x (None if not needed), positive, negative and sign."""
    gx = x.new_zeros(x.shape) if needs_x else None
    gp = torch.zeros_like(positive)
    gn = None if negative is None else torch.zeros_like(negative)
    gsign = None if sign is None else torch.zeros_like(sign)
    library = build.load("sam.cpp", SAM_TYPE=_TYPES[x.dtype], SAM_FORM=FORMS.index(form), SAM_FLOOR=int(floor))
    tensors = (x, positive, negative, sign, go, gx, gp, gn, gsign)
    library.sam_backward(_numbers(geometry, x), *map(_pointer, tensors), _threads())
    return gx, gp, gn, gsign


def _numbers(geometry: Geometry, x: Tensor) -> ctypes.Array:
    values = (*geometry, *x.stride())
    return (ctypes.c_int64 * len(values))(*values)


def _pointer(tensor: Tensor | None) -> ctypes.c_void_p:
    return ctypes.c_void_p(None if tensor is None else tensor.data_ptr())


def _threads() -> ctypes.c_int:
    return ctypes.c_int(torch.get_num_threads())
