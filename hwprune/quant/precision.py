"""How many bits each layer gets, and which activations share a scale."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from hwprune.errors import UserError
from hwprune.models.architecture import IMAGE, Architecture

_NO_INTEGER_FORM = {"add": "a residual join", "avgpool": "a mean over pixels", "l2norm": "a division by a length"}


class Precision(BaseModel):
    """Bit widths of a quantised network."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    weight_bits: int = Field(4, ge=2, le=8, description="bits of a weight, signed, without the lowest code")
    activation_bits: int = Field(4, ge=2, le=8, description="bits of an activation between layers")
    edge_bits: int = Field(8, ge=2, le=8, description="bits of the weights of the first layers and of the heads")
    activation: Literal["same", "leaky", "relu"] = Field(
        "same", description="activation of the quantised network; `same` keeps the float network's"
    )

    @classmethod
    def of(cls, settings: "Precision") -> "Precision":
        """The bit widths among the settings of a stage, which hold more than those."""
        return cls(**{name: getattr(settings, name) for name in cls.model_fields})

    def of_weights(self, architecture: Architecture, name: str) -> int:
        """Bits of the weights of convolution ``name``: `edge_bits` where it reads pixels or is a head."""
        layer = architecture[name]
        edge = layer.input == IMAGE or name in architecture.heads
        return self.edge_bits if edge else self.weight_bits

    def apply(self, architecture: Architecture) -> Architecture:
        """The layer table with the activation that the quantised network uses.

        Raises
        ------
        UserError
            If the table holds what the integer form cannot express.
        """
        for layer in architecture.layers:
            if layer.op in _NO_INTEGER_FORM:
                raise UserError(
                    f"layer {layer.name!r} of {architecture.name!r} is {_NO_INTEGER_FORM[layer.op]} ({layer.op}), "
                    "which has no integer form yet: quantise a network without it"
                )
            if layer.op == "conv" and layer.name in architecture.heads and layer.activation != "linear":
                raise UserError(f"head {layer.name!r} of {architecture.name!r} must be linear, not {layer.activation}")
        for head in architecture.heads:
            if architecture[head].op != "conv" or architecture.consumers(head):
                raise UserError(
                    f"head {head!r} of {architecture.name!r} must be a convolution that no other layer reads"
                )
        if self.activation != "same":
            layers = [
                layer.model_copy(update={"activation": self.activation})
                if layer.op == "conv" and layer.activation != "linear"
                else layer
                for layer in architecture.layers
            ]
            architecture = architecture.model_copy(update={"layers": tuple(layers)})
        _refuse_floors_over_negatives(architecture)
        return architecture


def _refuse_floors_over_negatives(architecture: Architecture) -> None:
    behind = convolutions_behind(architecture)
    for layer in architecture.layers:
        if layer.op == "conv" and layer.sam and layer.sam.floor:
            for source in behind[layer.input]:
                if architecture[source].activation != "relu":
                    raise UserError(
                        f"layer {layer.name!r}: a SAM neuron with a floor needs inputs that are never negative, but "
                        f"{source!r} before it has the activation {architecture[source].activation}; quantise with "
                        "activation relu, or take a neuron without floor"
                    )


def shared_scales(architecture: Architecture) -> dict[str, str]:
    """For every convolution that is no head, the convolution whose activation quantiser it uses.

    Tensors that meet in a concatenation must count in the same unit, so the convolutions behind them share one
    quantiser; pooling and nearest upsampling pass integers through unchanged.
    """
    behind = convolutions_behind(architecture)
    owner = {layer.name: layer.name for layer in architecture.layers if layer.op == "conv"}
    for layer in architecture.layers:
        if layer.op == "concat" and behind[layer.name]:
            joined = {owner[conv] for conv in behind[layer.name]}
            first = next(conv for conv in owner if conv in joined)
            owner = {conv: first if leader in joined else leader for conv, leader in owner.items()}
    return {conv: leader for conv, leader in owner.items() if conv not in architecture.heads}


def convolutions_behind(architecture: Architecture) -> dict[str, list[str]]:
    """For the image and every layer, the convolutions that made its values, itself included."""
    behind: dict[str, list[str]] = {IMAGE: []}
    for layer in architecture.layers:
        sources = [layer.name] if layer.op == "conv" else {conv for name in layer.inputs for conv in behind[name]}
        behind[layer.name] = sorted(sources)
    return behind
