"""Every operator in HLS C++: many instances in one program, against golden values that owe nothing to hwprune."""

import dataclasses
import re

import numpy as np
import pytest
from finn.transformation.fpgadataflow.specialize_layers import SpecializeLayers
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper
from qonnx.core.datatype import DataType
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.custom_op.registry import getCustomOp
from qonnx.util.basic import qonnx_make_model

from hwprune.accel import operators
from hwprune.accel.operators import twins_hls
from hwprune.accel.operators.twins_hls import hls_twin
from hwprune.accel.sources import hls_dir
from hwprune.errors import UserError
from hwprune.sam.neuron import distances
from hwprune.sim.csim_build import build_program, read_kernels
from hwprune.sim.streams import pack
from tests.accel.operators.cases import MAKERS, golden, make_cases, operator
from tests.accel.operators.sam_cases import FIXED, make, random_settings, sam_cases
from tests.sim.numpy_operators import convolution_windows, count_reached, zero_padded

# One example is a program of many instances; to shrink it would compile it many times.
RUN = settings(
    max_examples=1,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.too_slow],
)
FRAMES = 2


@pytest.fixture(scope="module", autouse=True)
def registered():
    operators.register()


@dataclasses.dataclass(frozen=True)
class Instance:
    """A graph of one node, what goes in, and what must come out; integers (frames, *shape)."""

    model: ModelWrapper
    inputs: dict[str, np.ndarray]
    outputs: dict[str, np.ndarray]


def instance(node, inputs, outputs, constants=None):
    """An instance whose tensors are named after the node, so that many stand beside each other in one program."""
    renamed = type(node)()
    renamed.CopyFrom(node)
    names = [f"{node.name}_{tensor}" for tensor in (*node.input, *node.output)]
    renamed.input[:], renamed.output[:] = names[: len(node.input)], names[len(node.input) :]
    info = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in names]
    streams = len(node.input) - len(constants or {})
    graph = helper.make_graph([renamed], node.name, info[:streams], info[len(node.input) :])
    model = ModelWrapper(qonnx_make_model(graph))
    for tensor, value in (constants or {}).items():
        model.set_initializer(f"{node.name}_{tensor}", value.astype(np.float32))
    named = zip(node.input, inputs, strict=False), zip(node.output, outputs, strict=True)
    return Instance(model, *({f"{node.name}_{tensor}": value for tensor, value in pairs} for pairs in named))


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


def packed(values, datatype, folded_shape):
    """A bipolar element is its bit."""
    if datatype == DataType["BIPOLAR"]:
        values, datatype = (values + 1) // 2, DataType["BINARY"]
    return pack(values, datatype.name, [int(extent) for extent in folded_shape])


def sam_instance(case, rng):
    x = case.inputs(rng, FRAMES)
    constants = {"p": case.p, "n": case.n, "sign": case.sign}
    # The types may have been made smaller, and dead distances with them.
    constants = {key: case.model.get_initializer(key) for key, value in constants.items() if value is not None}
    sums = case.golden(x)
    codes = case.op.codes(case.model)
    assert np.array_equal(sums, distances(x, case.op.sam, case.op.get_nodeattr("group"), codes.p, codes.n, codes.sign))
    return instance(case.op.onnx_node, [x], [sums], constants)


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
        for case in (*cases[1:8:2], *cases[-3:]):
            case.op.onnx_node.name = case.name
            arrays = case.data(rng, FRAMES)
            instances.append(instance(case.op.onnx_node, arrays, golden(case.op, arrays)))
    agree(instances, tmp_path)


def divisor(rng, number):
    return int(rng.choice([d for d in range(1, number + 1) if number % d == 0]))


def integers(rng, datatype, shape):
    """Over the whole range of a type, its ends more often."""
    low, high = int(DataType[datatype].min()), int(DataType[datatype].max())
    values = rng.integers(low, high, shape, endpoint=True)
    return np.where(rng.random(shape) < 0.2, rng.choice([low, high], shape), values)


def some_type(rng, most=9):
    return f"{rng.choice(['INT', 'UINT'])}{rng.integers(2, most)}"


