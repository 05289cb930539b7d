"""What changes step by step while SAM layers train: soft extremes harden, convolutions become SAM."""

from torch import nn

from hwprune.sam.blend import Blend
from hwprune.sam.layer import SamConv2d
from hwprune.train.settings import SamTraining


def advance(network: nn.Module, settings: SamTraining, progress: float) -> None:
    """Bring a network's SAM layers to where they are at this point of the training.

    It depends on ``progress`` alone, so that a run that is taken up again goes on in the same way.

    Parameters
    ----------
    network
        In place; one without SAM layers is left as it is. What the last step carried beyond its bounds is taken back.
    settings
        How they change.
    progress
        Fraction of the steps that are done, 0 to 1; at 1 extremes are true ones and no convolution is left.
    """
    modules = list(network.modules())
    for layer in modules:
        if isinstance(layer, SamConv2d):
            layer.temperature = temperature(settings, progress)
            layer.project()
    blends = [module for module in modules if isinstance(module, Blend)]
    for number, layer in enumerate(blends):
        layer.share = share(settings, progress, number, len(blends))


def temperature(settings: SamTraining, progress: float) -> float:
    """Falls in proportion to the steps that are left until `SamTraining.hard_after`."""
    if progress >= settings.hard_after:
        return 0.0
    return settings.temperature * (1 - progress / settings.hard_after)


def share(settings: SamTraining, progress: float, number: int, layers: int) -> float:
    """Rises from 0 to 1 over an equal part of `SamTraining.conversion` for each layer, one after the other."""
    if progress >= settings.conversion:
        return 1.0
    return min(max(progress / settings.conversion * layers - number, 0.0), 1.0)
