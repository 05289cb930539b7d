"""Threads follow the size of the images, and the caller's number comes back."""

import pytest
import torch

from hwprune.train.threads import suited_to


@pytest.fixture(autouse=True)
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize(("size", "threads"), [((96, 96), 1), ((128, 128), 1), ((416, 416), 2)])
def test_small_images_take_one_thread(size, threads):
    with suited_to(size):
        assert torch.get_num_threads() == threads
    assert torch.get_num_threads() == 2


def test_an_error_restores_the_number_too():
    with pytest.raises(RuntimeError), suited_to((96, 96)):
        raise RuntimeError
    assert torch.get_num_threads() == 2
