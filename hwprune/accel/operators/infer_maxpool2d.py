"""ONNX max-pools -> `MaxPool2d`, as FINN's InferPool does for the pools that need a sliding window."""

from onnx import NodeProto, TensorProto, helper
from qonnx.core.datatype import BaseDataType
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.transformation.base import Transformation
from qonnx.transformation.general import SortGraph

_TO_NHWC, _TO_NCHW = [0, 2, 3, 1], [0, 3, 1, 2]


def maxpool2d_node(node: NodeProto, shape: tuple[int, int, int, int], datatype: BaseDataType) -> NodeProto | None:
    """The `MaxPool2d` node, of the same name and tensors, for an ONNX ``MaxPool`` or qonnx ``MaxPoolNHWC`` node.

    Parameters
    ----------
    node
        The pool.
    shape
        Of its input, channels last: (N, H, W, C).
    datatype
        Of its input.

    Returns
    -------
    NodeProto or None
        None if the operator does not compute this pool: anything but integers in 2x2 windows with stride 2 and no
        padding, or with stride 1 and padding right and below only.
    """
    attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute}
    strides = list(attributes.get("strides", [1, 1]))
    pads = list(attributes.get("pads", [0, 0, 0, 0]))  # top, left, bottom, right
    frames, height, width, channels = (int(d) for d in shape)
    odd = height % 2 or width % 2
    fits = (
        datatype.is_integer()
        and len(node.output) == 1  # no indices
        and list(attributes["kernel_shape"]) == [2, 2]
        and set(attributes.get("dilations", [1, 1])) == {1}
        and attributes.get("auto_pad", b"NOTSET") == b"NOTSET"
        and (
            (strides == [2, 2] and pads == [0, 0, 0, 0] and not (attributes.get("ceil_mode", 0) and odd))
            or (strides == [1, 1] and pads == [0, 0, 1, 1])
        )
        and min(height, width) >= strides[0]
    )
    if not fits:
        return None
    return helper.make_node(
        "MaxPool2d",
        list(node.input),
        list(node.output),
        name=node.name,
        domain="finn.custom_op.fpgadataflow",
        backend="fpgadataflow",
        ifm_dim=[height, width],
        Channels=channels,
        PE=1,
        stride=strides[0],
        inputDataType=datatype.name,
        numInputVectors=frames,
    )


class InferMaxPool2d(Transformation):
    """Replace the max-pools that `MaxPool2d` computes; FINN's InferPool may come after it for the others.

    A channels-first ``MaxPool`` gets a transposition on either side, for FINN's AbsorbConsecutiveTransposes to cancel
    with its neighbours'. Shapes and data types have to be annotated.
    """

    def apply(self, model: ModelWrapper) -> tuple[ModelWrapper, bool]:
        """One pass over the graph."""
        changed = False
        for node in list(model.graph.node):
            if node.op_type not in ("MaxPool", "MaxPoolNHWC"):
                continue
            shape, datatype = model.get_tensor_shape(node.input[0]), model.get_tensor_datatype(node.input[0])
            if shape is None or len(shape) != 4:
                continue
            first = node.op_type == "MaxPool"
            pool = maxpool2d_node(node, tuple(shape[i] for i in _TO_NHWC) if first else tuple(shape), datatype)
            if pool is None:
                continue
            if first:
                _transpose_around(model, pool, datatype)
            model.graph.node.remove(node)
            model.graph.node.append(pool)
            model.set_tensor_datatype(node.output[0], datatype)
            changed = True
        return (model.transform(SortGraph()) if changed else model), False


def _transpose_around(model: ModelWrapper, pool: NodeProto, datatype: BaseDataType) -> None:
    """Give a channels-last node a place between the channels-first tensors that it names."""
    for tensors, perm, inverse in ((pool.input, _TO_NHWC, False), (pool.output, _TO_NCHW, True)):
        outer = tensors[0]
        shape = model.get_tensor_shape(outer)
        inner = model.make_new_valueinfo_name()
        model.graph.value_info.append(
            helper.make_tensor_value_info(inner, TensorProto.FLOAT, [shape[i] for i in _TO_NHWC])
        )
        model.set_tensor_datatype(inner, datatype)
        tensors[0] = inner
        ends = ([inner], [outer]) if inverse else ([outer], [inner])
        model.graph.node.append(helper.make_node("Transpose", *ends, perm=perm))
