"""Random small networks, compiled and simulated: every stream of every network against the integer network.

Depths, widths, strides, forks and image sizes (not square) are drawn as the tests draw them; run from the repository.
"""

import argparse
import sys
import tempfile
from pathlib import Path

import torch
from common import conclude, say
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parents[1]))
from hwprune.accel.compile import Goal, compile_accelerator
from hwprune.quant.export import export_qonnx
from hwprune.sim.accelerator import build_simulator
from hwprune.sim.equivalence import check_equivalence
from tests.nets import architectures, images, integer_network


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--networks", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--neurons", choices=["mac", "mixed"], default="mixed", help="mixed: some layers are SAM")
    options = parser.parse_args()
    totals = {"networks": 0, "layers": 0, "sam_layers": 0, "streams": 0, "beats": 0, "mismatches": 0}

    @seed(options.seed)
    @settings(
        max_examples=options.networks,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(
        net=architectures(options.neurons),
        number=st.integers(0, 2**16),
        fps=st.sampled_from([2_000, 10_000, 40_000]),
    )
    def run(net, number, fps):
        table, size = net
        network = integer_network(table, size, number)
        with tempfile.TemporaryDirectory(prefix="random-network-") as temporary:
            folder = Path(temporary)
            graph = export_qonnx(network, size, folder / "net.onnx")
            goal = Goal("xc7z020clg400-1", clock_mhz=100, target_fps=fps)
            accelerator = compile_accelerator(graph, folder / "compile", goal)
            simulator = build_simulator(accelerator.design, folder / "sim")
            torch.manual_seed(number)
            frames = images(table, size, 3).numpy()
            result = check_equivalence(
                simulator, accelerator.design, accelerator.origin, network, frames, stall_percent=30, seeds=(number,)
            )
        totals["networks"] += 1
        totals["layers"] += len(table.layers)
        sam = sum(layer.op == "conv" and layer.sam is not None for layer in table.layers)
        totals["sam_layers"] += sam
        for key in ("streams", "beats", "mismatches"):
            totals[key] += getattr(result, key)
        say(
            f"{totals['networks']:3d}: {len(table.layers)} layers ({sam} SAM), {size[0]}x{size[1]}, "
            f"{result.streams} streams, {result.beats} beats, {result.mismatches} mismatches"
        )
        for difference in result.differences[:1]:
            say(str(difference))

    run()
    agreeing = 1 - totals["mismatches"] / totals["beats"]
    conclude("random_networks", totals["mismatches"], "beats", "beats compared", agreeing, totals)


if __name__ == "__main__":
    main()
