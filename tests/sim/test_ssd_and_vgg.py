"""SSD's and VGG's layers on every level of simulation: values of each stream, and cycles of each beat."""

import numpy as np
import pytest

from hwprune.accel.compile import Goal, compile_accelerator
from hwprune.quant.export import export_qonnx
from hwprune.sim.accelerator import build_simulator
from hwprune.sim.csim import check_csim
from hwprune.sim.cycle.model import CycleModel
from hwprune.sim.cycle.sizing import size_fifos
from hwprune.sim.equivalence import check_equivalence
from tests.nets import integer_network
from tests.ssd_nets import random_ssd, random_vgg

GOAL = Goal("xc7z020clg400-1", clock_mhz=100, target_fps=20_000)


def every_level(table, size, folder, seed):
    """Compile with FIFOs sized by the cycle model, and hold csim, cycle model and RTL to the network."""
    network = integer_network(table, size, seed)
    graph = export_qonnx(network, size, folder / "net.onnx")
    accelerator = compile_accelerator(graph, folder / "compile", GOAL, size=lambda d: size_fifos(CycleModel(d)).sizes)
    frames = np.random.default_rng(seed).integers(0, 256, (2, table.in_channels, *size), np.uint8)
    csim = check_csim(accelerator, network, frames, folder / "csim", jobs=1)
    assert csim.mismatches == 0, csim.differences[0]
    design = accelerator.design
    rtl = check_equivalence(
        build_simulator(design, folder / "sim"),
        design,
        accelerator.origin,
        network,
        frames,
        stall_percent=30,
        seeds=(seed,),
        model=CycleModel(design),
    )
    assert rtl.mismatches == 0, rtl.differences[0]
    assert rtl.cycle_mismatches == 0, rtl.cycle_differences[0]
    streams = (*design.inner, *design.outputs)
    assert rtl.streams == csim.streams == len(streams)
    assert rtl.beats == 2 * csim.beats == 4 * sum(stream.beats for stream in streams)


@pytest.mark.parametrize(("net", "seed"), [(random_ssd, 1), (random_vgg, 2)])
def test_every_layer(net, seed, tmp_path):
    table, size = net(np.random.default_rng(seed))
    every_level(table, size, tmp_path, seed)
