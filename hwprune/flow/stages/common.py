"""What the stages that train have in common."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from hwprune.flow.stage import Outcome, StageContext
from hwprune.flow.stages.conversion import converted

if TYPE_CHECKING:
    from torch.utils.data import Dataset

    from hwprune.data.dataset import DataSplits
    from hwprune.detect.heads import Head
    from hwprune.models.network import Network
    from hwprune.prune.method import Method, Score
    from hwprune.train.settings import TrainSettings
    from hwprune.train.task import AfterBackward

CHECKPOINT = ("model.json", "model.safetensors")
MAKES = "model.json, model.safetensors"
LEVELS = {"train": "float", "sparsify": "sparse", "finetune": "finetuned"}
"""What the trained network of a stage is called in figures."""


def open_data(context: StageContext) -> "tuple[DataSplits, Dataset]":
    """The data of the recipe, and its training side with augmentation."""
    from hwprune.data.augment import Augmented
    from hwprune.data.dataset import open_dataset

    splits = open_dataset(context.recipe.data)
    for side in (splits.train, splits.val):
        if hasattr(side, "preload"):
            side.preload()
    return splits, Augmented(splits.train, context.recipe.data.augment, context.recipe.seed)


def load_checkpoint(folder: Path) -> "tuple[Network, Head]":
    """The float network of an earlier stage, and its head.

    Raises
    ------
    UserError
        If the folder holds no whole checkpoint with a head.
    """
    from pydantic import ValidationError

    from hwprune.detect.heads import parse_head
    from hwprune.errors import UserError
    from hwprune.models.store import load_model

    network, head = load_model(folder)
    try:
        return network, parse_head(head)
    except ValidationError:
        raise UserError(f"{folder / 'model.json'}: holds no head; run the stage that wrote it again") from None


def pruning(context: StageContext, network: "Network") -> "Method":
    """The recipe's method of pruning, which can be carried out on this network.

    Raises
    ------
    UserError
        If it cannot.
    """
    from hwprune.prune.methods import method
    from hwprune.prune.problems import check

    check(context.recipe.prune, network.architecture)
    return method(context.recipe.prune, context.recipe.seed)


def scorer(context: StageContext, head: "Head") -> "Score":
    """Measures a network's validation figure, the one that its head names."""
    from hwprune.data.dataset import open_dataset
    from hwprune.detect.evaluate import evaluate, predictor

    val = open_dataset(context.recipe.data).val
    return lambda network: evaluate(predictor(network), val, head)[metric(head)]


def metric(head: "Head") -> str:
    """The name of the figure that counts, a key of results."""
    return head.metric


def train_and_save(
    context: StageContext,
    network: "Network",
    head: "Head",
    settings: "TrainSettings",
    stage: str,
    after_backward: "AfterBackward | None" = None,
    data: "tuple[DataSplits, Dataset] | None" = None,
    teacher: "Network | None" = None,
) -> Outcome:
    """Train, save the checkpoint and a few detections, and report the validation result with the training's course.

    Where the recipe's neurons begin with this stage, the network is converted to them on the way.
    """
    from hwprune.detect.evaluate import predictor
    from hwprune.flow.detections import save_detections
    from hwprune.models.store import save_model
    from hwprune.sam.blend import blend, unblend
    from hwprune.train.loop import fit

    splits, train_set = data or open_data(context)
    if twin := converted(context, stage, network, splits.train):
        blend(twin, network)
        network = twin
    result = fit(
        network, train_set, splits.val, head, settings, context.folder,
        seed=context.recipe.seed, after_backward=after_backward, name=stage, teacher=teacher,
    )  # fmt: skip
    unblend(network)
    save_model(context.folder, network, head)
    drawn = save_detections(context.folder, LEVELS[stage], predictor(network), splits.val, head)
    results = {**cost(context, network), **result, **sam_layers(network)}
    outcome = checkpoint_outcome(context.folder, results)
    return Outcome((*outcome.artefacts, *drawn), outcome.results)


def checkpoint_outcome(folder: Path, results: dict[str, Any]) -> Outcome:
    """The outcome of a stage that leaves a checkpoint."""
    return Outcome(tuple(folder / name for name in CHECKPOINT), results)


def sam_layers(network: "Network") -> dict[str, dict[str, Any]]:
    """What the SAM layers of a network are, for its results; nothing where there are none."""
    layers = {layer.name: layer.sam for layer in network.architecture.layers if layer.op == "conv" and layer.sam}
    return {"sam": {name: sam.model_dump() for name, sam in layers.items()}} if layers else {}


def cost(context: StageContext, network: "Network") -> dict[str, int]:
    """Parameters, and the multiply-accumulates and SAM operations of one image."""
    from hwprune.models.cost import macs, parameters, sam_ops

    size = context.recipe.data.image_size
    operations = {"macs": macs(network.architecture, *size), "sam_ops": sam_ops(network.architecture, *size)}
    return {"params": parameters(network), **operations}
