"""The true tiny-YOLOv3 topology at 416x416, pruned to about a million parameters: compiled for xc7z020 and simulated.

Random weights: the hardware does not care. Every stream of one frame is compared between the integer network and the
RTL.
"""

import argparse
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from common import conclude, say
from networks import REFERENCE, reference

from hwprune.accel.compile import Goal, compile_accelerator
from hwprune.models.architecture import Architecture
from hwprune.models.cost import cost_table, macs
from hwprune.models.network import Network
from hwprune.quant.export import export_qonnx
from hwprune.quant.integer import IntegerNetwork, freeze
from hwprune.quant.network import QuantNetwork
from hwprune.quant.precision import Precision
from hwprune.sim.accelerator import build_simulator
from hwprune.sim.equivalence import check_equivalence


def random_network(table: Architecture, size: tuple[int, int]) -> IntegerNetwork:
    """Weights of seed 1, and activations in the ranges that a few random images of (height, width) have."""
    torch.manual_seed(1)
    float_network = Network(table)
    for module in float_network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
            torch.nn.init.uniform_(module.bias, -0.3, 0.5)
    network = QuantNetwork(table, Precision()).start_from(float_network)
    say("observe the ranges of activations")
    with torch.no_grad():
        network.train()
        for _ in range(3):
            network(torch.randint(0, 256, (2, 3, *size)) / 255)
    return freeze(network)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--fps", type=float, default=60, help="goal of the folding at 100 MHz")
    parser.add_argument("--frames", type=int, default=1)
    options = parser.parse_args()
    table, size = reference().table, reference().size
    integer = random_network(table, size)
    seconds = {}
    with TemporaryDirectory(prefix="full-size-") as temporary:
        folder = Path(temporary)

        def timed(name: str, action):
            say(name)
            start = time.monotonic()
            result = action()
            seconds[name] = round(time.monotonic() - start, 1)
            return result

        graph = timed("export", lambda: export_qonnx(integer, size, folder / "network.onnx"))
        goal = Goal("xc7z020clg400-1", clock_mhz=100, target_fps=options.fps)
        accelerator = timed("compile", lambda: compile_accelerator(graph, folder / "compile", goal, progress=say))
        simulator = timed("verilator", lambda: build_simulator(accelerator.design, folder / "verilator"))
        images = torch.randint(0, 256, (options.frames, 3, *size), dtype=torch.uint8).numpy()
        result = timed(
            "simulate",
            lambda: check_equivalence(
                simulator, accelerator.design, accelerator.origin, integer, images, stall_percent=0, seeds=()
            ),
        )
    for difference in result.differences[:10]:
        say(str(difference))
    slowest = max(row["cycles"] for row in accelerator.operators)
    conclude(
        "full_size",
        seconds["export"] + seconds["compile"] + seconds["verilator"],
        "s",
        "900 s",
        (seconds["export"] + seconds["compile"] + seconds["verilator"]) / 900,
        {
            "params": sum(row.parameters for row in cost_table(table, *size)),
            "macs": macs(table, *size),
            "widths": REFERENCE,
            "image": size,
        },
        seconds=seconds,
        frames=options.frames,
        streams=result.streams,
        beats=result.beats,
        mismatches=result.mismatches,
        latency_cycles=result.latency_cycles,
        cycles_per_frame=result.cycles_per_frame,
        cycles_estimate=slowest,
        resources=accelerator.resources,
    )


if __name__ == "__main__":
    main()
