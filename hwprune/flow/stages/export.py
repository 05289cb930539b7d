"""export: the integer network as a QONNX graph."""

from hwprune.errors import UserError
from hwprune.flow.stage import Outcome, Stage, StageContext

GRAPH = "network.onnx"
_CHECKED = 2  # images; QONNX's executor runs node by node


def run(context: StageContext) -> Outcome:
    """Write the graph, and hold QONNX's own execution of it to Brevitas on every layer."""
    import numpy as np
    import torch

    from hwprune.data.dataset import open_dataset
    from hwprune.quant.export import execute, export_qonnx
    from hwprune.quant.store import load_integer

    network, _ = load_integer(context.inputs["quantize"])
    size = tuple(context.recipe.data.image_size)
    graph = export_qonnx(network, size, context.folder / GRAPH)
    val = open_dataset(context.recipe.data).val
    images = min(_CHECKED, len(val))
    for index in range(images):
        image = val[index][0]
        found = execute(graph, image.numpy())
        with torch.no_grad():
            expected = network.forward_all(image[None].float())
        for name, tensor in expected.items():
            if not np.array_equal(found[name], tensor.numpy()):
                worst = np.abs(found[name] - tensor.numpy()).max()
                raise UserError(
                    f"{context.folder / GRAPH}: layer {name!r} differs by {worst} from Brevitas on validation image "
                    f"{index}; this is a defect of hwprune or of the installed QONNX: please report it with the recipe"
                )
    nodes: dict[str, int] = {}
    for node in graph.graph.node:
        nodes[node.op_type] = nodes.get(node.op_type, 0) + 1
    return Outcome(
        (context.folder / GRAPH,), {"nodes": nodes, "images_compared": images, "layers_compared": len(expected)}
    )


STAGE = Stage(
    name="export",
    about="writes the QONNX graph and holds it to the Brevitas network, layer by layer",
    makes=GRAPH,
    reads=("quantize",),
    sections=("data",),
    run=run,
)
