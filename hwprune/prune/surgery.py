"""Removing channels: a smaller network that computes what the big one computes without them.

`hwprune.prune.kept` says what ``kept`` is.
"""

from collections.abc import Callable
from copy import deepcopy
from functools import partial

import torch
from torch import Tensor, nn

from hwprune.models.architecture import IMAGE, Conv
from hwprune.models.network import ConvBlock, Network
from hwprune.prune.groups import input_groups
from hwprune.prune.kept import Kept, stays_of
from hwprune.sam.settings import Sam

CONNECTIONS = ("conv.weight", "conv.positive", "conv.negative")
"""The tensors of a block with one number for each output, input and place of the kernel."""


def prune(network: Network, kept: Kept, compensate: bool = True) -> Network:
    """A new network without the removed channels; ``network`` itself is not changed.

    Without ``compensate`` it computes what ``network`` computes while no layer reads the removed channels (see `mask`):
    they leave the sums of convolutions and the extremes of SAM neurons. All groups of a SAM layer must lose equally
    many, for hardware has one size of group; `hwprune.prune.balance` sees to it.

    With ``compensate`` a removed channel is taken for the constant that it is where its scale is zero, ``act(beta)``,
    and every convolution that read it gets what it lost: ``sum(kernel) * constant``, through its running mean, or
    through its bias where it has no batch norm. Constants pass max-pools and upsampling unchanged, are shifted by
    concats and summed by residual joins. This is exact where the scales are zero and the reading convolution pads
    nothing; a padded one sees zeros, not the constant, beyond the border, so its outermost pixels differ. A removed
    channel in front of a normalisation over channels (`L2Norm`) is taken for zero: it is, behind a ReLU with a shift
    that is not positive. A removed channel of a convolution without batch norm is taken for ``act(bias)``, one of a SAM
    layer without batch norm for zero: it has no scale.

    A SAM layer that reads removed channels gets nothing: what a constant c adds to max(x + P) is a bound, c + P at the
    least (c = 0 at padded pixels), and not a term that a bias could hold. Where the bound never decides, removal is
    exact without it: so under a floor where c is zero, behind a ReLU with a shift that is not positive. Elsewhere the
    sums change, and the running statistics no longer fit until the network trains on.

    Parameters
    ----------
    network
        A float network, or another kind of `Network` whose convolutions are called alike, such as the quantised one
        once it is calibrated.
    kept
        Channels that stay.
    compensate
        Make the removed constants good; in float networks only, for others round their weights.

    Returns
    -------
    Network
        Of the same kind, with the same dtype, device and mode; all surviving parameters and running statistics are
        copied.

    Raises
    ------
    ValueError
        If ``kept`` names an unknown group or channel, leaves a layer without channels, or leaves the groups of a SAM
        layer unequal or too small; or if what other than a float network loses should be made good.
    """
    architecture = network.architecture
    stays = stays_of(architecture, kept)
    if compensate and not _is_float(network):
        raise ValueError("only a float network is compensated: prune this one with compensate=False")
    constants = _constants(network) if compensate else None
    state, changes = {name: tensor.to(copy=True) for name, tensor in network.state_dict().items()}, {}
    with torch.no_grad():
        for layer in architecture.layers:
            if layer.op == "l2norm":
                state[f"layers.{layer.name}.weight"] = state[f"layers.{layer.name}.weight"][stays[layer.name]]
            if layer.op != "conv":
                continue
            out, into = stays[layer.name], stays[layer.input]
            changes[layer.name] = {"out_channels": int(out.sum()), "sam": _narrowed(layer, into)}
            block, prefix = network.layers[layer.name], f"layers.{layer.name}"
            tensors = {
                name: state[f"{prefix}.{name}"] for name in block.state_dict() if name.startswith(("conv.", "norm."))
            }
            if compensate and not layer.sam and not into.all():
                lost = block.conv.weight.sum((2, 3))[:, ~into] @ constants[layer.input][~into]
                if layer.norm:
                    tensors["norm.running_mean"] -= lost
                else:
                    tensors["conv.bias"] += lost
            for name, tensor in tensors.items():
                if tensor.ndim:  # but for the count of batches
                    tensor = tensor[out]
                state[f"{prefix}.{name}"] = tensor[:, into].contiguous() if name in CONNECTIONS else tensor
    with torch.random.fork_rng(devices=[]):
        small = network.rebuilt(architecture.changed(changes))
    small.load_state_dict(state, assign=True)
    return small.train(network.training)


