"""The operators inside FINN's own transformations."""

import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper
from qonnx.core.datatype import DataType
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.custom_op.registry import getCustomOp
from qonnx.transformation.infer_datatypes import InferDataTypes
from qonnx.transformation.infer_shapes import InferShapes
from qonnx.util.basic import qonnx_make_model

from hwprune.accel import operators
from hwprune.accel.finn_env import prepare_finn
from hwprune.errors import UserError
from tests.accel.operators.cases import golden, operator

PART = "xc7z020clg400-1"
PARALLEL = {"MaxPool2d": "PE", "UpsampleNearestNeighbour": "SIMD", "StreamingConcat": "SIMD", "DuplicateStreams": "PE"}


@pytest.fixture(scope="module", autouse=True)
def finn(tmp_path_factory):
    operators.register()
    return prepare_finn(tmp_path_factory.mktemp("finn"))


def branches(channels=6, size=8):
    """pool -> fork -> (pool -> upsampling | straight on) -> concat: each operator once, one pool twice."""
    half = size // 2

    def node(op, name, inputs, outputs, **attributes):
        domain = "finn.custom_op.fpgadataflow"
        return helper.make_node(op, inputs, outputs, name=name, domain=domain, backend="fpgadataflow", **attributes)

    pool = dict(Channels=channels, PE=1, inputDataType="UINT4")
    nodes = [
        node("MaxPool2d", "same", ["x"], ["a"], ifm_dim=[size, size], stride=1, Padding=[0, 0, 1, 1],
             **pool),
        node("DuplicateStreams", "fork", ["a"], ["b", "c"], NumChannels=channels, PE=1, NumOutputStreams=2,
             inputDataType="UINT4", numInputVectors=[1, size, size], outFIFODepths=[2, 2]),
        node("MaxPool2d", "down", ["b"], ["d"], ifm_dim=[size, size], stride=2, **pool),
        node("UpsampleNearestNeighbour", "up", ["d"], ["e"], HI=half, WI=half, HO=size, WO=size, NumChannels=channels,
             SIMD=1, inputDataType="UINT4", batchSize=1),
        node("StreamingConcat", "join", ["e", "c"], ["y"], SIMD=1, ChannelsPerStream=[channels, channels],
             inputDataTypes=["UINT4", "UINT4"], numInputVectors=[1, size, size], inFIFODepths=[2, 2]),
    ]  # fmt: skip
    ends = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, size, size, c])
        for name, c in (("x", channels), ("y", 2 * channels))
    ]
    model = ModelWrapper(qonnx_make_model(helper.make_graph(nodes, "branches", ends[:1], ends[1:])))
    model.set_tensor_shape("c", [1, size, size, channels])  # shape inference knows one output a node
    model.set_tensor_datatype("x", DataType["UINT4"])
    return model.transform(InferShapes()).transform(InferDataTypes())


def specialised():
    from finn.transformation.fpgadataflow.specialize_layers import SpecializeLayers

    return branches().transform(SpecializeLayers(PART))


def test_register_twice_changes_nothing():
    from finn.custom_op.fpgadataflow import custom_op
    from finn.custom_op.fpgadataflow.rtl import custom_op as rtl

    before = dict(custom_op), dict(rtl)
    operators.register()
    assert (custom_op, rtl) == before
    assert {f"{name}_rtl" for name in PARALLEL} <= set(rtl)


def test_types_and_shapes_are_inferred():
    model = branches()
    assert model.get_tensor_shape("d") == [1, 4, 4, 6]
    assert {model.get_tensor_datatype(name) for name in "abcdey"} == {DataType["UINT4"]}


def test_specialize_layers_takes_the_rtl_of_each():
    assert [node.op_type for node in specialised().graph.node] == [
        "MaxPool2d_rtl",
        "DuplicateStreams_rtl",
        "MaxPool2d_rtl",
        "UpsampleNearestNeighbour_rtl",
        "StreamingConcat_rtl",
    ]


def test_execution_of_either_form_is_right():
    from finn.core.onnx_exec import execute_onnx

    x = np.random.default_rng(0).integers(0, 16, (1, 8, 8, 6)).astype(np.float32)
    pool = operator("MaxPool2d_rtl", ifm_dim=[8, 8], Channels=6, PE=1, stride=1, Padding=[0, 0, 1, 1])
    (same,) = golden(pool, [x[None]])
    down = same[0].reshape(1, 4, 2, 4, 2, 6).max(axis=(2, 4))
    expected = np.concatenate([down.repeat(2, axis=1).repeat(2, axis=2), same[0]], axis=-1)
    for model in (branches(), specialised()):
        np.testing.assert_array_equal(execute_onnx(model, {"x": x})["y"], expected)


