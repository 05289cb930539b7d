"""Network and RTL agree on every beat, and the check finds what is broken on purpose."""

import dataclasses
import shutil

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from hwprune.accel.accelerator import Accelerator
from hwprune.accel.compile import Goal, compile_accelerator
from hwprune.accel.design import load_design
from hwprune.models.architecture import IMAGE, Architecture, Concat, Conv, MaxPool, Upsample
from hwprune.quant.export import export_qonnx
from hwprune.sim.accelerator import build_simulator, rtl_predictor
from hwprune.sim.equivalence import DeadlockError, check_equivalence, run_frames
from tests.nets import architectures, images, integer_network

PART = "xc7z020clg400-1"
SIZE = (16, 24)


def two_heads() -> Architecture:
    """A fork whose branches meet again, and two heads: the smallest net with all that a detector has."""
    return Architecture(
        name="two_heads",
        layers=(
            Conv(name="conv1", inputs=(IMAGE,), out_channels=4, kernel=3, padding=1),
            MaxPool(name="pool1", inputs=("conv1",)),
            Conv(name="conv2", inputs=("pool1",), out_channels=4, kernel=3, padding=1, activation="relu"),
            MaxPool(name="pool2", inputs=("conv1",), stride=1, pad=(0, 1, 0, 1)),
            Upsample(name="upsample", inputs=("conv2",)),
            Concat(name="route", inputs=("upsample", "pool2")),
            Conv(name="head1", inputs=("conv2",), out_channels=3, kernel=1, norm=False, activation="linear"),
            Conv(name="head2", inputs=("route",), out_channels=2, kernel=1, norm=False, activation="linear"),
        ),
        heads=("head1", "head2"),
    )


def compiled(table, size, seed, folder, **goal):
    network = integer_network(table, size, seed)
    graph = export_qonnx(network, size, folder / "net.onnx")
    goal = Goal(PART, clock_mhz=100, **{"target_fps": 20_000, **goal})
    accelerator = compile_accelerator(graph, folder / "compile", goal)
    return network, accelerator, build_simulator(accelerator.design, folder / "sim")


@pytest.fixture(scope="module")
def net(tmp_path_factory):
    return compiled(two_heads(), SIZE, 3, tmp_path_factory.mktemp("two_heads"))


def frames(count: int) -> np.ndarray:
    torch.manual_seed(5)
    return images(two_heads(), SIZE, count).numpy()


def check(net, count=3, **changes):
    network, accelerator, simulator = net
    return check_equivalence(
        dataclasses.replace(simulator, **changes),
        accelerator.design,
        accelerator.origin,
        network,
        frames(count),
        stall_percent=30,
        seeds=(1, 2),
    )


def test_every_stream_agrees_with_and_without_stalls(net):
    result = check(net)
    design = net[1].design
    assert result.mismatches == 0 and not result.differences
    assert result.streams == len(design.inner) + 2
    assert result.beats == 3 * 3 * sum(stream.beats for stream in (*design.inner, *design.outputs))
    # Frames follow each other faster than one frame passes.
    assert 0 < result.cycles_per_frame <= result.latency_cycles


def test_the_accelerator_stands_in_for_the_network(net):
    network, accelerator, simulator = net
    pixels = torch.from_numpy(frames(2))
    again = Accelerator.load(accelerator.design.folder)  # as a later process finds it
    with torch.no_grad():
        expected = network(pixels.float())
    assert all(map(torch.equal, rtl_predictor(simulator, again)(pixels), expected))


def test_a_flipped_bit_in_a_weight_memory_is_found_where_it_is(net, tmp_path):
    broken = tmp_path / "compile"
    shutil.copytree(net[1].design.folder, broken)
    (memory,) = broken.glob("rtl/conv2_mvau/*.dat")
    first, *rest = memory.read_text().split("\n")
    memory.write_text("\n".join([f"{int(first, 16) ^ 1:0{len(first)}x}", *rest]))
    result = check(net, data_folder=load_design(broken).folder)
    assert result.mismatches > 0
    found = result.differences[0]
    assert found.operator == "conv2_mvau" and found.stream == "conv2_mvau" and found.frame == 0
    assert found.expected != found.found and found.cycle is not None
    assert str(found).startswith("operator 'conv2_mvau', stream 'conv2_mvau', frame 0, beat ")
    # What lies before the fault in the data flow is right.
    wrong = {row.operator for row in result.rows if row.mismatches}
    assert not wrong & {"conv1_mvau", "conv1_thresholds", "pool1_pool"}


def test_a_too_shallow_fifo_is_reported_as_a_deadlock(tmp_path):
    _, accelerator, simulator = compiled(two_heads(), SIZE, 3, tmp_path, fifo_depth=2)
    with pytest.raises(DeadlockError, match=r"stuck after \d+ cycles") as caught:
        run_frames(simulator, accelerator.design, frames(2))
    # The branch that waits for the slower one at the concatenation is full.
    assert "pool2_fifo (depth 2)" in str(caught.value)


def test_a_sum_in_every_cycle_survives_back_pressure(tmp_path):
    """FINN's unit loses results here as it is installed: its output queue is too short (`hwprune.accel.rtllib`)."""
    table = Architecture(
        name="one_product",
        in_channels=1,
        layers=(
            Conv(name="conv1", inputs=(IMAGE,), out_channels=4, kernel=1),
            Conv(name="conv2", inputs=("conv1",), out_channels=5, kernel=3, stride=2, padding=1),
            Conv(name="head", inputs=("conv2",), out_channels=5, kernel=1, norm=False, activation="linear"),
        ),
        heads=("head",),
    )
    size = (16, 19)
    network, accelerator, simulator = compiled(table, size, 225, tmp_path, target_fps=40_000)
    torch.manual_seed(225)
    pixels = images(table, size, 3).numpy()
    result = check_equivalence(
        simulator, accelerator.design, accelerator.origin, network, pixels, stall_percent=30, seeds=(225,)
    )
    assert {"name": "conv1_mvau", "simd": 1, "pe": 1}.items() <= accelerator.operators[0].items()
    assert result.mismatches == 0, result.differences[0]


@settings(
    max_examples=2,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.too_slow],
)
@given(net=st.sampled_from(["mac", "mixed"]).flatmap(architectures), seed=st.integers(0, 2**16))
def test_random_networks_agree(net, seed, tmp_path_factory):
    table, size = net
    network, accelerator, simulator = compiled(table, size, seed, tmp_path_factory.mktemp("random"), target_fps=5_000)
    torch.manual_seed(seed)
    result = check_equivalence(
        simulator,
        accelerator.design,
        accelerator.origin,
        network,
        images(table, size, 2).numpy(),
        stall_percent=25,
        seeds=(seed,),
    )
    assert result.mismatches == 0, result.differences[0]
