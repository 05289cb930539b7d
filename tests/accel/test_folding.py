"""Folding meets its goal, or says how near it can come."""

import pytest
from finn.transformation.fpgadataflow.specialize_layers import SpecializeLayers

from hwprune.accel import operators
from hwprune.accel.finn_env import prepare_finn
from hwprune.accel.folding import Budget, fold_to_budget, fold_to_cycles, node_cycles, resources
from hwprune.accel.lower import lower
from hwprune.accel.names import transform_named
from hwprune.errors import UserError
from hwprune.models.yolov3_tiny import yolov3_tiny
from hwprune.quant.export import export_qonnx
from tests.nets import integer_network

PART = "xc7z020clg400-1"


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("folding")
    prepare_finn(folder)
    operators.register()
    table, size = yolov3_tiny(2, [4, 8, 8, 8, 12, 8, 16, 8, 8, 4, 8]), (64, 96)
    network = integer_network(table, size, 1)
    return transform_named(lower(export_qonnx(network, size, folder / "net.onnx"))[0], SpecializeLayers(PART))


@pytest.mark.parametrize("cycles", [200_000, 50_000, 12_345, 7_000])
def test_no_operator_is_slower_than_the_goal(model, cycles):
    fold_to_cycles(model, cycles)
    assert max(node_cycles(node) for node in model.graph.node) <= cycles


def test_a_faster_goal_takes_more_multipliers(model):
    dsps = []
    for cycles in (200_000, 50_000, 7_000):
        fold_to_cycles(model, cycles)
        dsps.append(resources(model, PART)["dsp"])
    assert dsps == sorted(dsps) and dsps[0] < dsps[-1]


def test_an_unreachable_goal_names_the_operator_and_its_best(model):
    # One pixel a cycle is the most a stream of 64 x 96 pixels can do.
    with pytest.raises(UserError, match=r"'conv1_mvau' takes 6144 cycles.*lower target_fps"):
        fold_to_cycles(model, 1000)


def test_a_budget_gives_the_fastest_design_within_it(model):
    budget = Budget(dsps=40)
    cycles = fold_to_budget(model, budget, PART)
    assert resources(model, PART)["dsp"] <= 40
    assert max(node_cycles(node) for node in model.graph.node) == cycles
    # Any faster design costs more.
    fold_to_cycles(model, cycles - 1)
    assert resources(model, PART)["dsp"] > 40


def test_a_budget_too_small_says_what_the_least_is(model):
    with pytest.raises(UserError, match=r"smallest folding takes \d+ LUTs, 3 DSP"):
        fold_to_budget(model, Budget(dsps=2), PART)