def test_converters_fifos_cycles_and_code_for_different_folds():
    from finn.analysis.fpgadataflow.exp_cycles_per_layer import exp_cycles_per_layer
    from finn.analysis.fpgadataflow.res_estimation import res_estimation
    from finn.transformation.fpgadataflow.annotate_cycles import AnnotateCycles
    from finn.transformation.fpgadataflow.insert_dwc import InsertDWC
    from finn.transformation.fpgadataflow.insert_fifo import InsertFIFO
    from finn.transformation.fpgadataflow.prepare_ip import PrepareIP
    from finn.transformation.fpgadataflow.specialize_layers import SpecializeLayers
    from qonnx.transformation.general import GiveUniqueNodeNames

    model = specialised()
    for node, fold in zip(model.graph.node, (1, 2, 3, 6, 2), strict=True):
        getCustomOp(node).set_nodeattr(PARALLEL[node.op_type.removesuffix("_rtl")], fold)
    cycles = exp_cycles_per_layer(model.transform(AnnotateCycles()))
    assert list(cycles.values()) == [8 * 8 * 6, 8 * 8 * 3, 8 * 8 * 2, 8 * 8, 8 * 8 * 6]
    estimates = res_estimation(model, PART)
    assert len(estimates) == 5 and all(estimate["LUT"] > 0 for estimate in estimates.values())

    ours = [node.op_type for node in model.graph.node]
    for transformation in (InsertDWC(), InsertFIFO(create_shallow_fifos=True), SpecializeLayers(PART)):
        model = model.transform(transformation)
    model = model.transform(GiveUniqueNodeNames()).transform(PrepareIP(PART, 10))
    kinds = [node.op_type for node in model.graph.node]
    assert [kind for kind in kinds if kind in ours] == ours
    assert kinds.count("StreamingDataWidthConverter_rtl") == 4  # all but the straight branch
    for node in model.graph.node:
        if node.op_type not in ours:
            continue
        op = getCustomOp(node)
        *files, wrapper = map(Path, op.get_rtl_file_list(abspath=True))
        assert all(path.is_file() for path in files)
        assert [path.name for path in (*files, wrapper)] == op.get_rtl_file_list()
        assert re.search(rf"^module {op.get_verilog_top_module_name()} \($", wrapper.read_text(), re.MULTILINE)
        assert op.get_nodeattr("ip_path") == op.get_nodeattr("ipgen_path") == str(wrapper.parent)
        streams = op.get_verilog_top_module_intf_names()
        for port, width in (*streams["s_axis"], *streams["m_axis"]):
            assert f"wire [{width - 1}:0] {port}_TDATA" in wrapper.read_text()
        assert op.code_generation_ipi()[-1] == f"create_bd_cell -type module -reference {wrapper.stem} {node.name}"


@settings(deadline=None, max_examples=60)
@given(
    st.tuples(st.integers(1, 2), st.integers(4, 7), st.integers(4, 7), st.integers(1, 4)),
    st.integers(2, 4),
    st.integers(1, 2),
    st.lists(st.integers(0, 1), min_size=4, max_size=4),
    st.randoms(),
)
def test_numpy_pool_is_pytorchs(shape, kernel, stride, pads, random):
    x = np.random.default_rng(random.getrandbits(32)).integers(-8, 8, shape).astype(np.float32)
    frames, height, width, channels = shape
    op = operator(
        "MaxPool2d", ifm_dim=[height, width], Channels=channels, PE=1, kernel=kernel, stride=stride, Padding=pads,
        inputDataType="INT4", numInputVectors=frames,
    )  # fmt: skip
    context = {"i0": x}
    op.execute_node(context, None)
    (expected,) = golden(op, [x[None]])
    assert op.get_normal_input_shape() == shape
    assert op.get_normal_output_shape() == expected.shape[1:]
    np.testing.assert_array_equal(context["o0"], expected[0])


REFUSED = [
    ("MaxPool2d_rtl", {}, dict(ifm_dim=[4, 4], Channels=6, PE=4, stride=2, inputDataType="UINT4"), "PE=4"),
    ("MaxPool2d_rtl", {}, dict(ifm_dim=[1, 4], Channels=6, PE=2, stride=2, inputDataType="UINT4"), r"ifm_dim=\[1, 4\]"),
    (
        "MaxPool2d_rtl",
        {},
        dict(ifm_dim=[4, 4], Channels=6, PE=2, kernel=3, stride=1, Padding=[2, 0, 1, 0], inputDataType="UINT4"),
        r"Padding=\[2, 0, 1, 0\] on .* the padding is too wide",
    ),
    ("MaxPool2d_rtl", {}, dict(ifm_dim=[4, 4], Channels=6, PE=2, stride=2, inputDataType="FLOAT32"), "FLOAT32"),
    (
        "UpsampleNearestNeighbour_rtl",
        {},
        dict(HI=4, WI=4, HO=8, WO=12, NumChannels=2, SIMD=1, inputDataType="UINT4"),
        "8x12",
    ),
    (
        "StreamingConcat_rtl",
        dict(inputs=2),
        dict(SIMD=2, ChannelsPerStream=[4, 3], inputDataTypes=["UINT4"] * 2),
        "SIMD=2 does not divide 3",
    ),
    (
        "StreamingConcat_rtl",
        dict(inputs=2),
        dict(SIMD=1, ChannelsPerStream=[4, 3], inputDataTypes=["UINT4", "BIPOLAR"]),
        "BIPOLAR",
    ),
    (
        "DuplicateStreams_rtl",
        dict(outputs=2),
        dict(NumChannels=2, PE=1, NumOutputStreams=3, inputDataType="UINT4"),
        "NumOutputStreams=3",
    ),
    (
        "StreamingDataWidthConverter_rtl",
        {},
        dict(inShape=[1, 12], outShape=[1, 12], inWidth=16, outWidth=20, dataType="UINT4"),
        "outWidth=20 bits: a frame of 12 elements of 4 bits",
    ),
]


@pytest.mark.parametrize(("op_type", "streams", "attributes", "message"), REFUSED)
def test_what_has_no_hardware_is_refused_by_name(op_type, streams, attributes, message, tmp_path):
    op = operator(op_type, name="culprit", **streams, **attributes)
    op.set_nodeattr("code_gen_dir_ipgen", str(tmp_path))
    with pytest.raises(UserError, match=f"'culprit'.*{message}"):
        op.generate_hdl(None, PART, 10)
    assert not list(tmp_path.iterdir())
