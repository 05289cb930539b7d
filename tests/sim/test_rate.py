"""Latency and interval from the cycles of beats."""

from types import SimpleNamespace

import numpy as np

from hwprune.sim.rate import Rate, rate


def design(beats=1):
    outputs = [SimpleNamespace(name=name, beats=beats) for name in "ab"]
    return SimpleNamespace(inputs=[SimpleNamespace(name="image", beats=2)], outputs=outputs)


def test_the_interval_is_that_of_the_slowest_head():
    """Of each by itself: the head that ends the first frame need not be the one that ends the others."""
    cycles = {"image": [50, 51], "a": [300, 400, 500], "b": [200, 400, 600]}
    found = rate(design(), {name: np.array(c) for name, c in cycles.items()}, 3)
    assert found == Rate(latency=250, interval=200, steady=True)


def test_steps_that_still_change_are_not_steady():
    cycles = {"image": [0], "a": [10, 20, 30, 45], "b": [10, 20, 30, 40]}
    found = rate(design(), {name: np.array(c) for name, c in cycles.items()}, 4)
    assert (found.interval, found.steady) == (15, False)


def test_one_frame_has_no_interval_and_surplus_beats_do_not_matter():
    cycles = {"image": [5, 6, 9], "a": [10, 20, 99], "b": [10, 30, 99]}
    assert rate(design(2), {name: np.array(c) for name, c in cycles.items()}, 1) == Rate(25, None, False)
