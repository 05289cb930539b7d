"""Selections that fit their readers: tables worked by hand, and what must hold for any table."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tables import architectures, network_of

from hwprune.models.architecture import IMAGE, Add, Architecture, Concat, Conv, MaxPool
from hwprune.models.network import Network
from hwprune.prune.balance import balance
from hwprune.prune.groups import channel_groups
from hwprune.prune.select import select
from hwprune.prune.settings import SlimmingSettings
from hwprune.prune.surgery import mask, prune
from hwprune.sam.settings import Sam

PLAIN = SlimmingSettings(min_channels=1, multiple=1)


def conv(name, source, out, sam=None, kernel=1, **fields):
    return Conv(name=name, inputs=(source,), out_channels=out, kernel=kernel, sam=sam, **fields)


def table(*layers):
    return Architecture(name="t", layers=layers, heads=("head",))


def scores(**values):
    return {name: torch.tensor(value, dtype=torch.float64) for name, value in values.items()}


def reader(group, form="difference", width=8, **fields):
    """Convolution ``a``, read by one SAM layer."""
    return table(conv("a", IMAGE, width), conv("head", "a", 2, Sam(form=form, group=group), **fields))


#        channels  0  1  2  3    4  5  6  7
IMPORTANCE = scores(a=[1, 9, 8, 2, 3, 4, 5, 7])


@pytest.mark.parametrize(
    ("architecture", "chosen", "expected"),
    [
        # Survivors 3 and 2, mean 2.5: three each, 5 comes back as the most important of its group.
        (reader(4), (0, 1, 2, 6, 7), (0, 1, 2, 5, 6, 7)),
        # 3 and 1: two each, 0 goes and 6 comes.
        (reader(4), (0, 1, 2, 7), (1, 2, 6, 7)),
        # One survivor: a difference needs two in each group, the signed form one.
        (reader(4), (1,), (1, 2, 6, 7)),
        (reader(4, "signed"), (1,), (1, 7)),
        # The whole field has no groups to keep equal ...
        (reader(0), (1, 2, 7), (1, 2, 7)),
        (reader(0, kernel=3), (1,), (1,)),
        # ... but the difference of one connection is a constant.
        (reader(0), (1,), (1, 2)),
        (reader(0, "maxmin"), (1,), (1,)),
    ],
)
def test_one_reader(architecture, chosen, expected):
    found = balance(architecture, IMPORTANCE, {"a": chosen}, PLAIN)
    assert found == {"a": expected}
    prune(Network(architecture), found)


def test_a_group_across_the_seam_of_a_concat():
    # Groups of the reader: a0 a1 a2 | b0 b1 b2.. with a of two channels: (a0 a1 b0) (b1 b2 b3).
    architecture = table(
        conv("a", IMAGE, 2), conv("b", IMAGE, 4), Concat(name="ab", inputs=("a", "b")),
        conv("head", "ab", 2, Sam(form="maxmin", group=3)),
    )  # fmt: skip
    importance = scores(a=[1, 2], b=[6, 3, 4, 5])
    found = balance(architecture, importance, {"a": (1,), "b": (0, 3)}, PLAIN)
    assert found == {"a": (1,), "b": (0, 2, 3)}
    assert prune(Network(architecture), found).architecture["head"].sam.group == 2
    # As many as the mean of one and one: nothing to do.
    assert balance(architecture, importance, {"a": (1,), "b": (3,)}, PLAIN) == {"a": (1,), "b": (3,)}


def test_readers_with_nested_groups_agree():
    architecture = table(
        conv("a", IMAGE, 8), MaxPool(name="p", inputs=("a",)),
        conv("coarse", "p", 2, Sam(form="signed", group=4)), conv("fine", "p", 2, Sam(form="difference", group=4)),
        conv("finest", "p", 2, Sam(form="signed", group=2)), Concat(name="c", inputs=("coarse", "fine", "finest")),
        conv("head", "c", 1),
    )  # fmt: skip
    # One survivor in each pair, from 0, 2, 1, 1 (mean 1).
    found = balance(architecture, IMPORTANCE, {"a": (2, 3, 5, 7)}, PLAIN)
    assert found == {"a": (1, 2, 5, 7)}
    small = prune(Network(architecture), found).architecture
    assert [small[name].sam.group for name in ("coarse", "fine", "finest")] == [2, 2, 1]


def test_readers_whose_groups_cross_get_all_they_need():
    # Groups of four and of six over twelve channels: four by four, then six by six are equal with two of each four only
    # if 4..7 has them halved; channels come back until both are.
    architecture = table(
        conv("a", IMAGE, 12), conv("b", "a", 2, Sam(form="difference", group=4)),
        conv("c", "a", 2, Sam(form="difference", group=6)),
        Concat(name="bc", inputs=("b", "c")), conv("head", "bc", 1),
    )  # fmt: skip
    importance = scores(a=list(range(12)))
    found = balance(architecture, importance, {"a": (8, 9, 10, 11)}, PLAIN)["a"]
    per_four, per_six = ([sum(i // g == j for i in found) for j in range(12 // g)] for g in (4, 6))
    assert len(set(per_four)) == len(set(per_six)) == 1
    prune(Network(architecture), {"a": found})


def test_channels_that_cannot_go_set_the_size():
    # The reader sees two channels of the image in one group, and two of a in the other.
    architecture = table(
        conv("a", IMAGE, 3), Concat(name="c", inputs=(IMAGE, "a")), conv("head", "c", 2, Sam(form="signed", group=3))
    )
    assert balance(architecture, scores(a=[1, 2, 3]), {"a": (2,)}, PLAIN) == {"a": (0, 1, 2)}


def test_widths_stay_multiples_and_groups_equal():
    # Six groups of four; 8 survivors give two each (12), not a multiple of 8; three each would be 18; four each is all.
    architecture = reader(4, width=24)
    importance = scores(a=list(range(24)))
    found = balance(architecture, importance, {"a": tuple(range(16, 24))}, SlimmingSettings(multiple=8, min_channels=8))
    assert found == {"a": tuple(range(24))}
    found = balance(architecture, importance, {"a": tuple(range(16, 24))}, SlimmingSettings(multiple=4, min_channels=8))
    assert len(found["a"]) == 12


def test_every_convolution_of_a_tied_group_keeps_a_channel():
    architecture = table(
        conv("a", IMAGE, 2), conv("b", IMAGE, 2), Concat(name="ab", inputs=("a", "b")), conv("c", IMAGE, 4),
        Add(name="x", inputs=("ab", "c")), conv("head", "x", 1),
    )  # fmt: skip
    network, chosen = Network(architecture), {"a": (2, 3)}
    for cut in (prune, mask):
        with pytest.raises(ValueError, match=r"leave layer 'a' no channel; its channels are 0, 1 of the group"):
            cut(network, chosen)
    found = balance(architecture, scores(a=[1, 2, 3, 4]), chosen, PLAIN)
    assert found == {"a": (1, 2, 3)}
    prune(network, found)


@pytest.mark.parametrize(
    ("architecture", "chosen", "complaint"),
    [
        (reader(4, "maxmin"), (0, 1, 2, 7), "'head': its groups of 4 input channels would keep 1 to 3 of them"),
        (reader(4, "signed"), (0, 1, 2), "would keep 0 to 3 of them; all must keep equally many, at least 1"),
        (reader(4), (0, 7), "would keep 1 to 1 of them; all must keep equally many, at least 2"),
        (reader(0), (7,), "'head': its groups of 8 input channels would keep 1 to 1 of them; .* at least 2"),
    ],
)
def test_surgery_refuses_what_does_not_fit(architecture, chosen, complaint):
    for cut in (prune, mask):
        with pytest.raises(ValueError, match=complaint):
            cut(Network(architecture), {"a": chosen})


@settings(max_examples=80, deadline=None)
@given(st.data())
def test_any_selection_can_be_carried_out(data):
    architecture = data.draw(architectures(sam=data.draw(st.booleans())))
    knobs = SlimmingSettings(
        fraction=data.draw(st.floats(0, 0.95)),
        min_channels=data.draw(st.integers(1, 3)),
        multiple=data.draw(st.integers(1, 3)),
    )
    seed = data.draw(st.integers(0, 2**16))
    generator = torch.Generator().manual_seed(seed)
    groups = [group for group in channel_groups(architecture) if data.draw(st.booleans())]
    importance = {g.name: torch.rand(g.width, generator=generator, dtype=torch.float64) for g in groups}
    chosen = select(importance, knobs)
    found = balance(architecture, importance, chosen, knobs)
    small = prune(network_of(architecture, 1), found).architecture  # raises what does not fit
    assert found.keys() == chosen.keys()
    for group in groups:
        width = len(found[group.name])
        assert width == group.width or (width % knobs.multiple == 0 and width >= knobs.min_channels)
    assert balance(architecture, importance, found, knobs) == found
    if not any(layer.op == "conv" and layer.sam for layer in architecture.layers):
        # Only what would have left a convolution empty comes back.
        assert all(set(chosen[name]) <= set(found[name]) for name in chosen)
        single = [group.name for group in groups if len(group.members) == 1]
        assert all(found[name] == chosen[name] for name in single)
    assert small.channels().keys() == architecture.channels().keys()
