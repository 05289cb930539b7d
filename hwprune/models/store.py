"""Checkpoints: a folder with ``model.json`` (layer table and head) and ``model.safetensors`` (weights).

No pickle: a checkpoint from a stranger must not run code.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import torch
from pydantic import BaseModel, ConfigDict, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from hwprune.errors import UserError
from hwprune.files import atomic_write
from hwprune.models.architecture import Architecture
from hwprune.models.network import Network

DESCRIPTION = "model.json"
WEIGHTS = "model.safetensors"
_WAY_OUT = "give a folder that hwprune wrote whole, or run the stage that wrote it again"


class Description(BaseModel):
    """What ``model.json`` holds; another kind of network may say more in a subclass."""

    model_config = ConfigDict(extra="forbid")
    architecture: Architecture
    head: dict[str, Any] | None = None


_D = TypeVar("_D", bound=Description)


def save_model(folder: str | Path, network: Network, head: BaseModel | None = None) -> None:
    """Write a checkpoint; the folder is made where it is missing, and each file appears whole or not at all.

    Parameters
    ----------
    folder
        Where ``model.json`` and ``model.safetensors`` go; older ones are replaced.
    network
        Its layer table and its ``state_dict`` are stored, in the dtypes they have.
    head
        Any pydantic model (`hwprune.detect.head.HeadSpec` for a detector), stored as its JSON.

    Raises
    ------
    UserError
        If the folder cannot be written.
    """
    head_json = None if head is None else head.model_dump(mode="json")
    write_checkpoint(folder, Description(architecture=network.architecture, head=head_json), network.state_dict())


def load_model(folder: str | Path) -> tuple[Network, dict[str, Any] | None]:
    """Read a checkpoint.

    Parameters
    ----------
    folder
        What `save_model` wrote.

    Returns
    -------
    network : Network
        On the CPU, in the stored dtypes, in training mode like every new module. The random generator is not touched.
    head : dict or None
        The head as `save_model` stored it, as plain JSON values.

    Raises
    ------
    UserError
        If a file is missing, truncated or foreign, or if the weights do not fit the layer table.
    """
    description = read_description(folder, Description)
    try:
        # No memory is spent before the weights are known to fit.
        with torch.device("meta"):
            network = Network(description.architecture)
    except (KeyError, OverflowError, RuntimeError, TypeError, ValueError) as error:
        path = Path(folder, DESCRIPTION)
        raise UserError(f"{path}: architecture: no network can be built from it ({error}); {_WAY_OUT}") from error
    network.load_state_dict(read_weights(folder, network.state_dict()), assign=True)
    return network, description.head


def write_checkpoint(folder: str | Path, description: Description, state: Mapping[str, Tensor]) -> None:
    """Write both files of a checkpoint, whole.

    Raises
    ------
    UserError
        If the folder cannot be written.
    """
    folder = Path(folder)
    state = {name: tensor.detach().cpu().contiguous() for name, tensor in state.items()}
    try:
        # Both files are complete on disk before the first takes its place.
        with atomic_write(folder / WEIGHTS) as weights, atomic_write(folder / DESCRIPTION) as text:
            weights.write_bytes(save(state))
            text.write_text(description.model_dump_json(indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise UserError(f"{folder}: cannot write the checkpoint ({error}); name a writable folder") from error


def read_description(folder: str | Path, kind: type[_D]) -> _D:
    """The description in a checkpoint, as an instance of ``kind``.

    Raises
    ------
    UserError
        If it is missing, truncated or of another kind.
    """
    path = Path(folder, DESCRIPTION)
    try:
        return kind.model_validate_json(_read(path))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"])) or "the whole file"
        raise UserError(f"{path}: {where}: {first['msg']}; {_WAY_OUT}") from error


def read_weights(folder: str | Path, expected: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights of a checkpoint, which must have the names, shapes and kinds of ``expected``.

    Raises
    ------
    UserError
        If the file is missing or truncated, or a tensor does not fit.
    """
    path = Path(folder, WEIGHTS)
    try:
        state = load(_read(path))
    except SafetensorError as error:
        raise UserError(f"{path}: truncated, or no safetensors file ({error}); {_WAY_OUT}") from error
    way_out = f"take {DESCRIPTION} and {WEIGHTS} from one checkpoint"
    for name in sorted(expected.keys() | state.keys()):
        if name not in state:
            raise UserError(f"{path}: tensor {name!r} is missing; {way_out}")
        if name not in expected:
            raise UserError(f"{path}: tensor {name!r} has no place in the layer table of {DESCRIPTION}; {way_out}")
        found, wanted = state[name], expected[name]
        if found.shape != wanted.shape or found.is_floating_point() != wanted.is_floating_point():
            raise UserError(
                f"{path}: tensor {name!r} is {_kind(found)}, but the layer table of {DESCRIPTION} wants"
                f" {_kind(wanted)}; {way_out}"
            )
    return state


def _kind(tensor: Tensor) -> str:
    return f"{str(tensor.dtype).removeprefix('torch.')} {tuple(tensor.shape)}"


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror or error}); {_WAY_OUT}") from error
