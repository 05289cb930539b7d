"""prune: takes channels out of the network."""

from hwprune.flow.stage import Outcome, Stage, StageContext
from hwprune.flow.stages import common


def run(context: StageContext) -> Outcome:
    """Score the channels, choose those that stay, cut the network down to them, and measure what is left."""
    from hwprune.data.dataset import open_dataset
    from hwprune.detect.evaluate import evaluate, predictor
    from hwprune.files import write_json
    from hwprune.models.store import save_model
    from hwprune.prune.balance import balance
    from hwprune.prune.importance import METHODS
    from hwprune.prune.report import compare
    from hwprune.prune.select import select
    from hwprune.prune.surgery import prune

    network, head = common.load_checkpoint(context.inputs["sparsify"])
    settings = context.recipe.prune
    importance = METHODS[settings.method](network)
    kept = balance(network.architecture, importance, select(importance, settings), settings)
    small = prune(network.eval(), kept)
    change = compare(network.architecture, small.architecture, *head.image_size)
    result = evaluate(predictor(small), open_dataset(context.recipe.data).val, head)
    save_model(context.folder, small, head)
    write_json(context.folder / "kept.json", {name: list(channels) for name, channels in kept.items()})
    outcome = common.checkpoint_outcome(
        context.folder,
        {
            **common.cost(context, small),
            "map50": result["map50"],
            "widths": {row.layer: [row.width_before, row.width_after] for row in change.layers},
            "layers": [row.model_dump() for row in change.layers],
        },
    )
    return Outcome((*outcome.artefacts, context.folder / "kept.json"), outcome.results)


STAGE = Stage(
    name="prune",
    about="removes the channels that matter least",
    makes=f"{common.MAKES}, kept.json (channels that stayed, by layer)",
    reads=("sparsify",),
    sections=("data", "prune"),
    run=run,
)
