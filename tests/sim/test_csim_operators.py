"""Every operator in HLS C++: many instances in one program, against golden values that owe nothing to hwprune."""

import dataclasses
import re

import numpy as np
import pytest
from finn.transformation.fpgadataflow.specialize_layers import SpecializeLayers
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.custom_op.registry import getCustomOp
from qonnx.util.basic import qonnx_make_model

from hwprune.accel import operators
from hwprune.accel.operators import twins_hls
from hwprune.accel.operators.twins_hls import hls_twin
from hwprune.accel.sources import hls_dir
from hwprune.errors import UserError
from hwprune.sim.csim_build import build_program, read_kernels
from tests.accel.operators.cases import MAKERS, golden, make_cases
from tests.accel.operators.sam_cases import FIXED, make, random_settings, sam_cases
from tests.sim.instances import (
    FRAMES,
    instance,
    mvau,
    packed,
    padding,
    queue,
    sam_instance,
    thresholding,
    width,
    window,
)

# One example is a program of many instances; to shrink it would compile it many times.
RUN = settings(
    max_examples=1,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.too_slow],
)


@pytest.fixture(scope="module", autouse=True)
def registered():
    operators.register()


def agree(instances, folder, prefix=""):
    """Run all of them in one program; ``prefix`` comes before the operators' code."""
    kernels, beats, expected, types = [], {}, {}, {}
    for made in instances:
        (node,) = made.model.graph.node
        twin = hls_twin(node)
        (kernel,) = read_kernels(made.model)
        top = f"top_{kernel.name}.cpp"
        kernels.append(dataclasses.replace(kernel, files={**kernel.files, top: prefix + kernel.files[top]}))
        for i, (tensor, values) in enumerate(made.inputs.items()):
            beats[tensor] = packed(values, twin.get_input_datatype(i), twin.get_folded_input_shape(i))
        for i, (tensor, values) in enumerate(made.outputs.items()):
            types[tensor] = twin.get_output_datatype(i), twin.get_folded_output_shape(i)
            expected[tensor] = packed(values, *types[tensor])
    found = build_program(kernels, folder, jobs=1).run(beats, FRAMES)
    assert found.keys() == expected.keys()
    for tensor, wanted in expected.items():
        assert np.array_equal(found[tensor], wanted), (tensor, [k.files for k in kernels if tensor.startswith(k.name)])


def test_sam_units_of_chosen_shapes(tmp_path):
    rng = np.random.default_rng(1)
    agree([sam_instance(case, rng) for case in sam_cases(len(FIXED))], tmp_path)


@RUN
@given(seed=st.integers(0, 2**32 - 1))
def test_sam_units_of_any_shape(seed, tmp_path_factory):
    rng = np.random.default_rng(seed)
    cases = [make(f"sam_{k}", rng, **random_settings(rng)) for k in range(12)]
    agree([sam_instance(case, rng) for case in cases], tmp_path_factory.mktemp("sam"))


def test_pool_upsampling_concat_and_fork(tmp_path):
    rng = np.random.default_rng(2)
    instances = []
    for kind in MAKERS:
        cases = make_cases(kind)  # chosen shapes first, then random ones
        for case in (*cases[1:14:2], *cases[-3:]):
            case.op.onnx_node.name = case.name
            arrays = case.data(rng, FRAMES)
            instances.append(instance(case.op.onnx_node, arrays, golden(case.op, arrays)))
    agree(instances, tmp_path)


@RUN
@given(seed=st.integers(0, 2**32 - 1))
def test_finns_operators_of_any_shape(seed, tmp_path_factory):
    rng = np.random.default_rng(seed)
    makers = {mvau: 3, thresholding: 3, padding: 2, window: 5, width: 2, queue: 1}
    instances = [make(rng, f"{make.__name__}_{k}") for make, count in makers.items() for k in range(count)]
    agree(instances, tmp_path_factory.mktemp("finn"))


