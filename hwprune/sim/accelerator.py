"""The compiled accelerator in Verilator, behind the same face as a network."""

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from hwprune.accel.accelerator import Accelerator
from hwprune.accel.design import Design
from hwprune.sim.equivalence import head_sums, run_frames
from hwprune.sim.simulator import Simulator
from hwprune.sim.verilator import build


def build_simulator(design: Design, folder: Path, optimise: str = "-O1") -> Simulator:
    """Compile the stitched design; every inner stream can be recorded, every FIFO's fill is read at the end of a
    run. ``optimise`` as for `hwprune.sim.verilator.build`."""
    return build(
        design.top,
        design.sources,
        folder,
        taps=[stream.name for stream in design.inner],
        monitors=[monitor for fifo in design.fifos for monitor in (fifo.count, fifo.maxcount)],
        data_folder=design.folder,
        optimise=optimise,
    )


def rtl_predictor(simulator: Simulator, accelerator: Accelerator) -> Callable[[Tensor], list[Tensor]]:
    """What `hwprune.detect.evaluate` calls: uint8 images in, the heads' raw outputs out, by way of the RTL.

    The images of a batch run through the accelerator one behind the other, without a gap.
    """

    def predict(images: Tensor) -> list[Tensor]:
        run = run_frames(simulator, accelerator.design, images.numpy())
        heads = []
        for sums, affine in zip(head_sums(accelerator.design, run, len(images)), accelerator.affine, strict=True):
            scale, bias = (torch.from_numpy(v).reshape(1, -1, 1, 1) for v in (affine.scale, affine.bias))
            heads.append(torch.from_numpy(sums).float() * scale + bias)
        return heads

    return predict
