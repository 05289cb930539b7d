"""Where a recipe's neurons come into a network."""

from typing import TYPE_CHECKING

from hwprune.errors import UserError
from hwprune.flow.stage import StageContext

if TYPE_CHECKING:
    from torch.utils.data import Dataset

    from hwprune.models.architecture import Architecture
    from hwprune.models.network import Network
    from hwprune.sam.settings import Sam

MEASURED = 64
"""Training images on which a SAM layer is fitted to the convolution that it replaces."""


def chosen(context: StageContext, architecture: "Architecture", *, pruned: bool = False) -> "dict[str, Sam | None]":
    """The neurons that the recipe chooses for the layers of a table.

    Raises
    ------
    UserError
        If the table has no such layers, or, unless it is ``pruned`` and its groups are still to be fitted, groups do
        not divide its widths.
    """
    from hwprune.sam.choice import choose

    recipe = context.recipe
    neurons, errors = choose(recipe.model.neurons, architecture, recipe.quantize.activation)
    errors = [error for error in errors if not (pruned and error.field == "group")]
    if errors:
        raise UserError("; ".join(f"model.neurons: {e.pattern}: {e}" for e in errors) + ". Change them in the recipe.")
    return neurons


def tell_floors_missed(context: StageContext, stage: str, architecture: "Architecture") -> None:
    """Say which SAM layers have no floor only because of the activation before them."""
    from hwprune.sam.choice import floors_missed

    recipe = context.recipe
    if names := floors_missed(recipe.model.neurons, architecture, recipe.quantize.activation):
        print(f"{stage}: SAM without a floor, which costs accuracy, in {', '.join(names)}, whose inputs can be "
              "negative; quantize.activation: relu lets them have one", flush=True)  # fmt: skip


def converted(context: StageContext, stage: str, network: "Network", images: "Dataset") -> "Network | None":
    """The SAM twin of a trained network, where the recipe has this stage (in its last round) make it; else None.

    Groups that the widths no longer allow after pruning become smaller, which is said.

    Parameters
    ----------
    context, stage
        Of the stage that asks.
    network
        With which it starts; not changed.
    images
        Training images, without augmentation.

    Raises
    ------
    UserError
        If no group fits a layer.
    """
    from torch.utils.data import DataLoader, Subset

    from hwprune.detect.evaluate import collate, to_pixels
    from hwprune.sam.choice import fitted
    from hwprune.sam.convert import convert

    table = network.architecture
    if not context.final:
        return None
    if context.recipe.model.neurons_from != stage or any(layer.op == "conv" and layer.sam for layer in table.layers):
        return None
    wanted = chosen(context, table, pruned=True)
    if not any(wanted.values()):
        return None
    try:
        neurons = fitted(wanted, table)
    except ValueError as error:
        raise UserError(
            f"model.neurons: {error}. Choose another group, or a prune.multiple that it divides, in the recipe."
        ) from None
    tell_floors_missed(context, stage, table)
    channels = table.channels()
    for name, sam in neurons.items():
        if sam != wanted[name]:
            print(f"{stage}: layer {name} reads {channels[table[name].input]} channels after pruning: SAM groups of "
                  f"{sam.group}, not {wanted[name].group}", flush=True)  # fmt: skip
    measured = Subset(images, range(min(MEASURED, len(images))))
    batches = DataLoader(measured, batch_size=16, collate_fn=collate)
    return convert(network, neurons, [to_pixels(pixels) for pixels, _ in batches])
