"""The start of quantisation-aware training: every activation's range, seen on training images."""

import torch
from torch.utils.data import DataLoader, Dataset, Subset

from hwprune.data.progress import track_slow
from hwprune.detect.evaluate import collate, to_pixels
from hwprune.quant.network import CALIBRATION_STEPS, QuantNetwork


@torch.no_grad()
def calibrate(network: QuantNetwork, dataset: Dataset, *, batch_size: int = 8) -> None:
    """Run the training images, from the first on, until Brevitas turns the observed ranges into learned parameters.

    Batch norms keep their statistics.

    Parameters
    ----------
    network
        In place.
    dataset
        Of (image uint8 (3, H, W), target) samples; a short one is repeated.
    batch_size
        Images a step.
    """
    count = CALIBRATION_STEPS * batch_size
    images = Subset(dataset, [i % len(dataset) for i in range(count)])
    network.train()
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.eval()
    for batch, _ in track_slow(DataLoader(images, batch_size, collate_fn=collate), "calibrate", CALIBRATION_STEPS):
        network(to_pixels(batch))
    network.train()
