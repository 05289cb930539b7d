import subprocess
import sys

import pytest
from pydantic import TypeAdapter, ValidationError

from hwprune.models.architecture import Architecture, Concat, Conv
from hwprune.models.yolov3_tiny import yolov3_tiny
from hwprune.sam.choice import Neurons, choose, fitted, floors_missed
from hwprune.sam.settings import Sam

TABLE = yolov3_tiny(2, [8, 12, 16, 16, 16, 16, 16, 16, 16, 6, 16])


def neurons(**by_pattern) -> Neurons:
    return TypeAdapter(Neurons).validate_python({name.replace("X", "*"): value for name, value in by_pattern.items()})


def test_the_last_pattern_decides():
    grouped = {"neuron": "sam", "form": "difference", "group": 4}
    chosen, errors = choose(neurons(convX=grouped, conv1X={"neuron": "mac"}, conv11={"neuron": "sam"}), TABLE)
    assert errors == []
    assert [name for name, sam in chosen.items() if sam] == [*(f"conv{i}" for i in range(2, 10)), "conv11"]
    assert chosen["conv2"] == Sam(form="difference", group=4)
    assert chosen["conv11"] == Sam(form="signed", group=1)
    assert chosen["conv1"] is None  # 3 channels in, which a group of 4 does not divide: nobody asks it to
    assert TABLE.with_neurons(chosen)["conv11"].sam == Sam(form="signed", group=1)


@pytest.mark.parametrize(
    ("given", "floored", "bare"),
    [({}, Sam(form="signed", group=1, floor=True), Sam(form="signed", group=1)),
     ({"group": 2, "shift": 1}, Sam(form="signed", group=2, shift=1, floor=True), Sam(form="signed", group=2, shift=1)),
     ({"floor": False}, *[Sam(form="signed", group=1)] * 2),
     ({"form": "difference"}, Sam(form="difference", group=2, floor=True), Sam(form="difference", group=2)),
     ({"form": "maxmin"}, *[Sam(form="maxmin", group=2)] * 2)],
)  # fmt: skip
def test_what_is_left_open(given, floored, bare):
    """The defaults, and a floor wherever the inputs and the form allow one."""
    leaky, relu = (yolov3_tiny(2, [8] * 11, activation=kind) for kind in ("leaky", "relu"))
    wanted = neurons(**{f"conv{i}": {"neuron": "sam", **given} for i in (2, 5, 10, 11, 12, 13)})
    missed = [] if floored == bare else list(wanted)
    for table, activation, expected in (
        (leaky, "relu", floored), (relu, "same", floored), (relu, "relu", floored),
        (leaky, "same", bare), (relu, "leaky", bare), (leaky, "leaky", bare),
    ):  # fmt: skip
        assert choose(wanted, table, activation) == (dict.fromkeys(wanted, expected), [])
        assert floors_missed(wanted, table, activation) == (missed if expected is bare else [])


def test_a_floor_is_settled_layer_by_layer():
    """Pixels are never negative; what a linear layer gives can be, whatever the others' activation."""
    image, wide = {"inputs": ("image",), "kernel": 1}, {"out_channels": 4, "kernel": 1}
    table = Architecture(
        name="mixed",
        layers=(
            Conv(name="a", out_channels=4, activation="relu", **image),
            Conv(name="b", out_channels=4, activation="linear", **image),
            Concat(name="ab", inputs=("a", "b")),
            Conv(name="c", inputs=("a",), **wide),
            Conv(name="d", inputs=("ab",), **wide),
            Conv(name="e", inputs=("c",), **wide),
        ),
        heads=("d", "e"),
    )
    wanted = neurons(X={"neuron": "sam"})
    for activation, floors, missed in (("same", "abc", ["e"]), ("relu", "abce", []), ("leaky", "ab", ["c", "e"])):
        chosen, errors = choose(wanted, table, activation)
        assert errors == [] and "".join(name for name, sam in chosen.items() if sam.floor) == floors
        assert floors_missed(wanted, table, activation) == missed
    (error,) = choose(neurons(X={"neuron": "sam", "floor": True}), table, "relu")[1]
    assert (error.pattern, error.field) == ("*", "floor")
    assert str(error).startswith("layer d: a floor needs inputs that are never negative")


def test_all_that_is_wrong_is_told():
    chosen, errors = choose(
        neurons(pool1={"neuron": "sam"}, Conv1={"neuron": "mac"}, convX={"neuron": "sam", "group": 8}), TABLE
    )
    assert len(chosen) == 13
    assert [(e.pattern, e.field) for e in errors] == [("pool1", None), ("Conv1", None), ("conv*", "group")]
    assert "there are conv1, conv2" in str(errors[0])
    assert "layer conv1: a SAM group of 8 does not divide 3 input channels; groups that do: 1, 3, or 0" in str(
        errors[2]
    )
    assert "layer conv3: a SAM group of 8 does not divide 12" in str(errors[2])


def test_a_floor_and_what_can_be_negative():
    floored = neurons(convX={"neuron": "sam", "group": 1, "floor": True})
    assert choose(floored, TABLE, "relu")[1] == []
    for activation in ("same", "leaky"):
        (error,) = choose(floored, TABLE, activation)[1]
        assert error.field == "floor" and "layer conv2, conv3, conv4" in str(error)  # conv1 reads pixels
    assert choose(floored, yolov3_tiny(2, activation="relu"))[1] == []


def test_groups_after_pruning():
    pruned = TABLE.with_widths({"conv2": 9, "conv3": 6, "conv4": 8})
    four = Sam(form="difference", group=4)
    wanted = dict.fromkeys(("conv2", "conv3", "conv4", "conv5"), four) | {"conv6": None}
    found = fitted(wanted, pruned)
    assert {name: sam and sam.group for name, sam in found.items()} == {
        "conv2": 4, "conv3": 3, "conv4": 3, "conv5": 4, "conv6": None,
    }  # fmt: skip
    pruned.with_neurons(found)
    whole = {"conv3": Sam(form="difference", group=0)}
    assert fitted(whole, pruned) == whole


def test_no_group_fits():
    pruned = TABLE.with_widths({"conv2": 7})
    with pytest.raises(ValueError, match=r"layer 'conv3': a SAM group of 4 does not divide 7.*groups that do: 7"):
        fitted({"conv3": Sam(form="difference", group=4)}, pruned)
    assert fitted({"conv3": Sam(form="signed", group=4)}, pruned)["conv3"].group == 1


@pytest.mark.parametrize("neuron", [{}, {"neuron": "max"}, {"neuron": "mac", "group": 2}, {"neuron": "sam", "bits": 4}])
def test_nonsense_is_refused(neuron):
    with pytest.raises(ValidationError):
        neurons(conv1=neuron)


def test_torch_stays_out():
    code = "import sys, hwprune.sam.choice; print([m for m in ('torch', 'numpy') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"
