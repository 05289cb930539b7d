"""The float network of `hwprune.quant.hardware_table`: the weights that take over what a table leaves out.

The length by which SSD's normalisation divides becomes a constant, the mean over calibration images, and with the
learned scale a factor of the weights that read it. At that length nothing changes; quantisation-aware training makes up
for the others.
"""

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Subset

from hwprune.data.progress import track_slow
from hwprune.errors import UserError
from hwprune.models.architecture import Conv, Layer
from hwprune.models.network import Network
from hwprune.quant.hardware_table import hardware_table

CALIBRATION_IMAGES = 64
"""Over which a length is averaged, the first ones of the training set."""


def hardware_form(network: Network, dataset: Dataset, *, batch_size: int = 8) -> Network:
    """The network of `hardware_table`; ``network`` itself, which is not touched, if its table needs no change.

    Parameters
    ----------
    network
        Float network.
    dataset
        Of (image uint8 (3, H, W), target) samples, to measure lengths on.
    batch_size
        Images that pass at a time.

    Raises
    ------
    UserError
        As `hardware_table` does, and if a normalised layer gives nothing but zeros.
    """
    image, _ = dataset[0]
    table = hardware_table(network.architecture, tuple(image.shape[-2:]))
    if table is network.architecture:
        return network
    factors = _factors(network, dataset, batch_size)
    with torch.random.fork_rng(devices=[]):
        made = Network(table).to(next(network.parameters()))
    made.train(network.training)
    for layer in table.layers:
        state = dict(network.layers[layer.name].state_dict())
        before = network.architecture[layer.name]
        if layer.op == "conv" and before.input != layer.input:
            state["conv.weight"] = _weights(network.architecture[before.input], before, state["conv.weight"], factors)
        made.layers[layer.name].load_state_dict(state)
    return made


def _weights(removed: Layer, conv: Conv, weight: Tensor, factors: dict[str, Tensor]) -> Tensor:
    if removed.op == "l2norm":
        return weight * factors[removed.name][:, None, None]
    extent = (conv.reach - 1) * removed.stride + removed.kernel
    made = weight.new_zeros(*weight.shape[:2], extent, extent)
    pixels = range(removed.kernel)
    starts = range(0, extent - removed.kernel + 1, conv.dilation * removed.stride)
    for row, top in enumerate(starts):
        for column, left in enumerate(starts):
            for y in pixels:
                for x in pixels:
                    made[:, :, top + y, left + x] += weight[:, :, row, column] / removed.kernel**2
    return made


@torch.no_grad()
def _factors(network: Network, dataset: Dataset, batch_size: int) -> dict[str, Tensor]:
    """By what each `L2Norm` multiplies channels at its input's mean length, (channels,)."""
    norms = [layer for layer in network.architecture.layers if layer.op == "l2norm"]
    if not norms:
        return {}
    from hwprune.detect.evaluate import collate, to_pixels

    like = next(network.parameters())
    images = Subset(dataset, range(min(CALIBRATION_IMAGES, len(dataset))))
    batches = DataLoader(images, batch_size, collate_fn=collate)
    total, pixels = {layer.name: 0.0 for layer in norms}, {layer.name: 0 for layer in norms}
    training = network.training
    network.eval()
    for batch, _ in track_slow(batches, "mean lengths", len(batches)):
        values = network.forward_all(to_pixels(batch).to(like))
        for layer in norms:
            lengths = values[layer.input].double().norm(dim=1)
            total[layer.name] += float(lengths.sum())
            pixels[layer.name] += lengths.numel()
    network.train(training)
    factors = {}
    for layer in norms:
        if not total[layer.name]:
            raise UserError(
                f"layer {layer.name!r}: all that it normalises is zero on {len(images)} training images; train "
                f"{layer.input!r} again"
            )
        scale = network.layers[layer.name].weight.detach()
        factors[layer.name] = scale * (pixels[layer.name] / total[layer.name])
    return factors
