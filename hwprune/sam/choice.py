"""Which layers of a network are SAM: names or patterns, each with a neuron. Imports neither torch nor NumPy."""

from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from hwprune.models.architecture import IMAGE, Architecture
from hwprune.sam.settings import Form, Sam, has_floors


class MacNeuron(BaseModel):
    """Multiply and accumulate: an ordinary convolution."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    neuron: Literal["mac"]

    def over(self, *, never_negative: bool) -> None:
        """No SAM neuron, over whatever inputs."""
        return None


def _best_group(given: dict[str, Any]) -> int:
    return 1 if given.get("form") == "signed" else 2


class SamNeuron(BaseModel):
    """A SAM neuron; the defaults are what came closest to multiply-accumulate in 4 bits (docs/sam-accuracy.md)."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    neuron: Literal["sam"]
    form: Form = "signed"
    """As in `hwprune.sam.settings.Sam`."""
    group: Annotated[int, Field(ge=0, default_factory=_best_group)]
    """As in `hwprune.sam.settings.Sam`; 1 for the form ``signed``, 2 for the others, where it is not given."""
    shift: Annotated[int, Field(ge=-3, le=3)] = 0
    """As in `hwprune.sam.settings.Sam`."""
    floor: bool | None = None
    """As in `hwprune.sam.settings.Sam`; where it is not given, each layer has one that can: the form has maxima only,
    and the layer's inputs are never negative."""

    @model_validator(mode="after")
    def _is_possible(self):
        self.over(never_negative=True)
        return self

    def over(self, *, never_negative: bool) -> Sam:
        """What a layer table holds for a layer with such inputs."""
        floor = never_negative and has_floors(self.form) if self.floor is None else self.floor
        return Sam(form=self.form, group=self.group, shift=self.shift, floor=floor)


Neurons = dict[str, Annotated[MacNeuron | SamNeuron, Field(discriminator="neuron")]]
"""By the name of a convolution, or a pattern of names (``conv[4-7]``, ``conv*``); where several match, the last one
decides."""


class ChoiceError(ValueError):
    """Neurons that a network cannot have.

    Attributes
    ----------
    pattern
        The key that is at fault.
    field
        Of its neuron, or None where the pattern itself is at fault.
    """

    def __init__(self, pattern: str, field: str | None, message: str):
        super().__init__(message)
        self.pattern, self.field = pattern, field


def choose(
    neurons: Neurons, architecture: Architecture, activation: Literal["same", "leaky", "relu"] = "same"
) -> tuple[dict[str, Sam | None], list[ChoiceError]]:
    """The neuron of each convolution that a pattern names, with what was left open settled, and all that is wrong with
    the choice.

    Parameters
    ----------
    neurons
        By pattern.
    architecture
        The layer table, with the widths from which the groups are taken.
    activation
        Of the quantised network, as in `hwprune.quant.precision.Precision`.

    Returns
    -------
    chosen : dict
        By layer, in the table's order; for `hwprune.models.architecture.Architecture.with_neurons`.
    errors : list of ChoiceError
        Patterns that match no convolution, groups that do not fit, and floors under inputs that can be negative.
    """
    convolutions = [layer.name for layer in architecture.layers if layer.op == "conv"]
    decisive: dict[str, str] = {}
    errors = []
    for pattern in neurons:
        matched = [name for name in convolutions if fnmatchcase(name, pattern)]
        if not matched:
            there_are = ", ".join(convolutions)
            errors.append(ChoiceError(pattern, None, f"names no convolution of the network; there are {there_are}"))
        decisive |= dict.fromkeys(matched, pattern)
    channels, chosen = architecture.channels(), {}
    misfits: dict[tuple[str, str], dict[str, list[str]]] = {}
    for name in (name for name in convolutions if name in decisive):
        layer = architecture[name]
        never_negative = _never_negative(architecture, layer.input, activation)
        sam = chosen[name] = neurons[decisive[name]].over(never_negative=never_negative)
        try:
            if sam:
                sam.group_size(channels[layer.input], layer.kernel)
        except ValueError as error:
            misfits.setdefault((decisive[name], "group"), {}).setdefault(str(error), []).append(name)
        if sam and sam.floor and not never_negative:
            misfits.setdefault((decisive[name], "floor"), {}).setdefault(_NEGATIVE, []).append(name)
    for (pattern, field), complaints in misfits.items():
        told = "; ".join(f"layer {', '.join(names)}: {complaint}" for complaint, names in complaints.items())
        errors.append(ChoiceError(pattern, field, told))
    return chosen, errors


_NEGATIVE = (
    "a floor needs inputs that are never negative, but they come from a leaky activation; "
    "take relu in model.activation or quantize.activation, or leave floor out: layers that can have one then do"
)


def floors_missed(
    neurons: Neurons, architecture: Architecture, activation: Literal["same", "leaky", "relu"]
) -> list[str]:
    """SAM layers without a floor that would have one behind the activation ``relu``; arguments as those of `choose`."""
    chosen, behind_relu = (choose(neurons, architecture, kind)[0] for kind in (activation, "relu"))
    return [name for name, sam in chosen.items() if sam != behind_relu[name]]


def _never_negative(architecture: Architecture, name: str, activation: str) -> bool:
    if name == IMAGE:
        return True
    layer = architecture[name]
    if layer.op != "conv":
        return all(_never_negative(architecture, source, activation) for source in layer.inputs)
    return layer.activation != "linear" and (layer.activation if activation == "same" else activation) == "relu"


def fitted(neurons: Mapping[str, Sam | None], architecture: Architecture) -> dict[str, Sam | None]:
    """The same neurons with groups that divide the widths of a pruned ``architecture``: the largest that is no larger
    than the one that was asked for.

    Raises
    ------
    ValueError
        If a layer has none; the message names the groups that there are.
    """
    channels, result = architecture.channels(), {}
    for name, sam in neurons.items():
        if sam and sam.group:
            width = channels[architecture[name].input]
            group = max((g for g in range(1, sam.group + 1) if width % g == 0 and sam.allows(g)), default=None)
            if group is None:
                try:
                    sam.group_size(width, architecture[name].kernel)
                except ValueError as error:
                    raise ValueError(f"layer {name!r}: {error}") from None
            sam = sam.model_copy(update={"group": group})
        result[name] = sam
    return result