def mask(network: Network, kept: Kept) -> Network:
    """A copy of ``network``, as wide as before, in which no layer reads the removed channels.

    A convolution has zeros for them, a normalisation gets zeros. A SAM neuron has the weights that never win, -inf for
    a maximum and inf for a minimum: every group of a network that can be pruned keeps a finite one, which also gets the
    whole gradient.
    """
    stays, masked = stays_of(network.architecture, kept), deepcopy(network)
    with torch.no_grad():
        for layer in network.architecture.layers:
            if layer.op == "l2norm":
                masked.layers[layer.name].register_forward_pre_hook(partial(_zeroed, ~stays[layer.name]))
            if layer.op != "conv":
                continue
            gone, conv = ~stays[layer.input], masked.layers[layer.name].conv
            if not layer.sam:
                conv.weight[:, gone] = 0
                continue
            _narrowed(layer, ~gone)
            never = -torch.inf, torch.inf if layer.sam.form == "maxmin" else -torch.inf
            for weight, bound in zip((conv.positive, conv.negative), never, strict=True):
                if weight is not None:
                    weight[:, gone] = bound
            if not isinstance(masked.layers[layer.name], ConvBlock):  # a layer that rounds would make them finite
                conv.weights = partial(_never_winning, conv.weights, gone[:, None, None], never)
    return masked


def _never_winning(weights: Callable, gone: Tensor, never: tuple[float, float]) -> tuple[Tensor, Tensor | None]:
    return tuple(w if w is None else w.masked_fill(gone, bound) for w, bound in zip(weights(), never, strict=True))


def _is_float(network: Network) -> bool:
    convs = [network.layers[layer.name] for layer in network.architecture.layers if layer.op == "conv"]
    return all(isinstance(block, ConvBlock) for block in convs)


def _zeroed(gone: Tensor, module: nn.Module, inputs: tuple[Tensor]) -> Tensor:
    """A hook before a module: zeros in the channels ``gone``, bool of shape (channels,)."""
    return inputs[0].masked_fill(gone.to(inputs[0].device)[:, None, None], 0)


def _narrowed(layer: Conv, into: Tensor) -> Sam | None:
    """The neuron of ``layer`` when only the input channels ``into`` (bool) stay."""
    if not layer.sam:
        return None
    size, least = input_groups(layer, len(into))
    left = into.reshape(-1, size).sum(1)
    if left.min() < least or left.min() < left.max():
        raise ValueError(
            f"SAM layer {layer.name!r}: its groups of {size} input channels would keep {left.min()} to {left.max()} of "
            f"them; all must keep equally many, at least {least}"
        )
    return layer.sam.model_copy(update={"group": int(left[0]) if layer.sam.group else 0})


@torch.no_grad()
def _constants(network: Network) -> dict[str, Tensor]:
    """For the image and every layer, what each channel gives where its scale is zero; shape (channels,).

    It means something for the removed channels only.
    """
    like = next(network.parameters())
    constants = {IMAGE: like.new_zeros(network.architecture.in_channels)}
    for layer in network.architecture.layers:
        incoming = [constants[source] for source in layer.inputs]
        match layer.op:
            case "conv":
                block = network.layers[layer.name]
                shift = block.norm.bias if layer.norm else block.conv.bias
                constants[layer.name] = block.activation(
                    torch.zeros_like(shift) if layer.sam and not layer.norm else shift
                )
            case "concat":
                constants[layer.name] = torch.cat(incoming)
            case "add":
                constants[layer.name] = sum(incoming[1:], incoming[0])
            case "l2norm":  # what a constant becomes depends on its neighbours, except 0
                constants[layer.name] = torch.zeros_like(incoming[0])
            case _:
                constants[layer.name] = incoming[0]
    return constants
