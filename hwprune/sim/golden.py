"""What every stream of the accelerator must carry, from the integer network alone.

Only PyTorch and NumPy are used here, nothing of FINN: the values are an independent account of what the hardware should
do.
"""

from collections.abc import Iterable

import numpy as np
import torch

from hwprune.quant.export import accumulator
from hwprune.quant.integer import IntegerNetwork


@torch.no_grad()
def golden_streams(network: IntegerNetwork, image: np.ndarray, tensors: Iterable[str]) -> dict[str, np.ndarray]:
    """The integers that pass on a stream for one frame, in the order in which they pass.

    Parameters
    ----------
    network
        Integer form.
    image
        uint8, (C, H, W).
    tensors
        Names as `hwprune.accel.lower` gives them: a layer, ``<layer>_copy<i>``, ``<convolution>_pad``, ``_window``,
        ``_acc``.

    Returns
    -------
    dict
        For every tensor, int64 of shape (values,): channels last, windows row by row.
    """
    values = network.forward_all(torch.from_numpy(image.astype(np.float32))[None])
    return {name: _stream(network, values, name).astype(np.int64).reshape(-1) for name in tensors}


def _stream(network: IntegerNetwork, values: dict[str, torch.Tensor], name: str) -> np.ndarray:
    if name in values:
        return _channels_last(values[name])
    layer, _, kind = name.rpartition("_")
    if kind.startswith("copy"):
        return _channels_last(values[layer])
    if name == accumulator(layer):
        return _channels_last(network.accumulators(values, layer))
    conv = network.architecture[layer]
    padded = np.pad(_channels_last(values[conv.input]), [(conv.padding,) * 2] * 2 + [(0, 0)])
    if kind == "pad":
        return padded
    if kind != "window":
        raise KeyError(f"stream of tensor {name!r} is not known at the level `network`")
    reached = np.lib.stride_tricks.sliding_window_view(padded, (conv.reach, conv.reach), axis=(0, 1))
    windows = reached[:: conv.stride, :: conv.stride, :, :: conv.dilation, :: conv.dilation]
    # (rows, columns, channels, kernel row, kernel column) -> channels last
    return windows.transpose(0, 1, 3, 4, 2)


def _channels_last(tensor: torch.Tensor) -> np.ndarray:
    return tensor[0].permute(1, 2, 0).numpy()
