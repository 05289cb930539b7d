"""Import of torchvision's SSD300 (``torchvision.models.detection.ssd300_vgg16``) by its state dict."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from hwprune.errors import UserError
from hwprune.models.network import Network
from hwprune.models.ssd import ssd300

PIXEL_MEAN = (0.48235, 0.45882, 0.40784)
"""What torchvision takes from the channels of an image in 0..1, before it multiplies by 255."""
_BACKBONE = {
    "backbone.features.{}": {
        "conv1_1": 0, "conv1_2": 2, "conv2_1": 5, "conv2_2": 7, "conv3_1": 10, "conv3_2": 12, "conv3_3": 14,
        "conv4_1": 17, "conv4_2": 19, "conv4_3": 21,
    },
    "backbone.extra.0.{}": {"conv5_1": 1, "conv5_2": 3, "conv5_3": 5, "conv6": "7.1", "conv7": "7.3"},
    "backbone.extra.{}.0": {"conv8_1": 1, "conv9_1": 2, "conv10_1": 3, "conv11_1": 4},
    "backbone.extra.{}.2": {"conv8_2": 1, "conv9_2": 2, "conv10_2": 3, "conv11_2": 4},
    "head.regression_head.module_list.{}": {f"offsets{k}": k - 1 for k in range(1, 7)},
    "head.classification_head.module_list.{}": {f"classes{k}": k - 1 for k in range(1, 7)},
}  # fmt: skip
_SCALE = "backbone.scale_weight"
_CLASSES = "head.classification_head.module_list.0.bias"
_WAY_OUT = "give the state dict of torchvision's ssd300_vgg16, as torch.save writes it"


def load_torchvision_ssd(
    source: str | Path | Mapping[str, Tensor], pixel_mean: tuple[float, float, float] = PIXEL_MEAN
) -> Network:
    """SSD300 with the weights of torchvision's.

    torchvision subtracts ``pixel_mean`` and multiplies by 255; here that is folded into conv1_1, so that the network
    takes pixels in 0..1 as they are. One difference remains: conv1_1's padding is a pixel of 0 here and a pixel of
    ``pixel_mean`` there, so the outermost ring of its outputs differs, and what that ring feeds: by 1 to 4 % of the
    heads' standard deviation (root mean square, random weights). With a mean of 0 the outputs are torchvision's to
    float rounding. A head's channels stand in torchvision's order.

    Parameters
    ----------
    source
        A file that ``torch.save`` wrote (read as weights only: no code in it runs), or the state dict itself.
    pixel_mean
        The model's ``image_mean``, where it was built with another.

    Returns
    -------
    Network
        In float32, on the CPU; as many classes as the file has, without the background.

    Raises
    ------
    UserError
        If the file cannot be read, is no state dict, or has a tensor too many, too few, of another shape or with
        numbers that are not finite.
    """
    place = "the state dict" if isinstance(source, Mapping) else str(source)
    state = source if isinstance(source, Mapping) else _read(Path(source))
    classes = _classes(state, place)
    network = Network(ssd300(classes))
    own = dict(_tensors(network))
    for name in [*own, *state]:
        if name not in state:
            raise UserError(f"{place}: tensor {name!r} is missing; {_WAY_OUT}")
        if name not in own:
            raise UserError(f"{place}: tensor {name!r} has no place in an SSD300; {_WAY_OUT}")
    with torch.no_grad():
        for name, parameter in own.items():
            tensor = state[name]
            if tensor.shape != parameter.shape:
                raise UserError(
                    f"{place}: tensor {name!r} is {tuple(tensor.shape)}, but an SSD300 of {classes} classes and the"
                    f" background has {tuple(parameter.shape)}; {_WAY_OUT}"
                )
            if not torch.isfinite(tensor).all():
                raise UserError(f"{place}: tensor {name!r} holds numbers that are not finite; {_WAY_OUT}")
            parameter.copy_(tensor)
        conv = network.layers["conv1_1"].conv
        conv.weight *= 255
        conv.bias -= (conv.weight * torch.tensor(pixel_mean)[:, None, None]).sum((1, 2, 3))
    return network


def _tensors(network: Network) -> Iterator[tuple[str, Tensor]]:
    """The parameters of ``network`` by torchvision's names."""
    for pattern, indices in _BACKBONE.items():
        for layer, index in indices.items():
            conv = network.layers[layer].conv
            yield f"{pattern.format(index)}.weight", conv.weight
            yield f"{pattern.format(index)}.bias", conv.bias
    yield _SCALE, network.layers["norm4_3"].weight


def _classes(state: Any, place: str) -> int:
    if not isinstance(state, Mapping) or not all(isinstance(tensor, Tensor) for tensor in state.values()):
        raise UserError(f"{place}: holds no state dict, but {_kind(state)}; {_WAY_OUT}")
    if _CLASSES not in state:
        raise UserError(f"{place}: tensor {_CLASSES!r} is missing; {_WAY_OUT}")
    outputs = state[_CLASSES].numel()
    if outputs % 4 or outputs < 8:
        raise UserError(
            f"{place}: tensor {_CLASSES!r} has {outputs} numbers, but the first head has 4 boxes a cell and two classes"
            f" or more, the background among them; {_WAY_OUT}"
        )
    return outputs // 4 - 1


def _kind(state: Any) -> str:
    if isinstance(state, Mapping):
        others = [str(name) for name, value in state.items() if not isinstance(value, Tensor)]
        return f"{', '.join(others[:5])} that are no tensors"
    return f"a {type(state).__name__}"


def _read(path: Path) -> Any:
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror or error}); {_WAY_OUT}") from error
    except Exception as error:  # what a broken pickle raises is anybody's guess
        line = str(error).strip().partition("\n")[0]
        raise UserError(f"{path}: no file of weights only ({line}); {_WAY_OUT}") from error
