"""Which layers of a network are SAM: names or patterns, each with a neuron. Imports neither torch nor NumPy."""

from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from hwprune.models.architecture import IMAGE, Architecture
from hwprune.sam.settings import Sam


class MacNeuron(BaseModel):
    """Multiply and accumulate: an ordinary convolution."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    neuron: Literal["mac"]

    @property
    def sam(self) -> None:
        """No SAM neuron."""
        return None


class SamNeuron(Sam):
    """A SAM neuron, with its form, group and shift."""

    neuron: Literal["sam"]

    @property
    def sam(self) -> Sam:
        """What a layer table holds."""
        return Sam(**self.model_dump(exclude={"neuron"}))


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
    """The neuron of each convolution that a pattern names, and all that is wrong with the choice.

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
    chosen = {name: neurons[decisive[name]].sam for name in convolutions if name in decisive}
    channels = architecture.channels()
    misfits: dict[tuple[str, str], dict[str, list[str]]] = {}
    for name, sam in chosen.items():
        layer = architecture[name]
        try:
            if sam:
                sam.group_size(channels[layer.input], layer.kernel)
        except ValueError as error:
            misfits.setdefault((decisive[name], "group"), {}).setdefault(str(error), []).append(name)
        if sam and sam.floor and not _never_negative(architecture, layer.input, activation):
            misfits.setdefault((decisive[name], "floor"), {}).setdefault(_NEGATIVE, []).append(name)
    for (pattern, field), complaints in misfits.items():
        told = "; ".join(f"layer {', '.join(names)}: {complaint}" for complaint, names in complaints.items())
        errors.append(ChoiceError(pattern, field, told))
    return chosen, errors


_NEGATIVE = (
    "a floor needs inputs that are never negative, but they come from a leaky activation; "
    "take relu in model.activation or quantize.activation"
)


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