def test_tables_with_the_types_of_synthesis(tmp_path):
    """The one thing that differs for Vitis HLS; the ap_types headers are included before the macro is set."""
    rng = np.random.default_rng(5)
    sam = make("sam", rng, mw=6, mh=4, simd=3, pe=2, group=1, form="maxmin", x="INT3", bits=3, signs=True)
    agree(
        [sam_instance(sam, rng), mvau(rng, "mvau"), thresholding(rng, "thresholding")],
        tmp_path,
        prefix="#include <hls_stream.h>\n#include <ap_int.h>\n#define __SYNTHESIS__\n",
    )


@pytest.mark.parametrize(
    ("op_type", "attributes", "message"),
    [
        ("ConvolutionInputGenerator_rtl", {"depthwise": 1}, r"windows in depthwise order have no HLS twin"),
        ("ConvolutionInputGenerator_rtl", {"parallel_window": 1}, r"parallel_window=1 .* SIMD=IFMChannels only"),
        ("ConvolutionInputGenerator_rtl", {"SIMD": 4}, r"SIMD=4 does not divide IFMChannels=6"),
        ("ConvolutionInputGenerator_rtl", {"inputDataType": "INT20000"}, r"40000 bits .* wider"),
        ("Pool_rtl", {}, r"no HLS twin; operators that have one: SAMVAU, "),
    ],
)
def test_what_has_no_twin_is_named(op_type, attributes, message):
    good = {"ConvKernelDim": [3, 3], "IFMChannels": 6, "IFMDim": [5, 5], "OFMDim": [3, 3], "SIMD": 2, "Stride": [1, 1],
            "Dilation": [1, 1], "inputDataType": "INT4", "outputDataType": "INT4"}  # fmt: skip
    node = helper.make_node(
        op_type, ["x"], ["y"], name="culprit", domain="finn.custom_op.fpgadataflow.rtl", **{**good, **attributes}
    )
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in "xy"]
    model = ModelWrapper(qonnx_make_model(helper.make_graph([node], "one", ends[:1], ends[1:])))
    with pytest.raises(UserError, match=f"'culprit'.*{message}"):
        read_kernels(model)


def test_a_weight_out_of_its_type_is_refused():
    made = mvau(np.random.default_rng(3), "culprit")
    weights = made.model.get_initializer("culprit_i1").copy()
    weights[0, 0] = 1000
    made.model.set_initializer("culprit_i1", weights)
    with pytest.raises(UserError, match=r"'culprit' .* tensor 'culprit_i1' has values that are not of its type INT"):
        read_kernels(made.model)


def test_code_for_vitis_is_the_code_that_is_compiled(tmp_path):
    made = sam_instance(sam_cases(1)[0], np.random.default_rng(4))
    (node,) = made.model.graph.node
    node.op_type, node.domain = "SAMVAU", "finn.custom_op.fpgadataflow"
    getCustomOp(node).set_nodeattr("preferred_impl_style", "hls")
    model = made.model.transform(SpecializeLayers("xc7z020clg400-1"))
    (node,) = model.graph.node
    assert node.op_type == "SAMVAU_hls"
    node.name = "sam_0"  # SpecializeLayers gives numbers of its own
    operator = getCustomOp(node)
    operator.set_nodeattr("code_gen_dir_ipgen", str(tmp_path))
    operator.code_generation_ipgen(model, "xc7z020clg400-1", 10.0)
    node.op_type = "SAMVAU_rtl"
    (kernel,) = read_kernels(model)
    assert {file: (tmp_path / file).read_text() for file in kernel.files} == kernel.files
    top = kernel.files["top_sam_0.cpp"]
    for port in ("in0_V", "out0_V"):
        assert f"#pragma HLS INTERFACE axis port={port}\n" in top
    assert "#pragma HLS INTERFACE ap_ctrl_none port=return\n" in top
    script = (tmp_path / "hls_syn_sam_0.tcl").read_text()
    assert f'set config_bnnlibdir "{hls_dir()}"' in script and 'set config_toplevelfxn "sam_0"' in script
    assert not re.search(r"\$[A-Z_]+\$", script + top)


def test_every_own_operator_has_a_twin():
    from finn.custom_op.fpgadataflow import rtl

    own = {name.removesuffix("_rtl") for name, kind in rtl.custom_op.items() if kind.__module__.startswith("hwprune")}
    assert own and own <= set(twins_hls.TWINS)
