"""The global percentile, the floor, and widths for the hardware."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from hwprune.prune.select import hardware_width, select
from hwprune.prune.settings import SlimmingSettings, SparsifySettings

SCORES = st.dictionaries(
    st.sampled_from(["conv1", "conv2", "conv3", "conv4"]),
    st.lists(st.integers(0, 30).map(lambda i: i / 10), min_size=1, max_size=40),
    min_size=1,
)


def tensors(scores):
    return {name: torch.tensor(values, dtype=torch.float64) for name, values in scores.items()}


@settings(max_examples=200, deadline=None)
@given(SCORES, st.floats(0, 0.99))
def test_threshold_against_numpy(scores, fraction):
    # Floor and multiple of one: all that is left is the percentile (and one channel a group). Scores are made distinct.
    names = np.repeat(list(scores), [len(values) for values in scores.values()])
    flat = np.concatenate(list(scores.values())) + np.arange(len(names)) * 1e-6
    distinct = {name: flat[names == name] for name in scores}
    count = round(fraction * len(flat))
    threshold = -np.inf if count == 0 else np.partition(flat, count - 1)[count - 1]
    kept = select(tensors(distinct), SlimmingSettings(fraction=fraction, min_channels=1, multiple=1))
    for name, values in distinct.items():
        above = np.flatnonzero(values > threshold)
        assert list(kept[name]) == (above.tolist() or [int(values.argmax())])


@settings(max_examples=200, deadline=None)
@given(SCORES, st.floats(0, 0.99), st.integers(1, 12), st.integers(1, 9))
def test_widths(scores, fraction, least, multiple):
    importance = tensors(scores)
    kept = select(importance, SlimmingSettings(fraction=fraction, min_channels=least, multiple=multiple))
    plain = select(importance, SlimmingSettings(fraction=fraction, min_channels=1, multiple=1))
    assert kept.keys() == importance.keys()
    for name, own in importance.items():
        channels = list(kept[name])
        assert channels == sorted(set(channels)) and channels[0] >= 0 and channels[-1] < len(own)
        assert len(channels) == len(own) or (len(channels) % multiple == 0 and len(channels) >= least)
        # As few as that allows, and whoever survives the threshold stays.
        assert len(channels) < max(len(plain[name]), least) + multiple
        assert set(plain[name]) <= set(channels)
        gone = own[[i for i in range(len(own)) if i not in channels]]
        assert not len(gone) or own[channels].min() >= gone.max()


@settings(max_examples=50, deadline=None)
@given(SCORES, st.integers(1, 12), st.integers(1, 9))
def test_fraction_zero_keeps_everything(scores, least, multiple):
    kept = select(tensors(scores), SlimmingSettings(fraction=0, min_channels=least, multiple=multiple))
    assert kept == {name: tuple(range(len(values))) for name, values in scores.items()}


def test_no_groups():
    assert select({}, SlimmingSettings()) == {}


def test_equal_scores_give_exactly_the_fraction():
    kept = select(
        {"conv1": torch.ones(10), "conv2": torch.ones(10)}, SlimmingSettings(fraction=0.3, min_channels=1, multiple=1)
    )
    assert kept == {"conv1": tuple(range(6, 10)), "conv2": tuple(range(10))}


@pytest.mark.parametrize(
    ("count", "before", "least", "multiple", "width"),
    [(0, 16, 4, 4, 4), (5, 16, 4, 4, 8), (8, 16, 4, 4, 8), (15, 18, 4, 8, 16), (17, 18, 4, 8, 18), (1, 3, 8, 4, 3)],
)
def test_hardware_width(count, before, least, multiple, width):
    assert hardware_width(count, before, SlimmingSettings(min_channels=least, multiple=multiple)) == width


@pytest.mark.parametrize(
    "bad", [{"fraction": 1}, {"fraction": -0.1}, {"multiple": 0}, {"min_channels": 0}, {"method": "x"}, {"share": 1}]
)
def test_settings_out_of_range(bad):
    with pytest.raises(ValidationError):
        SlimmingSettings(**bad)


@pytest.mark.parametrize("bad", [0, -1, float("nan"), float("inf")])
def test_penalty_out_of_range(bad):
    with pytest.raises(ValidationError):
        SparsifySettings(l1=bad)
