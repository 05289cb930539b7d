"""A trained network of multiply-accumulates becomes one with SAM layers that do nearly the same."""

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn

from hwprune.models.network import ConvBlock, Network
from hwprune.sam.integer import grouped, ungrouped
from hwprune.sam.layer import SamConv2d
from hwprune.sam.settings import Sam

REACH = 1.25
"""Root mean square of a unit's first weights, and how far a floor is above their mean, in the deviation of the inputs.
For random inputs behind a ReLU and random weights the sums then correlate with the multiply-accumulate's by .75 to .85
in groups of 2 to 8, with a floor by up to .92; from half to twice of it, it is little less."""


@torch.no_grad()
def convert(network: Network, neurons: Mapping[str, Sam | None], batches: Iterable[Tensor]) -> Network:
    """The SAM twin of a trained network.

    Weights start from those of the convolution (`initialise`). Batch norms are set by least squares, channel by
    channel, so that what leaves them is as close as it can be to what left the convolution's, given the same inputs;
    where a layer has none, its bias makes the mean the same.

    Parameters
    ----------
    network
        Of multiply-accumulates where ``neurons`` has SAM; not changed.
    neurons
        By layer, as `hwprune.sam.choice.choose` gives them.
    batches
        Pixels in 0..1, float32 (N, C, H, W), on which inputs and outputs of the layers are measured; gone through
        twice.

    Returns
    -------
    Network
        On the CPU, in training mode like every new module. The random generator is not touched.

    Raises
    ------
    ValueError
        If a layer is SAM already, or a group does not fit.
    """
    batches, training = list(batches), network.training
    for name, sam in neurons.items():
        if sam and network.architecture[name].sam:
            raise ValueError(f"layer {name!r} is SAM already")
    chosen = [name for name, sam in neurons.items() if sam]
    with torch.random.fork_rng(devices=[]):
        twin = Network(network.architecture.with_neurons(neurons))
    for name, block in network.layers.items():
        if name not in chosen:
            twin.layers[name].load_state_dict(block.state_dict())
    network.eval()
    twin.eval()
    _initialise_all(network, twin, chosen, batches)
    _match_all(network, twin, chosen, batches)
    network.train(training)
    return twin.train()


@torch.no_grad()
def initialise(layer: SamConv2d, weight: Tensor, deviation: Tensor) -> None:
    """Take a SAM layer's weights from a convolution's.

    What a connection moves the convolution's sum by, its weight times the deviation of its input, is taken for its
    offset: P where the connection raises the sum, N where it lowers it. A ``signed`` group gets the sign of the
    connection that moves the sum most. Under a floor, connections that move it little start silent.

    Parameters
    ----------
    layer
        In place.
    weight
        (J, C, k, k), the convolution's.
    deviation
        (C,), the standard deviation of each input channel.
    """
    moves = weight * deviation[:, None, None]
    size = moves.square().mean((1, 2, 3), keepdim=True).sqrt()
    reach = REACH * deviation.square().mean().sqrt()
    moves = reach * moves / size.clamp(min=torch.finfo(size.dtype).tiny)

    def offsets(moves: Tensor) -> Tensor:
        return (moves - reach).clamp(max=0) if layer.sam.floor else moves

    if layer.polarity is None:
        layer.positive.copy_(offsets(moves))
        layer.negative.copy_(offsets(-moves))
        return
    groups = grouped(moves, layer.group)
    strongest = groups.gather(-1, groups.abs().argmax(-1, keepdim=True))
    sign = torch.where(strongest >= 0, 1.0, -1.0)
    # A group that moves little may well change sides in training, one that moves much should not.
    layer.polarity.copy_((strongest / strongest.abs().amax(1, keepdim=True).clamp(min=1e-12)).squeeze(-1))
    layer.positive.copy_(ungrouped(offsets(sign * groups), weight.shape))


def _initialise_all(network: Network, twin: Network, chosen: list[str], batches: list[Tensor]) -> None:
    sources = {network.architecture[name].input for name in chosen}
    moments = {source: _Moments() for source in sources}
    for pixels in batches:
        values = network.forward_all(pixels)
        for source in sources:
            moments[source].add(values[source], values[source])
    for name in chosen:
        deviation = moments[network.architecture[name].input].covariance().sqrt().float()
        initialise(twin.layers[name].conv, network.layers[name].conv.weight, deviation)


def _match_all(network: Network, twin: Network, chosen: list[str], batches: list[Tensor]) -> None:
    moments = {name: _Moments() for name in chosen}
    for pixels in batches:
        values = network.forward_all(pixels)
        for name in chosen:
            block, x = network.layers[name], values[network.architecture[name].input]
            moments[name].add(twin.layers[name].conv(x), block.norm(block.conv(x)))
    for name in chosen:
        _match(twin.layers[name], moments[name])


def _match(block: ConvBlock, moments: "_Moments") -> None:
    sums, wanted = moments.means()
    if not isinstance(block.norm, nn.BatchNorm2d):
        block.conv.bias += (wanted - sums).float()
        return
    variance = moments.variance().clamp(min=0)
    block.norm.running_mean.copy_(sums)
    block.norm.running_var.copy_(variance)
    block.norm.weight.copy_(moments.covariance() / (variance + block.norm.eps).sqrt())
    block.norm.bias.copy_(wanted)


class _Moments:
    """Running first and second moments of two tensors (N, C, H, W), channel by channel, in float64."""

    def __init__(self):
        self.count, self.sums = 0, 0.0

    def add(self, a: Tensor, b: Tensor) -> None:
        a, b = a.double(), b.double()
        self.count += a.numel() // a.shape[1]
        self.sums = self.sums + torch.stack([part.sum((0, 2, 3)) for part in (a, b, a * b, a * a)])

    def means(self) -> Tensor:
        return self.sums[:2] / self.count

    def covariance(self) -> Tensor:
        a, b, product, _ = self.sums / self.count
        return product - a * b

    def variance(self) -> Tensor:
        a, _, _, square = self.sums / self.count
        return square - a * a
