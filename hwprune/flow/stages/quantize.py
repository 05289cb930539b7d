"""quantize: the pruned network in a few bits, and its integer form."""

from typing import TYPE_CHECKING

from hwprune.flow.stage import Outcome, Stage, StageContext
from hwprune.flow.stages import common
from hwprune.flow.stages.conversion import converted

if TYPE_CHECKING:
    from hwprune.models.network import Network


def run(context: StageContext) -> Outcome:
    """Train the Brevitas twin of the network, fold it into integers, and measure those."""
    from hwprune.detect.evaluate import evaluate
    from hwprune.flow.detections import save_detections
    from hwprune.quant.calibrate import calibrate
    from hwprune.quant.hardware_form import hardware_form
    from hwprune.quant.integer import freeze, integer_predictor
    from hwprune.quant.network import QuantNetwork
    from hwprune.quant.precision import Precision
    from hwprune.quant.store import save_integer
    from hwprune.sam.blend import blend, unblend
    from hwprune.train.loop import fit

    teacher, head = common.load_checkpoint(context.inputs["finetune"])
    splits, train_set = common.open_data(context)
    settings = context.recipe.quantize
    float_network = hardware_form(teacher, splits.train)

    def quantised(network: "Network") -> QuantNetwork:
        return QuantNetwork(network.architecture, Precision.of(settings)).start_from(network)

    if twin := converted(context, "quantize", float_network, splits.train):
        network = quantised(twin)
        blend(network, quantised(float_network))
    else:
        network = quantised(float_network)
    calibrate(network, splits.train)
    trained = fit(
        network, train_set, splits.val, head, settings, context.folder,
        seed=context.recipe.seed, name="quantize", teacher=teacher,
    )  # fmt: skip
    unblend(network)
    integer = freeze(network)
    save_integer(context.folder, integer, head)
    result = evaluate(integer_predictor(integer), splits.val, head)
    drawn = save_detections(context.folder, "quantized", integer_predictor(integer), splits.val, head)
    bits = {
        layer.name: integer.precision.of_weights(integer.architecture, layer.name)
        for layer in integer.architecture.layers
        if layer.op == "conv"
    }
    results = {
        **trained,
        f"{head.metric}_before_folding": trained[head.metric],
        head.metric: result[head.metric],
        "weight_bits": bits,
        "activation_bits": integer.precision.activation_bits,
        **common.sam_layers(integer),
    }
    outcome = common.checkpoint_outcome(context.folder, results)
    return Outcome((*outcome.artefacts, *drawn), outcome.results)


STAGE = Stage(
    name="quantize",
    about="trains the network in a few bits with Brevitas and folds it into integers",
    makes=f"{common.MAKES} (integers)",
    reads=("finetune",),
    sections=("data", "model", "quantize"),
    run=run,
)
