"""train: a float detector from images with boxes."""

from copy import deepcopy
from typing import TYPE_CHECKING

from hwprune.errors import UserError
from hwprune.flow.stage import Outcome, Stage, StageContext
from hwprune.flow.stages import common
from hwprune.flow.stages.conversion import chosen, tell_floors_missed

if TYPE_CHECKING:
    from hwprune.data.dataset import DataSplits
    from hwprune.detect.head import HeadSpec
    from hwprune.models.network import Network


def run(context: StageContext) -> Outcome:
    """Build the network and its head, and train it."""
    data = common.open_data(context)
    network, head = start(context, data[0])
    common.pruning(context, network)  # what cannot be pruned later is told now
    settings = context.recipe.train
    teacher = deepcopy(network) if context.recipe.model.darknet_weights else None
    return common.train_and_save(context, network, head, settings, "train", data=data, teacher=teacher)


def start(context: StageContext, splits: "DataSplits") -> "tuple[Network, HeadSpec]":
    """The network before training: darknet's where the recipe names one, else a new one with anchors for this data.

    One without trained weights has the recipe's neurons, if they begin here.
    """
    import torch

    from hwprune.models.network import Network

    model = context.recipe.model

    # The weights' start is part of the run that the seed fixes; the caller's generator is left as it was.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(context.recipe.seed)
        network, head = _imported(context, splits) if model.darknet_cfg else _new(context, splits)
        neurons = chosen(context, network.architecture)
        if any(neurons.values()) and model.neurons_from == "train" and not model.darknet_weights:
            tell_floors_missed(context, "train", network.architecture)
            network = Network(network.architecture.with_neurons(neurons))
        return network, head


def _new(context: StageContext, splits: "DataSplits") -> "tuple[Network, HeadSpec]":
    import numpy as np

    from hwprune.detect.anchors import fit_head
    from hwprune.models.network import Network
    from hwprune.models.yolov3_tiny import STRIDES, yolov3_tiny

    model, recipe = context.recipe.model, context.recipe
    boxes = np.concatenate([splits.train[i][1]["boxes"].numpy() for i in range(len(splits.train))])
    shapes = boxes[:, 2:] - boxes[:, :2]
    head = fit_head(
        shapes, splits.classes, STRIDES, recipe.data.image_size,
        anchors_per_head=model.anchors_per_head, seed=recipe.seed,
    )  # fmt: skip
    architecture = yolov3_tiny(len(splits.classes), model.widths, model.anchors_per_head, model.activation)
    return Network(architecture), head


def _imported(context: StageContext, splits: "DataSplits") -> "tuple[Network, HeadSpec]":
    """A darknet detector with its own anchors; the data names its classes."""
    from hwprune.detect.head import HeadSpec
    from hwprune.models.darknet import load_darknet

    cfg, size = context.recipe.model.darknet_cfg, tuple(context.recipe.data.image_size)
    network, head = load_darknet(cfg, context.recipe.model.darknet_weights)
    if len(head["classes"]) != len(splits.classes):
        raise UserError(
            f"{cfg}: detects {len(head['classes'])} classes, but the data has {len(splits.classes)} "
            f"({', '.join(splits.classes)}); set classes and filters in the cfg"
        )
    if tuple(head["image_size"]) != size:
        raise UserError(
            f"{cfg}: is for images of {head['image_size']} (height, width), but the recipe's data.image_size is "
            f"{list(size)}; give both the same"
        )
    return network, HeadSpec.model_validate({**head, "classes": splits.classes})


STAGE = Stage(
    name="train",
    about="trains the float detector",
    makes=common.MAKES,
    reads=(),
    sections=("data", "model", "train"),
    run=run,
)
