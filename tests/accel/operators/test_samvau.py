"""The SAM unit as a FINN operator: what it computes, infers, refuses, and generates."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from qonnx.core.datatype import DataType
from qonnx.custom_op.registry import getCustomOp
from qonnx.transformation.infer_datatypes import InferDataTypes
from qonnx.transformation.infer_shapes import InferShapes

from hwprune.accel import operators
from hwprune.accel.design import load_design
from hwprune.accel.stitch import stitch
from hwprune.errors import UserError
from hwprune.sim.streams import pack, unpack
from hwprune.sim.verilator import build
from tests.accel.finn_graphs import PART, generate
from tests.accel.operators.sam_cases import VECTORS, make, random_settings


@pytest.fixture(scope="module", autouse=True)
def registered():
    operators.register()


def unspecialised(case):
    """The case's graph with the node as lowering makes it."""
    (node,) = case.model.graph.node
    node.op_type, node.domain = "SAMVAU", "finn.custom_op.fpgadataflow"
    return case.model


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 2**32 - 1))
def test_either_form_of_the_node_computes_the_formula(seed):
    from finn.core.onnx_exec import execute_onnx
    from finn.transformation.fpgadataflow.specialize_layers import SpecializeLayers

    rng = np.random.default_rng(seed)
    case = make("sam", rng, **random_settings(rng))
    x = case.inputs(rng)
    model = unspecialised(case).transform(InferShapes()).transform(InferDataTypes())
    assert model.get_tensor_shape("y") == [1, VECTORS, case.op.get_nodeattr("MH")]
    special = model.transform(SpecializeLayers(PART))
    assert [node.op_type for node in special.graph.node] == ["SAMVAU_rtl"]
    for graph in (model, special):
        y = execute_onnx(graph, {"x": x[None].astype(np.float32)})["y"]
        np.testing.assert_array_equal(y[0], case.golden(x))


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 2**32 - 1))
def test_the_smallest_types_hold_every_sum_and_one_less_does_not(seed):
    """The greatest and the least sum are searched among inputs at the ends of their range, where they lie."""
    rng = np.random.default_rng(seed)
    setting = random_settings(rng)
    setting |= dict(x="UINT2" if setting["floor"] else str(rng.choice(["UINT2", "INT3"])), minimize=False)
    setting |= dict(mw=2 * setting["group"], simd=setting["group"], mh=2, pe=1)
    case = make("sam", rng, **setting)
    weights = case.op.minimize_weight_bit_width(case.model)
    sums = case.op.minimize_accumulator_width(case.model)
    x = case.op.get_input_datatype()
    numbers = np.arange(2 ** len(case.p))[:, None] >> np.arange(len(case.p))
    reached = case.golden(np.where(numbers & 1, int(x.max()), int(x.min())))
    codes = case.op.codes(case.model)
    assert case.op.sum_range(codes) == (reached.min(), reached.max())

    def holds(datatype):  # with the threshold that no sum reaches
        return datatype.min() <= reached.min() and reached.max() + 1 <= datatype.max()

    assert holds(sums)
    assert sums.bitwidth() <= 2 or not holds(DataType[f"{sums.name.rstrip('0123456789')}{sums.bitwidth() - 1}"])
    assert max(1, int(max(code.max() for code in codes.sets)).bit_length()) == weights.bitwidth()


def test_dead_distances_shrink_to_the_least_dead_one():
    rng = np.random.default_rng(0)
    case = make("sam", rng, mw=4, mh=1, simd=4, pe=1, group=4, x="UINT3", bits=8, form="signed", minimize=False)
    case.model.set_initializer("p", np.float32([[0], [6], [7], [200]]))
    for shift, least in ((0, [0, 6, 7, 7]), (1, [0, 4, 4, 4]), (-1, [0, 6, 7, 14])):
        case.model.set_initializer("p", np.float32([[0], [6], [7], [200]]))
        case.op.set_nodeattr("weightDataType", "UINT8")
        case.op.set_nodeattr("shift", shift)
        case.op.minimize_weight_bit_width(case.model)
        assert case.model.get_initializer("p").ravel().tolist() == least


def test_stitched_behind_a_width_converter_and_moved(tmp_path):
    """Through FINN's transformations and our stitching into a simulator, ROM file and all."""
    rng = np.random.default_rng(5)
    case = make("sam", rng, mw=24, mh=6, simd=4, pe=2, group=8, form="maxmin", signs=True, x="INT4")
    x = case.inputs(rng)
    model = case.model.transform(InferShapes()).transform(InferDataTypes())
    model = generate(model, tmp_path / "finn")
    stitch(model, tmp_path / "made")
    (tmp_path / "made").rename(tmp_path / "moved")
    design = load_design(tmp_path / "moved")
    simulator = build(design.top, design.sources, tmp_path / "sim", data_folder=design.folder, optimise="-O0",
                      progress=False)  # fmt: skip
    (source,), (sink,) = design.inputs, design.outputs
    for stall in (0, 30):
        result = simulator.run(
            {source.name: pack(x, source.datatype, source.folded_shape)}, {sink.name: sink.beats}, stall_percent=stall
        )
        assert result.finished
        sums = unpack(result.outputs[sink.name].beats, sink.datatype, sink.folded_shape)
        np.testing.assert_array_equal(sums.reshape(VECTORS, -1), case.golden(x))


