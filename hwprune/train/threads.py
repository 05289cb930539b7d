"""How many threads a training step uses."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

SMALL = 128 * 128
"""Pixels. Measured on two cores: up to this size two threads are no faster than one on a free machine, and four times
slower on a busy one, for they mostly wait for each other."""


@contextmanager
def suited_to(image_size: tuple[int, int]) -> Iterator[None]:
    """One thread for small images, as many as torch had otherwise; restored with the block."""
    before = torch.get_num_threads()
    if image_size[0] * image_size[1] <= SMALL:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