def mvau(rng, name):
    mw, mh, vectors = (int(v) for v in rng.integers(1, [25, 9, 6]))
    x, w = some_type(rng), f"INT{rng.integers(2, 9)}"
    seen, weights = integers(rng, x, (FRAMES * vectors, mw)), integers(rng, w, (mw, mh))
    node = operator("MVAU_rtl", inputs=2, name=name, MW=mw, MH=mh, SIMD=divisor(rng, mw), PE=divisor(rng, mh),
                    inputDataType=x, weightDataType=w, outputDataType="INT22", accDataType="INT22", noActivation=1,
                    numInputVectors=[1, vectors, 1]).onnx_node  # fmt: skip
    return instance(node, [seen], [seen @ weights], {"i1": weights})


def thresholding(rng, name):
    channels, vectors, bits = (int(v) for v in rng.integers(1, [9, 6, 5]))
    x, signed = some_type(rng, 12), bool(rng.integers(2))
    first = -(1 << bits - 1) if signed and bits > 1 else 0
    rows = 1 if rng.random() < 0.2 else channels
    steps = np.sort(integers(rng, x, (rows, 2**bits - 1)), axis=1)
    values = integers(rng, x, (FRAMES * vectors, channels))
    node = operator("Thresholding_rtl", inputs=2, name=name, NumChannels=channels, PE=divisor(rng, channels),
                    numSteps=steps.shape[1], inputDataType=x, weightDataType=x, ActVal=first,
                    outputDataType=f"{'INT' if first else 'UINT'}{bits}",
                    numInputVectors=[1, vectors, 1]).onnx_node  # fmt: skip
    return instance(node, [values], [count_reached(values, steps) + first], {"i1": steps})


def padding(rng, name):
    h, w, c = (int(v) for v in rng.integers(1, 7, 3))
    sides, x = [int(v) for v in rng.integers(0, 3, 4)], some_type(rng)
    values = integers(rng, x, (FRAMES, h, w, c))
    node = operator("FMPadding_rtl", name=name, ImgDim=[h, w], Padding=sides, NumChannels=c, SIMD=divisor(rng, c),
                    inputDataType=x).onnx_node  # fmt: skip
    return instance(node, [values], [zero_padded(values, *sides)])


def window(rng, name):
    kernel, stride = ([int(v) for v in rng.integers(1, 4, 2)] for _ in range(2))
    h, w = (int(rng.integers(k, k + 6)) for k in kernel)
    c, x, parallel = int(rng.integers(1, 7)), some_type(rng), int(rng.integers(2))
    values = integers(rng, x, (FRAMES, h, w, c))
    windows = convolution_windows(values, kernel, stride)
    node = operator("ConvolutionInputGenerator_rtl", name=name, ConvKernelDim=kernel, IFMChannels=c, IFMDim=[h, w],
                    OFMDim=list(windows.shape[1:3]), SIMD=c if parallel else divisor(rng, c), Stride=stride,
                    Dilation=[1, 1], depthwise=0, inputDataType=x, outputDataType=x,
                    parallel_window=parallel).onnx_node  # fmt: skip
    return instance(node, [values], [windows])


def width(rng, name):
    channels, bits = int(rng.choice([6, 12, 20])), int(rng.integers(1, 7))
    pixels, shape = 3, [1, 3, 1, channels]
    values = integers(rng, f"UINT{bits}", (FRAMES, pixels, channels))
    node = operator("StreamingDataWidthConverter_rtl", name=name, inShape=shape, outShape=shape,
                    inWidth=bits * divisor(rng, channels), outWidth=bits * divisor(rng, channels),
                    dataType=f"UINT{bits}").onnx_node  # fmt: skip
    return instance(node, [values], [values])


def queue(rng, name):
    shape, depth = [1, 2, 3, int(rng.integers(1, 4)), int(rng.integers(1, 6))], int(rng.integers(1, 40))
    values = integers(rng, "INT5", (FRAMES, *shape))
    node = operator("StreamingFIFO_rtl", name=name, depth=depth, folded_shape=shape, dataType="INT5",
                    normal_shape=[*shape[:3], shape[3] * shape[4]]).onnx_node  # fmt: skip
    return instance(node, [values], [values])


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
        ("ConvolutionInputGenerator_rtl", {"Dilation": [2, 2]}, r"dilated and depthwise windows have no HLS twin"),
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
