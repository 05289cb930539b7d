"""What the driver does, against the shell itself; `test_driver` runs it."""

from __future__ import annotations

import importlib.util
import json
import sys
from contextlib import suppress
from pathlib import Path
from unittest.mock import Mock, patch

import cocotb
import numpy as np
from cocotb.task import bridge
from cocotbext.axi.constants import AxiResp

from tests.board.emulated_pynq import Pynq
from tests.board.shell_driver import Bench


@cocotb.test()
async def driver(dut):
    bench = await Bench.start(dut)
    pynq, package = Pynq(bench), Path(bench.settings.package)
    with patch.dict(sys.modules, pynq=pynq):
        await bridge(use)(bench, pynq, package)
    assert not pynq.taken, "a buffer was not freed"


def packaged(folder: Path):
    """The driver that lies in the package, which knows nothing of hwprune."""
    spec = importlib.util.spec_from_file_location("packaged_driver", folder / "driver.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def use(bench: Bench, pynq: Pynq, folder: Path) -> None:
    module = packaged(folder)

    # The self-test as it is called on the board.
    assert module.main([str(folder)]) == 0
    assert pynq.overlays == [str(folder / "small.bit")]

    accelerator = module.Accelerator.load(folder)

    def right(count: int) -> None:
        frames = bench.frames(count)
        found = accelerator.run(np.stack([np.frombuffer(frame, np.uint8) for frame in frames]))
        for number, frame in enumerate(frames):
            assert [outputs[number].tobytes() for outputs in found] == bench.standin.compute(frame)

    def refused(frames, *told: str, **how) -> None:
        try:
            accelerator.run(frames, **how)
        except module.DriverError as error:
            assert all(text in str(error) for text in told), error
        else:
            raise AssertionError(f"not told: {told}")

    for percent, count in ((0, 1), (30, 3), (10, 2)):
        bench.stall(percent)
        right(count)

    size = bench.input["bytes"]
    refused(np.zeros((2, size + 1), np.uint8), f"shape (2, {size + 1}), not uint8 of shape (frames, {size})")
    refused(np.zeros((2, size), np.int8), "int8")
    refused(np.zeros((0, size), np.uint8), "0 frames, not 1 to 65535")

    # Errors of the bus, and an accelerator that hangs: told with the shell's registers, and the next frames are right.
    bench.bad_reads = {at: AxiResp.SLVERR for at in range(0, 1 << 20, bench.word)}
    refused(np.stack([np.frombuffer(bench.frames(1)[0], np.uint8)]), "error read_slave", "frames_finished 0x7")
    bench.bad_reads.clear()
    right(2)
    hanging = np.frombuffer(bench.standin.frame(bench.random, hangs=True), np.uint8)[None]
    refused(hanging, "status.busy is still set after 0.1 s", "frames_commanded 0x3, frames_finished 0x2", timeout_s=0.1)
    right(1)

    # A process that was killed in the middle: the next one finds an accelerator at rest.
    killed = patch.multiple(accelerator, _wait=Mock(side_effect=SystemExit), reset=Mock())
    with killed, suppress(SystemExit):
        accelerator.run(hanging)
    accelerator = module.Accelerator.load(folder)
    right(1)

    # Another accelerator, and vectors with one bit changed: in a mask's bit, and beside it.
    described = json.loads((folder / "registers.json").read_text())
    for name, told in (("identifier", "no shell"), ("version", "version"), ("design", "holds accelerator")):
        try:
            module.Accelerator({**described, name: described[name] ^ 0x10000}, accelerator._mmio, pynq.allocate)
        except module.DriverError as error:
            assert told in str(error)
        else:
            raise AssertionError(f"another {name} is not told")
    vector, mask = (folder / "vectors" / name for name in ("1/out1_V.bin", "out1_V.mask"))
    content = vector.read_bytes()
    vector.write_bytes(bytes([content[0] ^ 4]) + content[1:])
    assert module.main([str(folder)]) == 1, "the checksum is wrong"
    try:
        module.selftest(accelerator, folder)
    except module.DriverError as error:
        assert str(error) == f"vector 1: 1 of {len(content)} bytes of out1_V differ, the first at 0"
    else:
        raise AssertionError("a bit that is wrong is not told")
    mask.write_bytes(b"\xfb" + mask.read_bytes()[1:])
    assert module.selftest(accelerator, folder) == 3
