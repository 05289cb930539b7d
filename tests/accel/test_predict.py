"""What is predicted from a layer table against FINN's and our operators of the graph that is made of it."""

import random

import pytest
from finn.transformation.fpgadataflow.specialize_layers import SpecializeLayers
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from qonnx.custom_op.registry import getCustomOp

from hwprune.accel import operators
from hwprune.accel.budget import Budget
from hwprune.accel.finn_env import prepare_finn
from hwprune.accel.folding import fold_to_budget, fold_to_cycles, node_cycles, node_resources, resources
from hwprune.accel.lower import lower
from hwprune.accel.names import transform_named
from hwprune.accel.operator_costs import (
    Choice,
    Fork,
    Join,
    Mvau,
    Padding,
    Pool,
    Samvau,
    Thresholds,
    Upsample,
    Window,
    choices,
)
from hwprune.accel.predict import Predictor
from hwprune.errors import UserError
from hwprune.models.architecture import IMAGE, Add, Architecture, Conv, MaxPool
from hwprune.models.yolov3_tiny import yolov3_tiny
from hwprune.quant.export import export_qonnx
from hwprune.quant.precision import Precision
from tests.nets import architectures, integer_network

PART = "xc7z020clg400-1"
WIDTHS = [4, 8, 8, 12, 12, 8, 20, 8, 8, 4, 8]


@pytest.fixture(scope="module", autouse=True)
def finn(tmp_path_factory):
    prepare_finn(tmp_path_factory.mktemp("finn"))
    operators.register()


def graph_of(table, size, folder, precision=None, seed=1):
    network = integer_network(table, size, seed, precision)
    model = transform_named(lower(export_qonnx(network, size, folder / "net.onnx"))[0], SpecializeLayers(PART))
    for node in model.get_nodes_by_op_type("SAMVAU_rtl"):
        getCustomOp(node).minimize_weight_bit_width(model)
    return model


def numbers(node, model):
    """The node as `hwprune.accel.operator_costs` sees it, with everything that FINN knows of it."""
    op = getCustomOp(node)
    get, bits, out = op.get_nodeattr, op.get_input_datatype().bitwidth(), op.get_output_datatype().bitwidth()
    pixels = 1
    for extent in op.get_normal_output_shape()[:-1]:
        pixels *= int(extent)
    producer = model.find_producer(node.input[0])
    windowed = producer is not None and producer.op_type == Window.op
    match node.op_type:
        case Mvau.op:
            channels = getCustomOp(producer).get_nodeattr("IFMChannels") if windowed else get("MW")
            return Mvau(pixels, get("MW"), get("MH"), channels, bits, op.get_input_datatype(1).bitwidth(), out)
        case Samvau.op:
            channels = getCustomOp(producer).get_nodeattr("IFMChannels") if windowed else get("MW")
            return Samvau(pixels, get("MW"), get("MH"), channels, get("group"), op.sets, op.has_signs, get("shift"),
                          bits, op.get_input_datatype(1).bitwidth(), out)  # fmt: skip
        case Window.op:
            return Window(get("IFMChannels"), get("ConvKernelDim")[0], get("Stride")[0], get("Dilation")[0],
                          tuple(get("IFMDim")), tuple(get("OFMDim")), bits)  # fmt: skip
        case Thresholds.op:
            return Thresholds(pixels, get("NumChannels"), op.get_input_datatype(1).bitwidth(), out)
        case Padding.op:
            return Padding(tuple(map(int, op.get_padded_odim())), get("NumChannels"), bits)
        case Pool.op:
            pads = tuple(map(int, get("Padding")))
            return Pool(get("Channels"), get("kernel"), get("stride"), pads, tuple(get("ifm_dim")), bits)
        case Upsample.op:
            return Upsample(get("NumChannels"), op.factor, (get("HI"), get("WI")), bits)
        case Fork.op:
            return Fork(pixels, get("NumChannels"), get("NumOutputStreams"), bits)
        case Join.op:
            return Join(pixels, tuple(get("ChannelsPerStream")), out)
    raise AssertionError(f"{node.op_type} has no prediction")


def set_fold(node, choice: Choice):
    op = getCustomOp(node)
    known = op.get_nodeattr_types()
    for name, value in (("PE", choice.pe), ("SIMD", choice.simd), ("parallel_window", int(choice.whole))):
        if name in known and (value or name == "parallel_window"):
            op.set_nodeattr(name, value)


