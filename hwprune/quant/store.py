"""Checkpoints of integer networks: as float ones (`hwprune.models.store`), with the bit widths in ``model.json``."""

from pathlib import Path
from typing import Any

from pydantic import BaseModel

from hwprune.models.store import Description, read_description, read_weights, write_checkpoint
from hwprune.quant.integer import IntegerNetwork
from hwprune.quant.precision import Precision


class _IntegerDescription(Description):
    precision: Precision


def save_integer(folder: str | Path, network: IntegerNetwork, head: BaseModel | None = None) -> None:
    """Write a checkpoint of the integer form.

    Raises
    ------
    UserError
        If the folder cannot be written.
    """
    head_json = None if head is None else head.model_dump(mode="json")
    description = _IntegerDescription(architecture=network.architecture, head=head_json, precision=network.precision)
    write_checkpoint(folder, description, network.state_dict())


def load_integer(folder: str | Path) -> tuple[IntegerNetwork, dict[str, Any] | None]:
    """Read a checkpoint that `save_integer` wrote; the random generator is not touched.

    Raises
    ------
    UserError
        If a file is missing, truncated or of another kind.
    """
    import torch

    description = read_description(folder, _IntegerDescription)
    with torch.random.fork_rng(devices=[]):
        network = IntegerNetwork(description.architecture, description.precision)
    network.load_state_dict(read_weights(folder, network.state_dict()))
    return network, description.head