BASE = dict(mw=12, mh=4, simd=4, pe=2, group=4)
REFUSED = [
    (dict(SIMD=5), "SIMD=5 .*group=4; values that do: 1, 2, 4, 12"),
    (dict(SIMD=6), "SIMD=6 .*values that do: 1, 2, 4, 12"),
    (dict(SIMD=0), "SIMD=0"),
    (dict(PE=3), "PE=3 does not divide MH=4; values that do: 1, 2, 4"),
    (dict(group=5), "group=5 does not divide MW=12; groups that do: 1, 2, 3, 4, 6, 12"),
    (dict(MH=0), "MH=0"),
    (dict(shift=4), "shift=4 is not within -3 to 3"),
    (dict(floor=1, inputDataType="INT4"), "floor with form=difference and inputDataType=INT4"),
    (dict(inputDataType="FLOAT32"), "inputDataType=FLOAT32 .*UINT4"),
    (dict(inputDataType="BIPOLAR"), "inputDataType=BIPOLAR"),
    (dict(weightDataType="INT4"), "weightDataType=INT4 is no unsigned integer"),
    (dict(weightDataType="UINT2"), "weights 'p' are 0 to 15; UINT2 takes 0 to 3"),
    (dict(outputDataType="INT3"), "do not fit outputDataType=INT3; INT7 takes them"),
    (dict(form="signed"), r"weights 'n' have shape \(12, 4\); give one of shape \(3, 4\)"),
    (dict(MW=16), r"weights 'p' have shape \(12, 4\); give one of shape \(16, 4\)"),
]


@pytest.mark.parametrize(("change", "message"), REFUSED)
def test_what_has_no_hardware_is_refused_by_name(change, message, tmp_path):
    case = make("culprit", np.random.default_rng(0), **BASE, minimize=False)
    for name, value in change.items():
        case.op.set_nodeattr(name, value)
    case.op.set_nodeattr("code_gen_dir_ipgen", str(tmp_path))
    with pytest.raises(UserError, match=f"'culprit'.*{message}"):
        case.op.generate_hdl(case.model, PART, 10)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("tensor", "value", "message"),
    [
        ("p", 1, "weights 'p': the least distance of group 0 of output 0 is 1"),
        ("n", -1, "weights 'n' are -1"),
        ("n", 0.5, "weights 'n'.*whole"),
        ("sign", 0, "weights 'sign': signs are 1 or -1"),
    ],
)
def test_weights_without_meaning_are_refused_by_name(tensor, value, message, tmp_path):
    case = make("culprit", np.random.default_rng(0), **BASE, form="maxmin", signs=True)
    case.model.set_initializer(tensor, np.full_like(case.model.get_initializer(tensor), value))
    case.op.set_nodeattr("code_gen_dir_ipgen", str(tmp_path))
    with pytest.raises(UserError, match=f"'culprit'.*{message}"):
        case.op.generate_hdl(case.model, PART, 10)
    assert not list(tmp_path.iterdir())


def test_weights_of_another_form_are_refused(tmp_path):
    case = make("culprit", np.random.default_rng(0), **BASE, form="maxmin", signs=True)
    case.op.set_nodeattr("form", "difference")
    with pytest.raises(UserError, match=r"'culprit'.*form=difference with 3 weights; it takes p, n"):
        case.op.generate_hdl(case.model, PART, 10)


def test_rom_words_hold_the_codes_of_a_beat_lowest_first(tmp_path):
    """Two beats and two folds of one PE, 4 bits a code; then the sign of the beat's group."""
    case = make("sam", np.random.default_rng(0), mw=4, mh=2, simd=2, pe=1, group=2, form="maxmin", signs=True,
                minimize=False)  # fmt: skip
    case.model.set_initializer("p", np.float32([[0, 3], [1, 0], [2, 0], [0, 4]]))
    case.model.set_initializer("n", np.float32([[5, 0], [0, 6], [0, 0], [7, 15]]))
    case.model.set_initializer("sign", np.float32([[1, -1], [-1, 1]]))
    assert case.op.rom_text(case.op.codes(case.model)).split() == ["00510", "17002", "16003", "0f040"]
    assert case.op.rom_shape == (4, 17)
    assert getCustomOp(case.model.graph.node[0]).get_exp_cycles() == VECTORS * 4
