"""The QONNX operator: shape, data type, execution."""

import numpy as np
import pytest
from hypothesis import given, settings

from tests.sam.test_layers import layers

pytest.importorskip("qonnx", reason="QONNX is not installed")

from onnx import TensorProto, helper
from qonnx.core.datatype import DataType
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.core.onnx_exec import execute_onnx
from qonnx.transformation.infer_datatypes import InferDataTypes
from qonnx.transformation.infer_shapes import InferShapes
from qonnx.util.basic import qonnx_make_model

from hwprune.sam.neuron import distances, windows
from hwprune.sam.qonnx_op import DOMAIN


@given(layers())
@settings(deadline=None, max_examples=15)
def test_a_graph_of_one_layer_runs_and_knows_its_types(drawn):
    (channels, units, kernel, stride, padding), sam, size, seed = drawn
    rng = np.random.default_rng(seed)
    group = sam.group_size(channels, kernel)
    groups = channels * kernel**2 // group

    def codes():
        """With a zero in each group, (J, k, k, C) -> (J, C, k, k)."""
        values = rng.integers(0, 16, (units, groups, group))
        values -= 0 if sam.floor else values.min(-1, keepdims=True)
        return values.reshape(units, kernel, kernel, channels)

    p, n = codes(), codes() if sam.two_sets else None
    sign = None if sam.form == "difference" else rng.choice([-1, 1], (units, groups))
    inputs = {"p": p.transpose(0, 3, 1, 2)} | ({} if n is None else {"n": n.transpose(0, 3, 1, 2)})
    inputs |= {} if sign is None else {"sign": sign}
    node = helper.make_node("SamConv", ["x", *inputs], ["y"], domain=DOMAIN, form=sam.form, group=group,
                            shift=sam.shift, floor=int(sam.floor), stride=stride, padding=padding)  # fmt: skip
    least = 0 if sam.floor else -8
    x = rng.integers(least, least + 16, (1, channels, *size)).astype(np.float32)
    graph = helper.make_graph([node], "one", [helper.make_tensor_value_info("x", TensorProto.FLOAT, x.shape)],
                              [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)])  # fmt: skip
    model = ModelWrapper(qonnx_make_model(graph))
    for name, value in inputs.items():
        model.set_initializer(name, value.astype(np.float32))
    model.set_tensor_datatype("x", DataType["UINT4" if sam.floor else "INT4"])
    model = model.transform(InferShapes()).transform(InferDataTypes())
    y = execute_onnx(model, {"x": x})["y"]
    flat = [None if c is None else c.reshape(units, -1) for c in (p, n)]
    expected = distances(windows(x, kernel, stride, padding), sam, group, *flat, sign).transpose(0, 3, 1, 2)
    np.testing.assert_array_equal(y, expected)
    assert tuple(model.get_tensor_shape("y")) == y.shape
    datatype = model.get_tensor_datatype("y")
    assert datatype.is_integer() and datatype.min() <= y.min() and y.max() <= datatype.max()
