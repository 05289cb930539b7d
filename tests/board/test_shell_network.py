"""A compiled network in its shell gives, through memory, what the network gives."""

import numpy as np
import pytest
import torch

from hwprune.accel.compile import Goal, compile_accelerator
from hwprune.board.shell import REGISTERS, write_shell
from hwprune.quant.export import accumulator, export_qonnx
from hwprune.sim.golden import golden_streams
from hwprune.sim.streams import pack
from tests.board.shell_standin import board_with
from tests.nets import images, integer_network
from tests.sim.test_equivalence import PART, SIZE, two_heads

pytest.importorskip("cocotbext.axi", reason="cocotb and cocotbext-axi are not installed")
from tests.board.shell_runner import Settings, simulate

FRAMES = 4


def test_a_compiled_network(tmp_path, runtime):
    network = integer_network(two_heads(), SIZE, 3)
    graph = export_qonnx(network, SIZE, tmp_path / "net.onnx")
    design = compile_accelerator(graph, tmp_path / "compile", Goal(PART, clock_mhz=100, target_fps=20_000)).design
    torch.manual_seed(5)
    pixels = images(two_heads(), SIZE, FRAMES).numpy()
    (source,) = design.inputs
    tensors = [accumulator(head) for head in network.architecture.heads]
    expected = [golden_streams(network, image, tensors) for image in pixels]
    frames = {"inputs": pack(pixels.transpose(0, 2, 3, 1), source.datatype, source.folded_shape).reshape(FRAMES, -1)}
    for k, (tensor, sink) in enumerate(zip(tensors, design.outputs, strict=True)):
        values = np.stack([streams[tensor] for streams in expected])
        frames[f"output{k}"] = pack(values, sink.datatype, sink.folded_shape).reshape(FRAMES, -1)
        # -1 sets every bit of an element, and none of those that fill up a beat.
        frames[f"mask{k}"] = pack(np.full(sink.folded_shape, -1), sink.datatype, sink.folded_shape).reshape(-1)
    np.savez(tmp_path / "frames.npz", **frames)
    shell = write_shell(design, board_with(64, 32), tmp_path / "shell")
    settings = Settings(
        registers=str(shell.folder / REGISTERS),
        data_bits=64,
        address_bits=32,
        max_burst=16,
        frames=str(tmp_path / "frames.npz"),
    )
    simulate(shell, settings, tmp_path / "run", runtime, "tests.board.shell_cocotb", ["network"])
