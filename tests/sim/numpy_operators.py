"""What FINN's operators compute, on whole integer tensors, in NumPy and PyTorch alone."""

import numpy as np
import torch
import torch.nn.functional as F


def zero_padded(values, top, left, bottom, right):
    """(N, H, W, C) with zeros around."""
    return np.pad(values, ((0, 0), (top, bottom), (left, right), (0, 0)))


def convolution_windows(values, kernel, stride, dilation=(1, 1)):
    """(N, H, W, C) -> (N, h, w, kernel row * kernel column * channel), by PyTorch's unfold."""
    frames, _, _, channels = values.shape
    images = torch.from_numpy(values).permute(0, 3, 1, 2).double()
    sizes = zip(images.shape[2:], kernel, stride, dilation, strict=True)
    height, width = ((extent - d * (k - 1) - 1) // s + 1 for extent, k, s, d in sizes)
    seen = F.unfold(images, kernel, dilation, stride=stride).reshape(frames, channels, *kernel, height, width)
    return seen.permute(0, 4, 5, 2, 3, 1).reshape(frames, height, width, -1).numpy().astype(np.int64)


def count_reached(values, thresholds):
    """For each channel of (..., C), how many of its thresholds (C or 1, steps) a value reaches."""
    return (values[..., None] >= thresholds).sum(-1)
