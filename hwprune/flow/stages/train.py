"""train: a float network from labelled images."""

from copy import deepcopy
from typing import TYPE_CHECKING

from hwprune.errors import UserError
from hwprune.flow.stage import Outcome, Stage, StageContext
from hwprune.flow.stages import common
from hwprune.flow.stages.conversion import chosen, tell_floors_missed

if TYPE_CHECKING:
    from hwprune.data.dataset import DataSplits
    from hwprune.detect.heads import Head
    from hwprune.models.network import Network


def run(context: StageContext) -> Outcome:
    """Build the network and its head, and train it."""
    data = common.open_data(context)
    network, head = start(context, data[0])
    common.pruning(context, network)  # what cannot be pruned later is told now
    settings = context.recipe.train
    teacher = deepcopy(network) if context.recipe.model.darknet_weights else None
    return common.train_and_save(context, network, head, settings, "train", data=data, teacher=teacher)


def start(context: StageContext, splits: "DataSplits") -> "tuple[Network, Head]":
    """The network before training: darknet's or torchvision's where the recipe names one, else a new one with a head
    for this data.

    One without trained weights has the recipe's neurons, if they begin here.
    """
    import torch

    from hwprune.models.network import Network

    model = context.recipe.model

    # The weights' start is part of the run that the seed fixes; the caller's generator is left as it was.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(context.recipe.seed)
        network, head = _beginning(context, splits)
        neurons = chosen(context, network.architecture)
        if (
            any(neurons.values())
            and model.neurons_from == "train"
            and not (model.darknet_weights or model.torchvision_weights)
        ):
            tell_floors_missed(context, "train", network.architecture)
            network = Network(network.architecture.with_neurons(neurons))
        return network, head


def _beginning(context: StageContext, splits: "DataSplits") -> "tuple[Network, Head]":
    model = context.recipe.model
    if model.darknet_cfg:
        return _from_darknet(context, splits)
    return _from_torchvision(context, splits) if model.torchvision_weights else _new(context, splits)


def _new(context: StageContext, splits: "DataSplits") -> "tuple[Network, Head]":
    from hwprune.detect.kinds import KINDS
    from hwprune.models.network import Network

    model, size = context.recipe.model, tuple(context.recipe.data.image_size)
    try:
        architecture = model.architecture(len(splits.classes), size)
    except ValueError as error:
        raise UserError(f"model: {error}") from None
    shapes = architecture.shapes(*size)
    head = KINDS[model.source.head].fit(splits.train, [shapes[name] for name in architecture.heads], size,
                                        context.recipe.seed)  # fmt: skip
    return Network(architecture), head


def _from_darknet(context: StageContext, splits: "DataSplits") -> "tuple[Network, Head]":
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


def _from_torchvision(context: StageContext, splits: "DataSplits") -> "tuple[Network, Head]":
    """torchvision's SSD300 with its default boxes; where the data has another number of classes, the layers that tell
    classes are new ones."""
    from hwprune.detect.ssd_head import torchvision_head
    from hwprune.models.network import Network
    from hwprune.models.ssd import ssd300
    from hwprune.models.torchvision_ssd import load_torchvision_ssd

    path, head = context.recipe.model.torchvision_weights, torchvision_head(splits.classes)
    given = load_torchvision_ssd(path)
    network = Network(ssd300(len(splits.classes)))
    own, theirs = network.state_dict(), given.state_dict()
    fitting = {name: tensor for name, tensor in theirs.items() if tensor.shape == own[name].shape}
    network.load_state_dict(own | fitting)
    if len(fitting) < len(own):
        there = given.architecture["classes1"].out_channels // 4 - 1
        print(f"train: {path} tells {there} classes, the data has {len(splits.classes)}: the layers classes1 to "
              "classes6 start anew", flush=True)  # fmt: skip
    return network, head


STAGE = Stage(
    name="train",
    about="trains the float network",
    makes=common.MAKES,
    reads=(),
    sections=("data", "model", "train"),
    run=run,
)
