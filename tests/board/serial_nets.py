"""A network small enough to be placed and routed within a test: two heads, a pool, two layers behind one another."""

from pathlib import Path

from hwprune.accel.accelerator import Accelerator
from hwprune.accel.compile import Goal, compile_accelerator
from hwprune.models.architecture import IMAGE, Architecture, Conv, MaxPool
from hwprune.quant.export import export_qonnx
from hwprune.quant.integer import IntegerNetwork
from tests.nets import integer_network

SIZE = (8, 12)
PART = "xc7z020clg400-1"  # whose DSP slice FINN generates for; the sources are adapted afterwards


def two_heads() -> Architecture:
    head = {"kernel": 1, "norm": False, "activation": "linear"}
    conv = {"kernel": 3, "padding": 1, "activation": "relu"}
    return Architecture(
        name="two_heads",
        in_channels=1,
        layers=(
            Conv(name="conv1", inputs=(IMAGE,), out_channels=2, **conv),
            MaxPool(name="pool1", inputs=("conv1",)),
            Conv(name="head1", inputs=("pool1",), out_channels=3, **head),
            Conv(name="head2", inputs=("conv1",), out_channels=2, **head),
        ),
        heads=("head1", "head2"),
    )


def one_head() -> Architecture:
    """Less still."""
    table = two_heads()
    return Architecture(name="one_head", in_channels=1, layers=(table["conv1"], table["head2"]), heads=("head2",))


def compiled(
    folder: Path, table: Architecture | None = None, fifo_depth: int | None = None
) -> tuple[IntegerNetwork, Accelerator]:
    """A network with random weights, and its accelerator in `folder/compile`; FIFOs of 258 beats are in block RAM."""
    network = integer_network(table or two_heads(), SIZE, 3)
    graph = export_qonnx(network, SIZE, folder / "net.onnx")
    goal = Goal(PART, clock_mhz=100, target_fps=50_000, fifo_depth=fifo_depth)
    return network, compile_accelerator(graph, folder / "compile", goal)
