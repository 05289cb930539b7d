"""Which SAM neuron a layer has. Imports neither torch nor NumPy, so that a recipe is read quickly."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Form = Literal["maxmin", "difference", "signed"]
FORMS: tuple[Form, ...] = ("maxmin", "difference", "signed")


def has_floors(form: Form) -> bool:
    """Whether the extremes of this form can start at zero: maxima of what is never negative can."""
    return form != "maxmin"


class Sam(BaseModel):
    """A layer of SAM neurons; `hwprune.sam.neuron` defines what it computes.

    A layer table leaves nothing open; defaults are for recipes (`hwprune.sam.choice.SamNeuron`).
    """

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    form: Form
    """Per group: ``maxmin`` is max(x + P) + min(x + N), the seed's neuron; ``difference`` is max(x + P) - max(x + N);
    ``signed`` is max(x + P) times a sign of its own, with one set of weights."""
    group: Annotated[int, Field(ge=0)]
    """Input channels of one kernel position that share a maximum; it divides the layer's input channels. 0 takes the
    whole receptive field as one group."""
    shift: Annotated[int, Field(ge=-3, le=3)] = 0
    """Quantised, a step of the weights is 2**shift steps of the activations."""
    floor: bool = False
    """Each maximum starts at zero: no group gives less, so a group whose weights are low enough is silent. Needs inputs
    that are never negative (behind a ReLU, or pixels), and another form than ``maxmin``."""

    @model_validator(mode="after")
    def _a_floor_is_for_maxima(self):
        if self.floor and not has_floors(self.form):
            raise ValueError("floor: the form maxmin has minima, which cannot start at zero; take signed or difference")
        return self

    @property
    def two_sets(self) -> bool:
        """Whether a connection has two weights."""
        return self.form != "signed"

    def group_size(self, in_channels: int, kernel: int) -> int:
        """Connections that share a maximum.

        Raises
        ------
        ValueError
            If the group does not divide the channels; the message names the groups that do.
        """
        size = self.group or in_channels * kernel**2
        if self.group and in_channels % self.group:
            raise ValueError(f"a SAM group of {self.group} does not divide {in_channels} input channels; "
                             f"{self._way_out(in_channels)}")  # fmt: skip
        if not self.allows(size):
            raise ValueError(f"a SAM group of 1 in the form {self.form} does not depend on its input; "
                             f"{self._way_out(in_channels)}")  # fmt: skip
        return size

    def allows(self, group: int) -> bool:
        """Whether groups of this size depend on their input: a maximum of one is a sum, and a difference of such sums
        is a constant, unless it has a floor."""
        return group > 1 or self.floor or self.form != "difference"

    def _way_out(self, in_channels: int) -> str:
        fits = [str(g) for g in range(1, in_channels + 1) if in_channels % g == 0 and self.allows(g)]
        return f"groups that do: {', '.join(fits) or 'none'}, or 0 for the whole receptive field"
