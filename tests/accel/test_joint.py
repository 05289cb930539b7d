"""All choices of a design together: within the budget with its FIFOs, at the speed that the cycle model tells."""

import pytest

from hwprune.accel.accelerator import GRAPH
from hwprune.accel.budget import Budget
from hwprune.accel.compile import Goal, compile_accelerator
from hwprune.errors import UserError
from hwprune.models.yolov3_tiny import yolov3_tiny
from hwprune.quant.export import export_qonnx
from hwprune.sim.cycle.model import CycleModel
from hwprune.sim.cycle.sizing import fastest_interval, size_fifos
from tests.nets import integer_network

PART = "xc7z020clg400-1"


@pytest.fixture(scope="module")
def graph(tmp_path_factory):
    folder = tmp_path_factory.mktemp("joint")
    table, size = yolov3_tiny(2, [4, 8, 8, 8, 12, 8, 16, 8, 8, 4, 8]), (64, 96)
    return export_qonnx(integer_network(table, size, 1), size, folder / "net.onnx")


def compiled(graph, folder, budget, fps=None):
    goal = Goal(PART, clock_mhz=100, target_fps=fps, budget=budget, jointly=True)
    return compile_accelerator(
        graph, folder, goal, size=lambda design: size_fifos(CycleModel(design)).sizes, interval=fastest_interval
    )


def test_speed_within_a_budget_by_the_cycle_model(graph, tmp_path):
    budget = Budget(luts=14_000, dsps=24, brams=60)
    accelerator = compiled(graph, tmp_path, budget, 4000)
    assert budget.holds(accelerator.resources)
    assert fastest_interval(accelerator.design) <= 25_000
    assert (tmp_path / GRAPH).is_file()


def test_too_much_says_what_fits(graph, tmp_path):
    told = r"7000 cycles a frame take \d+ LUTs, \d+ more than the 7200 .* target_fps to \d+%.*widths to \d+%"
    with pytest.raises(UserError, match=told):
        compiled(graph, tmp_path, Budget(luts=7_200, dsps=9, brams=40), 14_285)


@pytest.mark.parametrize(
    "budget, told",
    [
        (
            Budget(luts=500, dsps=9, brams=40),
            r"\d+ LUTs, \d+ more than the 500 of the budget.*; pruning channels does not",
        ),
        (
            Budget(luts=4_000, dsps=9, brams=40),
            r"\d+ LUTs, \d+ more than the 4000 .* prune to \d+% of the parameters \(widths",
        ),
    ],
)
def test_too_large_says_by_how_much_and_what_helps(graph, tmp_path, budget, told):
    with pytest.raises(UserError, match=f"smallest folding takes {told}"):
        compiled(graph, tmp_path, budget)


def test_an_operator_too_slow_for_the_goal(graph, tmp_path):
    with pytest.raises(UserError, match=r"'conv1_\w+' takes \d+ cycles .* but the goal leaves 1000"):
        compiled(graph, tmp_path, Budget(luts=50_000, dsps=200, brams=200), 100_000)
