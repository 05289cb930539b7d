"""The integer network as a QONNX graph, with the layer table's names on its tensors."""

import contextlib
import io
import warnings
from pathlib import Path

import numpy as np
import torch
from onnx import NodeProto
from qonnx.core.datatype import DataType
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.core.onnx_exec import execute_onnx
from qonnx.custom_op.registry import getCustomOp
from qonnx.transformation.fold_constants import FoldConstants
from qonnx.transformation.general import RemoveStaticGraphInputs, RemoveUnusedTensors, SortGraph
from qonnx.transformation.infer_datatypes import InferDataTypes
from qonnx.transformation.infer_shapes import InferShapes

from hwprune.files import atomic_write
from hwprune.models.architecture import IMAGE, Architecture, Layer
from hwprune.quant.integer import IntegerNetwork
from hwprune.sam.qonnx_op import SamConv

_ONNX_OPS = {"maxpool": "MaxPool", "upsample": "Resize", "concat": "Concat"}


def accumulator(name: str) -> str:
    """Name of the tensor of sums of convolution ``name``."""
    return f"{name}_acc"


def export_qonnx(network: IntegerNetwork, image_size: tuple[int, int], path: Path) -> ModelWrapper:
    """Write the QONNX graph of ``network`` for one image.

    The input ``image`` holds uint8 pixels; a layer's output tensor has the layer's name, the sums of a convolution are
    called ``<layer>_acc``. A head's output is ``scale * accumulator + bias``.

    Parameters
    ----------
    network
        Integer form.
    image_size
        (height, width) in pixels.
    path
        The .onnx file to write.
    """
    # Brevitas, and with it torch.onnx, prints and warns about its own inner workings.
    from brevitas.export import export_qonnx as brevitas_export

    image = torch.zeros(1, network.architecture.in_channels, *image_size)
    with (
        atomic_write(path) as temporary,
        warnings.catch_warnings(),
        contextlib.redirect_stdout(io.StringIO()),
        torch.no_grad(),
    ):
        warnings.simplefilter("ignore")
        # Inside the file: beside it, weights would lie under the temporary name.
        brevitas_export(network, image, export_path=str(temporary), external_data=False)
        model = _clean(ModelWrapper(str(temporary)), network.architecture)
        model.save(str(temporary))
    return model


def execute(model: ModelWrapper, image: np.ndarray) -> dict[str, np.ndarray]:
    """Run the graph with QONNX's own executor on one image, (C, H, W) uint8; every tensor by name."""
    return execute_onnx(model, {IMAGE: image[None].astype(np.float32)}, return_full_exec_context=True)


def _clean(model: ModelWrapper, architecture: Architecture) -> ModelWrapper:
    for node in model.graph.node:
        if node.op_type == "Quant":
            node.domain = "qonnx.custom_op.general"
    _merge_pads(model)
    _name_tensors(model, architecture)
    _strip_traces(model)
    _own_parameters(model)
    for transformation in (
        RemoveStaticGraphInputs(),
        InferShapes(),
        FoldConstants(exclude_op_types=["Quant"]),
        RemoveUnusedTensors(),
        SortGraph(),
        InferShapes(),
    ):
        model = model.transform(transformation)
    model.set_tensor_datatype(IMAGE, DataType["UINT8"])
    for node in model.get_nodes_by_op_type("SamConv"):
        _type_weights(model, getCustomOp(node))
    return model.transform(InferDataTypes())


def _type_weights(model: ModelWrapper, operator: SamConv) -> None:
    """The data types of a SAM layer's codes and signs, which stand in the graph as they are."""
    *codes, sign = operator.operands()
    for name in codes:
        if name is not None:
            bits = max(1, int(model.get_initializer(name).max()).bit_length())
            model.set_tensor_datatype(name, DataType[f"UINT{bits}"])
    if sign is not None:
        model.set_tensor_datatype(sign, DataType["BIPOLAR"])


def _strip_traces(model: ModelWrapper) -> None:
    """Take out what torch.onnx notes on each node: the lines of Python that made it, with the paths of this machine."""
    for item in (model.model, model.graph, *model.graph.node, *model.graph.value_info):
        item.ClearField("metadata_props")


def _own_parameters(model: ModelWrapper) -> None:
    """Give each node its own copy of a parameter that it shares, named after what the node writes.

    QONNX does the same before each transformation, under random names.
    """
    taken: set[str] = set()
    for node in model.graph.node:
        for index, name in enumerate(node.input):
            value = model.get_initializer(name)
            if value is not None and name in taken:
                node.input[index] = f"{node.output[0]}_parameter{index}"
                model.set_initializer(node.input[index], value)
            taken.add(node.input[index])


def _name_tensors(model: ModelWrapper, architecture: Architecture) -> None:
    """Give tensors the names of the layers that make them; the exporter keeps only parameter names."""
    scaled = {i: node for node in model.graph.node if node.op_type == "Mul" for i in node.input}
    names: dict[str, str] = {}  # today's name of a tensor -> its final one
    today = {IMAGE: model.graph.input[0].name}
    named: set[str] = set()
    for layer in architecture.layers:
        if layer.op == "conv":
            multiply = scaled[f"layers.{layer.name}.scale"]
            names[multiply.input[0]] = accumulator(layer.name)
            node = model.find_consumer(multiply.output[0])
            if layer.name not in architecture.heads:
                while node.op_type != "Quant":
                    node = model.find_consumer(node.output[0])
        else:
            node = _find(model, layer, [today[source] for source in layer.inputs], named)
        today[layer.name] = node.output[0]
        named.add(node.output[0])
    names |= {tensor: layer for layer, tensor in today.items()}
    for old, new in names.items():
        model.rename_tensor(old, new)


def _merge_pads(model: ModelWrapper) -> None:
    """Padding with minus infinity is what a max-pool's own padding means, and no integer type holds minus infinity."""
    for node in model.get_nodes_by_op_type("Pad"):
        (pool,) = model.find_consumers(node.output[0])
        # ONNX pads (N, C, H, W), all beginnings and then all ends; a pool's are (top, left, bottom, right).
        amounts = model.get_initializer(node.input[1])[[2, 3, 6, 7]]
        (pads,) = (a for a in pool.attribute if a.name == "pads")
        pads.ints[:] = [int(amount) for amount in amounts]
        pool.input[0] = node.input[0]
        model.graph.node.remove(node)


def _find(model: ModelWrapper, layer: Layer, sources: list[str], named: set[str]) -> NodeProto:
    for node in model.graph.node:
        matches = node.op_type == _ONNX_OPS[layer.op] and list(node.input)[: len(sources)] == sources
        if matches and node.output[0] not in named:
            return node
    raise RuntimeError(f"the exported graph holds no {_ONNX_OPS[layer.op]} for layer {layer.name!r}")
