import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from hwprune.data.split import FractionSplit, ListSplit, PrefixSplit, Split, split_indices
from hwprune.errors import UserError

NAMES = [f"images/{source}_{number}.jpg" for source in ("a", "b", "c") for number in range(40)]
names = st.lists(st.text("abcdef0123", min_size=1, max_size=8), min_size=30, max_size=60, unique=True)


@settings(max_examples=50, deadline=None)
@given(names, names)
def test_new_images_do_not_move_the_old_ones(old, new):
    rule = FractionSplit(val=0.5)
    together = list(dict.fromkeys(old + new))
    assert rule.held_out(together)[0][: len(old)] == rule.held_out(old)[0]


def test_fraction_holds_out_about_that_share():
    many = [f"{number:06}.jpg" for number in range(20000)]
    train, val, problems = split_indices(many, FractionSplit(val=0.2))
    assert sorted(train + val) == list(range(20000))
    assert abs(len(val) / 20000 - 0.2) < 0.012  # four standard deviations
    assert problems == []
    assert split_indices(many, FractionSplit(val=0.2, seed=1))[1] != val


def test_fraction_is_the_hash_of_seed_and_name():
    """`printf 0:abc | sha256sum` begins with af933b62650d045f: a share of 0.68584..."""
    share = 0xAF933B62650D045F / 2**64
    assert FractionSplit(val=share + 1e-9).held_out(["abc"])[0] == [True]
    assert FractionSplit(val=share - 1e-9).held_out(["abc"])[0] == [False]


def test_prefix_of_the_file_name_or_of_the_path():
    train, val, _ = split_indices(NAMES, PrefixSplit(val=["b_", "c_1"]))
    assert {NAMES[index] for index in val} == {n for n in NAMES if n.startswith(("images/b_", "images/c_1"))}
    assert len(train) + len(val) == len(NAMES)
    assert split_indices(NAMES, PrefixSplit(val=["images/a"]))[1] == list(range(40))


def test_list_takes_paths_stems_and_file_names(tmp_path):
    listed = tmp_path / "val.txt"
    listed.write_text("\ufeffimages/a_0.jpg\nimages/a_1\n\na_2\r\n  a_3.jpg \n/elsewhere/data/a_4.jpg\nnobody\n")
    _, val, problems = split_indices(NAMES, ListSplit(val=listed))
    assert val == [0, 1, 2, 3, 4]
    assert [(problem.line, "nobody" in problem.message) for problem in problems] == [(7, True)]


def test_stem_with_dots(tmp_path):
    listed = tmp_path / "val.txt"
    listed.write_text("film.v1.001\n")
    assert split_indices(["film.v1.001.jpg", "film.v1.002.jpg"], ListSplit(val=listed))[1] == [0]


@pytest.mark.parametrize("content", [None, b"\xff\xfe\x00"])
def test_unreadable_list(tmp_path, content):
    listed = tmp_path / "val.txt"
    if content:
        listed.write_bytes(content)
    with pytest.raises(UserError, match=r"data\.split\.val: .*val\.txt"):
        split_indices(NAMES, ListSplit(val=listed))


@pytest.mark.parametrize(
    ("rule", "side"),
    [(PrefixSplit(val=["z"]), "validation"), (PrefixSplit(val=["a", "b", "c"]), "training")],
)
def test_an_empty_side_is_refused(rule, side):
    with pytest.raises(UserError, match=rf"data\.split: .*no image for {side} out of 120"):
        split_indices(NAMES, rule)


def test_nothing_to_split():
    with pytest.raises(UserError, match="no image to split"):
        split_indices([], FractionSplit())


@pytest.mark.parametrize(
    "text",
    [
        {"rule": "fraction", "val": 0},
        {"rule": "fraction", "val": 1},
        {"rule": "fraction", "val": 0.2, "sed": 1},
        {"rule": "prefix"},
        {"rule": "prefix", "val": []},
        {"rule": "prefix", "val": [""]},
        {"rule": "list"},
        {"rule": "random", "val": 0.2},
        {"val": 0.2},
    ],
)
def test_wrong_rules_are_refused(text):
    with pytest.raises(ValidationError):
        TypeAdapter(Split).validate_python(text)
