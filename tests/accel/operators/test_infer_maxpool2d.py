"""ONNX max-pools become MaxPool2d where, and only where, it computes the same."""

import numpy as np
import pytest
from onnx import TensorProto, helper
from qonnx.core.datatype import DataType
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.core.onnx_exec import execute_onnx
from qonnx.util.basic import qonnx_make_model

from hwprune.accel import operators
from hwprune.accel.operators.infer_maxpool2d import InferMaxPool2d


@pytest.fixture(scope="module", autouse=True)
def registered():
    operators.register()


def pool_model(op_type, shape, out_shape, datatype="INT4", **attributes):
    attributes = {"kernel_shape": [2, 2], "strides": [2, 2], "pads": [0, 0, 0, 0]} | attributes
    domain = "qonnx.custom_op.general" if op_type == "MaxPoolNHWC" else ""
    node = helper.make_node(op_type, ["x"], ["y"], name="pool_5", domain=domain, **attributes)
    ends = [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in (("x", shape), ("y", out_shape))]
    model = ModelWrapper(qonnx_make_model(helper.make_graph([node], "g", ends[:1], ends[1:])))
    model.set_tensor_datatype("x", DataType[datatype])
    return model


@pytest.mark.parametrize(
    ("op_type", "shape", "out_shape", "attributes"),
    [
        ("MaxPool", (1, 3, 6, 4), (1, 3, 3, 2), {}),
        ("MaxPool", (1, 3, 7, 5), (1, 3, 3, 2), {}),
        ("MaxPool", (1, 3, 5, 4), (1, 3, 5, 4), {"strides": [1, 1], "pads": [0, 0, 1, 1]}),
        ("MaxPoolNHWC", (1, 6, 4, 3), (1, 3, 2, 3), {}),
    ],
)
def test_same_values_before_and_after(op_type, shape, out_shape, attributes):
    model = pool_model(op_type, shape, out_shape, **attributes)
    x = np.random.default_rng(0).integers(-8, 0, shape).astype(np.float32)  # a zero from the padding would win
    before = execute_onnx(model, {"x": x})["y"]
    after = model.transform(InferMaxPool2d())
    (pool,) = after.get_nodes_by_op_type("MaxPool2d")
    assert pool.name == "pool_5"
    assert not after.get_nodes_by_op_type(op_type)
    assert after.get_tensor_datatype("y") == DataType["INT4"]
    np.testing.assert_array_equal(execute_onnx(after, {"x": x})["y"], before)


@pytest.mark.parametrize(
    ("shape", "out_shape", "attributes"),
    [
        ((1, 3, 6, 6), (1, 3, 2, 2), {"kernel_shape": [3, 3], "strides": [2, 2]}),
        ((1, 3, 6, 6), (1, 3, 5, 5), {"strides": [1, 1]}),
        ((1, 3, 6, 6), (1, 3, 6, 6), {"strides": [1, 1], "pads": [1, 1, 0, 0]}),
        ((1, 3, 6, 6), (1, 3, 4, 4), {"pads": [1, 1, 1, 1]}),
        ((1, 3, 7, 7), (1, 3, 4, 4), {"ceil_mode": 1}),
        ((1, 3, 6, 6), (1, 3, 2, 2), {"dilations": [2, 2]}),
        ((1, 3, 6, 6), (1, 3, 3, 3), {"datatype": "FLOAT32"}),
    ],
)
def test_other_pools_are_left_alone(shape, out_shape, attributes):
    after = pool_model("MaxPool", shape, out_shape, **attributes).transform(InferMaxPool2d())
    assert [node.op_type for node in after.graph.node] == ["MaxPool"]