@settings(max_examples=6, deadline=None, phases=[Phase.explicit, Phase.reuse, Phase.generate])
@given(net=st.sampled_from(["mac", "mixed"]).flatmap(architectures), seed=st.integers(0, 2**16))
def test_every_operator_costs_in_every_fold_what_its_graph_node_says(net, seed, tmp_path_factory):
    table, size = net
    model = graph_of(table, size, tmp_path_factory.mktemp("net"), seed=seed)
    for node in model.graph.node:
        operator = numbers(node, model)
        for choice in random.Random(seed).sample(choices(operator), min(5, len(choices(operator)))):
            set_fold(node, choice)
            op = getCustomOp(node)
            assert choice.cycles == node_cycles(node), node.name
            assert choice.lanes_out == op.get_folded_output_shape()[-1]
            assert choice.lanes_in == op.get_folded_input_shape()[-1]
            assert operator.amounts(choice)._asdict() == node_resources(node, PART), (node.name, operator, choice)


def designs(table, size, folder, cycles, precision=None):
    """The rows of a graph folded to so many cycles and of its prediction, by name."""
    model = graph_of(table, size, folder, precision)
    fold_to_cycles(model, cycles)
    found = {}
    for node in model.graph.node:
        op = getCustomOp(node)
        known = op.get_nodeattr_types()
        folds = {key.lower(): op.get_nodeattr(key) if key in known else None for key in ("PE", "SIMD")}
        found[node.name] = {"cycles": node_cycles(node), **folds, **node_resources(node, PART)}
    rows = Predictor(table, size, precision or Precision()).at(cycles).rows
    return found, {row.name: row.as_json() for row in rows}


@settings(max_examples=6, deadline=None, phases=[Phase.explicit, Phase.reuse, Phase.generate])
@given(net=st.sampled_from(["mac", "mixed"]).flatmap(architectures))
def test_a_random_table_gets_its_graphs_operators(net, tmp_path_factory):
    table, size = net
    found, predicted = designs(table, size, tmp_path_factory.mktemp("net"), 4000)
    assert predicted.keys() == found.keys()
    for name, row in found.items():
        assert predicted[name]["cycles"] <= 4000
        if "vau" in name:
            assert [predicted[name][key] for key in ("cycles", "pe", "simd")] == [row["cycles"], row["pe"], row["simd"]]


@pytest.mark.parametrize("cycles", [100_000, 20_000, 7_000])
def test_a_detector_as_a_whole(tmp_path, cycles):
    precision = Precision(activation="relu")
    found, predicted = designs(yolov3_tiny(2, WIDTHS), (64, 96), tmp_path, cycles, precision)
    assert predicted.keys() == found.keys()
    for name, row in found.items():
        for key in ("cycles", "pe", "simd", "dsp"):
            assert predicted[name][key] == row[key], name
    for key in ("bram18", "lut"):
        total = sum(row[key] for row in found.values())
        assert sum(row[key] for row in predicted.values()) == pytest.approx(total, rel=0.05)


def test_the_fastest_design_within_a_budget(tmp_path):
    table, size = yolov3_tiny(2, WIDTHS), (64, 96)
    budget = Budget(luts=16_000, dsps=40, brams=30)
    model = graph_of(table, size, tmp_path, Precision())
    cycles = fold_to_budget(model, budget, PART)
    design = Predictor(table, size).fastest(budget)
    assert design.cycles == pytest.approx(cycles, rel=0.03)
    assert budget.holds(design.resources)
    assert design.resources["lut"] == pytest.approx(resources(model, PART)["lut"], rel=0.05)
    assert Predictor(table, size).fastest(Budget(dsps=2)) is None


def test_other_widths_without_another_table():
    table = yolov3_tiny(2, WIDTHS)
    narrower = {"conv2": 4, "conv7": 16, "conv11": 2}
    assert Predictor(table, (64, 96)).at(9000, narrower) == Predictor(table.with_widths(narrower), (64, 96)).at(9000)


@pytest.mark.parametrize(
    ("layer", "complaint"),
    [
        (MaxPool(name="odd", inputs=("one",), kernel=5, stride=3), "'odd': no hardware for a 5x5 window"),
        (Add(name="sum", inputs=("one", "one")), "'sum'.*add"),
    ],
)
def test_what_has_no_hardware_is_refused_by_name(layer, complaint):
    head = Conv(name="head", inputs=(layer.name,), out_channels=1, kernel=1, norm=False, activation="linear")
    table = Architecture(
        name="odd", layers=(Conv(name="one", inputs=(IMAGE,), out_channels=2, kernel=1), layer, head), heads=("head",)
    )
    with pytest.raises(UserError, match=complaint):
        Predictor(table, (12, 12))
