"""prune: takes channels out of the network."""

from hwprune.flow.stage import Outcome, Stage, StageContext
from hwprune.flow.stages import common


def run(context: StageContext) -> Outcome:
    """Choose the channels that stay, cut the network down to them, and measure what is left."""
    from hwprune.files import write_json
    from hwprune.flow.stages.budget import choose_for_budget
    from hwprune.models.store import save_model
    from hwprune.prune.report import compare
    from hwprune.prune.surgery import prune

    network, head = common.load_checkpoint(context.inputs["sparsify"])
    method, score = common.pruning(context, network), common.scorer(context, head)
    network.eval()
    if getattr(context.recipe.prune, "budget", None):
        kept, method.found = choose_for_budget(context, network, head)
    else:
        kept = method.choose(network, context.round, score)
    small = prune(network, kept, compensate=method.compensates)
    change = compare(network.architecture, small.architecture, *head.image_size)
    save_model(context.folder, small, head)
    write_json(context.folder / "kept.json", {name: list(channels) for name, channels in kept.items()})
    outcome = common.checkpoint_outcome(
        context.folder,
        {
            **common.cost(context, small),
            common.metric(head): score(small),
            "method": context.recipe.prune.method,
            **({"choice": method.found} if method.found else {}),
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
