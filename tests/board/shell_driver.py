"""Within the simulator: clock, reset, the memory and bus models, and a driver that knows only `registers.json`."""

from __future__ import annotations

import json
import logging
import os
from itertools import count
from pathlib import Path

import cocotb
import numpy as np
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, First, RisingEdge
from cocotbext.axi import AxiBus, AxiLiteBus, AxiLiteMaster, AxiRam
from cocotbext.axi.constants import AxiResp
from cocotbext.axi.sparse_memory import SparseMemory

from tests.board.shell_runner import SETTINGS, Settings
from tests.board.shell_standin import StandIn

PATIENCE = 200_000
"""Cycles after which an awaited event is a hang."""
AREA = 1 << 20
"""Bytes from the base on in which the tests place frames."""


def settings() -> Settings:
    """What `shell_runner.simulate` was called with."""
    return Settings(**json.loads(Path(os.environ[SETTINGS]).read_text()))


class Bench:
    """The running bench.

    Attributes
    ----------
    memory
        What the memory shall hold: the bus model's memory is compared with it, byte by byte.
    """

    def __init__(self, dut) -> None:
        self.dut = dut
        self.settings = settings()
        described = json.loads(Path(self.settings.registers).read_text())
        self.described = described
        self.offsets = {register["name"]: register for register in described["registers"]}
        self.input, self.outputs = described["input"], described["outputs"]
        self.word = described["word_bytes"]
        given = self.settings.standin
        self.standin = StandIn(**{**given, "outputs": tuple(map(tuple, given["outputs"]))}) if given else None
        self.random = np.random.default_rng(self.settings.seed)
        # Beyond 32 bits where the port has more, so that the upper halves of the addresses count.
        self.base = (0x5A << 32 if self.settings.address_bits > 32 else 0) + 0x1000_0000
        cocotb.start_soon(Clock(dut.aclk, 10, unit="ns").start())
        logging.getLogger("cocotb.shell_bench").setLevel(logging.WARNING)
        self.control = AxiLiteMaster(
            AxiLiteBus.from_prefix(dut, "s_axi_control"), dut.aclk, dut.aresetn, reset_active_level=False
        )
        self.ram = AxiRam(
            AxiBus.from_prefix(dut, "m_axi_memory"),
            dut.aclk,
            dut.aresetn,
            reset_active_level=False,
            mem=SparseMemory(1 << self.settings.address_bits),
        )
        self.memory = bytearray(self.random.bytes(AREA))
        self.ram.write(self.base, bytes(self.memory))
        self.bad_reads: dict[int, AxiResp] = {}
        self.bad_writes: dict[int, AxiResp] = {}
        self._inject()

    @classmethod
    async def start(cls, dut) -> Bench:
        """A bench out of reset."""
        dut.aresetn.value = 0
        bench = cls(dut)
        await ClockCycles(dut.aclk, 5)
        dut.aresetn.value = 1
        await bench.until_clear("status", "resetting")
        return bench

    # Registers.
    def offset(self, name: str, index: int = 0) -> int:
        register = self.offsets[name]
        return register["offset"] + index * register["stride"]

    def bit(self, name: str, field: str) -> int:
        (found,) = (bits for bits in self.offsets[name]["fields"] if bits["name"] == field)
        return 1 << found["low"]

    def bits(self, name: str, value: int) -> set[str]:
        """Names of the fields of one bit that are set."""
        return {bits["name"] for bits in self.offsets[name]["fields"] if value >> bits["low"] & 1}

    async def read(self, name: str, index: int = 0) -> int:
        value = await self.control.read_dword(self.offset(name, index))
        if self.offsets[name]["bits"] == 64:
            value |= await self.control.read_dword(self.offset(name, index) + 4) << 32
        return value

    async def write(self, name: str, value: int, index: int = 0) -> None:
        await self.control.write_dword(self.offset(name, index), value & 0xFFFF_FFFF)
        if self.offsets[name]["bits"] == 64:
            await self.control.write_dword(self.offset(name, index) + 4, value >> 32)

    async def until_clear(self, name: str, field: str) -> None:
        for polls in count():
            if field not in self.bits(name, await self.read(name)):
                return
            assert polls * 10 < PATIENCE, f"{name}.{field} stays set"

    async def until_interrupt(self, patience: int = PATIENCE) -> set[str]:
        """Wait for the line, clear the causes that are set, and return them."""
        if not self.dut.interrupt.value:
            timeout = ClockCycles(self.dut.aclk, patience)
            assert await First(RisingEdge(self.dut.interrupt), timeout) is not timeout, "no interrupt comes"
        causes = await self.read("interrupt")
        await self.write("interrupt", causes)
        return self.bits("interrupt", causes)

    async def enable(self, *causes: str) -> None:
        await self.write("interrupt_enable", sum(self.bit("interrupt_enable", cause) for cause in causes))

    async def reset(self) -> None:
        await self.write("control", self.bit("control", "reset"))
        await self.until_clear("control", "reset")

    async def errors(self) -> set[str]:
        return self.bits("error", await self.read("error"))

    # Frames.
    def place(self, *sizes: int) -> list[int]:
        """Random places in memory, aligned to words, none over another; often beside a boundary of 4 KB."""
        total = sum(sizes) + 2 * 4096 * len(sizes)
        assert total < AREA, "the frames do not fit"
        gaps = self.random.multinomial(AREA - total, np.ones(len(sizes)) / len(sizes))
        places, at = [], 0
        for size, gap in zip(sizes, gaps, strict=True):
            at += int(gap) // 4096 * 4096
            words = int(self.random.choice([0, 1, self.random.integers(4096 // self.word), 4096 // self.word - 1]))
            places.append(at + words * self.word)
            at += -(-(words * self.word + size) // 4096) * 4096
        order = self.random.permutation(len(sizes))
        # The order in memory is random too, for equal sizes.
        return places if len(set(sizes)) > 1 else [places[i] for i in order]

    def areas(self, frames: int, commands: int) -> list[tuple[int, list[int]]]:
        """For each command the offsets of its input and its outputs."""
        sizes = [stream["pitch"] * frames for stream in (self.input, *self.outputs)]
        places = self.place(*(sizes * commands))
        step = len(sizes)
        return [(places[i * step], places[i * step + 1 : (i + 1) * step]) for i in range(commands)]

    def fill(self, at: int, frame: bytes) -> None:
        """Put a frame into memory and into what memory shall hold."""
        self.memory[at : at + len(frame)] = frame
        self.ram.write(self.base + at, frame)

    async def command(self, source: int, sinks: list[int], frames: int) -> None:
        """Addresses and `frames` to the registers, and start."""
        await self.write("input_address", self.base + source)
        for index, sink in enumerate(sinks):
            await self.write("output_address", self.base + sink, index)
        await self.write("frames", frames)
        await self.write("control", self.bit("control", "start"))

    async def run(self, source: int, sinks: list[int], inputs: list[bytes]) -> None:
        """Fill the input, command all frames, and note what the outputs shall be."""
        for number, frame in enumerate(inputs):
            self.fill(source + number * self.input["pitch"], frame)
        await self.command(source, sinks, len(inputs))
        self.expect(sinks, [self.standin.compute(frame) for frame in inputs])

    def expect(self, sinks: list[int], results: list[list[bytes]]) -> None:
        """Note outputs, frame by frame, in what memory shall hold."""
        for number, result in enumerate(results):
            for stream, sink, content in zip(self.outputs, sinks, result, strict=True):
                at = sink + number * stream["pitch"]
                self.memory[at : at + len(content)] = content

    def check_memory(self) -> None:
        """All of memory is as it shall be: outputs, and everything else untouched."""
        found, awaited = self.ram.read(self.base, AREA), bytes(self.memory)
        if found != awaited:
            wrong = np.flatnonzero(np.frombuffer(found, np.uint8) != np.frombuffer(awaited, np.uint8))
            raise AssertionError(f"{len(wrong)} bytes of memory differ, from offset {wrong[0]:#x} to {wrong[-1]:#x}")

    def frames(self, number: int) -> list[bytes]:
        return [self.standin.frame(self.random) for _ in range(number)]

    # The bus.
    def stall(self, percent: int, only: str | None = None) -> None:
        """Each channel of both ports waits in so many cycles of a hundred, each by itself; 0 for never. Or `only` those
        that "read" or "write" memory, and all others never."""
        reads, writes = self.ram.read_if, self.ram.write_if
        slow = {
            "read": [reads.ar_channel, reads.r_channel],
            "write": [writes.aw_channel, writes.w_channel, writes.b_channel],
        }
        channels = [reads.ar_channel, reads.r_channel, writes.aw_channel, writes.w_channel, writes.b_channel]
        control = self.control
        channels += [control.write_if.aw_channel, control.write_if.w_channel, control.write_if.b_channel]
        channels += [control.read_if.ar_channel, control.read_if.r_channel]
        for channel in channels:
            channel.clear_pause_generator()
            channel.pause = False
            if percent and (only is None or channel in slow[only]):
                channel.set_pause_generator(self._pauses(percent))

    def _pauses(self, percent: int):
        # Bits are drawn many at a time; runs of several cycles are as frequent as single ones.
        random = np.random.default_rng(self.random.integers(1 << 32))
        while True:
            for pause in random.integers(0, 100, 256) < percent:
                for _ in range(int(random.choice([1, 1, 7])) if pause else 1):
                    yield bool(pause)

    def _inject(self) -> None:
        """Answer in error what touches a word of `bad_reads` or `bad_writes`, and read or write nothing there."""
        reads, writes = self.ram.read_if, self.ram.write_if

        async def read(address: int, length: int) -> bytes:
            self._read_answer = self.bad_reads.get(address - self.base, AxiResp.OKAY)
            return bytes(self.ram.read(address, length))

        async def write(address: int, data: bytes) -> None:
            word = (address - self.base) // self.word * self.word
            if word in self.bad_writes:
                self._write_answer = self.bad_writes[word]
            else:
                self.ram.write(address, data)

        send_read, send_write = reads.r_channel.send, writes.b_channel.send

        async def answer_read(answer) -> None:
            answer.rresp = self._read_answer
            await send_read(answer)

        async def answer_write(answer) -> None:
            answer.bresp, self._write_answer = self._write_answer, AxiResp.OKAY
            await send_write(answer)

        self._read_answer = self._write_answer = AxiResp.OKAY
        reads._read, writes._write = read, write
        reads.r_channel.send, writes.b_channel.send = answer_read, answer_write
