"""The part of pynq that the driver uses, in front of the simulated shell: registers through the AXI-Lite port, memory
that the shell reaches, behind a cache that has to be flushed and invalidated."""

from __future__ import annotations

from types import ModuleType

import numpy as np
from cocotb.task import resume

from tests.board.shell_driver import AREA, Bench

PAGE = 4096


class Buffer(np.ndarray):
    """Memory as the processor sees it."""

    def flush(self) -> None:
        self.bench.ram.write(self.device_address, self.tobytes())

    def invalidate(self) -> None:
        content = np.frombuffer(self.bench.ram.read(self.device_address, self.nbytes), self.dtype)
        self[...] = content.reshape(self.shape)

    def freebuffer(self) -> None:
        self.pynq.taken.remove(self.device_address)


class Pynq(ModuleType):
    """Stands in for the module; within a function that `cocotb.task.bridge` runs."""

    def __init__(self, bench: Bench):
        super().__init__("pynq")
        self.bench, self.overlays, self.taken, self._next = bench, [], [], 0

    def Overlay(self, path: str) -> None:  # noqa: N802
        self.overlays.append(path)

    def MMIO(self, base: int, length: int) -> Registers:  # noqa: N802
        assert base == self.bench.described["base"] and length == PAGE
        return Registers(self.bench)

    def allocate(self, shape: tuple[int, ...], dtype: type) -> Buffer:
        buffer = np.empty(shape, dtype).view(Buffer)
        buffer[...] = 0xA5
        if self._next + buffer.nbytes > AREA:
            self._next = 0
        buffer.bench, buffer.pynq, buffer.device_address = self.bench, self, self.bench.base + self._next
        self._next += -(-buffer.nbytes // PAGE) * PAGE
        self.taken.append(buffer.device_address)
        return buffer


class Registers:
    def __init__(self, bench: Bench):
        self._control = bench.control

    def read(self, offset: int) -> int:
        @resume
        async def read():
            return await self._control.read_dword(offset)

        return read()

    def write(self, offset: int, value: int) -> None:
        assert 0 <= value < 1 << 32 and offset % 4 == 0

        @resume
        async def write():
            await self._control.write_dword(offset, value)

        write()
