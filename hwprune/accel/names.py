"""Names that last: FINN renames nodes by type and number, and gives the tensors it makes random names."""

from qonnx.core.modelwrapper import ModelWrapper
from qonnx.transformation.base import Transformation

PASSES_ON = ("StreamingDataWidthConverter", "StreamingFIFO")
"""Operators that change no value."""


def transform_named(model: ModelWrapper, transformation: Transformation) -> ModelWrapper:
    """Apply a transformation; nodes that FINN renames get their names back, and new ones a name that tells what they
    carry.

    FINN gives the tensors it makes random names; the same network must give the same files.
    """
    names = {node.output[0]: node.name for node in model.graph.node}
    model = model.transform(transformation)
    for node in model.graph.node:
        if node.output[0] in names:
            node.name = names[node.output[0]]
        else:
            suffix = "width" if node.op_type.startswith("StreamingDataWidthConverter") else "fifo"
            node.name = f"{node.input[0]}_{suffix}"
            model.rename_tensor(node.output[0], node.name)
    return model


def carried(model: ModelWrapper, tensor: str) -> str:
    """The operator's output whose values ``tensor`` carries."""
    node = model.find_producer(tensor)
    while node is not None and node.op_type.startswith(PASSES_ON):
        tensor = node.input[0]
        node = model.find_producer(tensor)
    return tensor
