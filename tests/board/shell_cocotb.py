"""What the shell has to do, as tests within the simulator; `test_shell_bus` runs them."""

from __future__ import annotations

from itertools import count

import cocotb
import numpy as np
from cocotb.triggers import ClockCycles, RisingEdge
from cocotbext.axi.constants import AxiResp

from tests.board.shell_driver import AREA, Bench


@cocotb.test()
async def registers(dut):
    """Identity, byte enables, what is not there, and what cannot be written."""
    bench = await Bench.start(dut)
    bench.stall(20)
    for name in ("identifier", "version", "design"):
        assert await bench.read(name) == bench.described[name]
        await bench.write(name, 0)
        assert await bench.read(name) == bench.described[name]
    for name, register in bench.offsets.items():
        if register["access"] == "rw" and not register["fields"]:
            for index in range(register["count"]):
                implemented = (1 << bench.settings.address_bits) - 1
                value = int(bench.random.integers(1 << 63)) & implemented
                await bench.write(name, value, index)
                assert await bench.read(name, index) == value
                await bench.control.write(bench.offset(name, index) + 1, b"\xa5")
                assert await bench.read(name, index) == value & ~0xFF00 | 0xA500
    after = bench.offset("output_address", len(bench.outputs))
    for offset in (after, 0x800, 0xFFC):
        await bench.control.write_dword(offset, 0xFFFF_FFFF)
        assert await bench.control.read_dword(offset) == 0
    assert not await bench.errors() and not dut.interrupt.value


@cocotb.test()
async def one_frame(dut):
    """A frame at full speed: counters and interrupt."""
    bench = await Bench.start(dut)
    await bench.enable("idle")
    ((source, sinks),) = bench.areas(1, 1)
    await bench.run(source, sinks, bench.frames(1))
    assert "busy" in bench.bits("status", await bench.read("status"))
    assert await bench.until_interrupt() == {"frame", "idle"}
    await ClockCycles(dut.aclk, 3)
    assert not dut.interrupt.value
    assert "busy" not in bench.bits("status", await bench.read("status"))
    assert await bench.read("frames_finished") == 1 == await bench.read("frames_commanded")
    frame, busy = await bench.read("frame_cycles"), await bench.read("busy_cycles")
    assert bench.input["beats"] <= frame <= busy <= frame + 4
    bench.check_memory()


@cocotb.test()
async def random_frames(dut):
    """Commands of random frames at random places, several in the queue, stalls everywhere: none lost, none doubled."""
    bench = await Bench.start(dut)
    await bench.enable("frame")
    total = 0
    for percent in (0, 15, 60):
        bench.stall(percent)
        areas = bench.areas(3, 5)
        for source, sinks in areas:
            while "full" in bench.bits("status", await bench.read("status")):
                await bench.until_interrupt()
            inputs = bench.frames(int(bench.random.integers(1, 4)))
            await bench.run(source, sinks, inputs)
            total += len(inputs)
        while await bench.read("frames_finished") != total:
            await bench.until_interrupt()
        assert await bench.read("frames_commanded") == total
        assert not await bench.errors()
        bench.check_memory()


@cocotb.test()
async def frames_overlap(dut):
    """With the next command in the queue its frame is read while this one is worked at: no cycle is lost between."""
    bench = await Bench.start(dut)
    await bench.enable("idle")
    starts = []

    async def watch():
        taken = 0
        while True:
            await RisingEdge(dut.aclk)
            if dut.shell.in0_V_tvalid.value and dut.shell.in0_V_tready.value:
                if taken % bench.input["beats"] == 0:
                    starts.append((cocotb.simtime.get_sim_time("ns") // 10, int(dut.shell.body.frames_finished.value)))
                taken += 1

    cocotb.start_soon(watch())
    for source, sinks in bench.areas(2, 2):
        await bench.run(source, sinks, bench.frames(2))
    while "idle" not in await bench.until_interrupt():
        pass
    bench.check_memory()
    assert [finished for _, finished in starts[:2]] == [0, 0], "the second frame begins before the first is finished"
    interval = starts[3][0] - starts[2][0]
    least = max(bench.input["beats"], bench.input["pitch"] // bench.word)
    assert interval <= 1.03 * least + 2, f"{interval} cycles instead of {least}"


@cocotb.test()
async def soft_reset(dut):
    """Resets at any moment: the bus is left at rest, and the next frame is whole."""
    bench = await Bench.start(dut)
    await bench.enable("frame", "idle", "error")
    enabled = await bench.read("interrupt_enable")
    for trial in range(12):
        # Where one way is slow, the other has come to rest long before.
        only = (None, "read", "write")[trial % 3]
        bench.stall(70 if only else int(bench.random.choice([0, 30, 70])), only)
        areas = bench.areas(2, 3)
        for source, sinks in areas[:2]:
            frames = [bench.standin.frame(bench.random, hangs=trial % 5 == 4) for _ in range(2)]
            for number, frame in enumerate(frames):
                bench.fill(source + number * bench.input["pitch"], frame)
            await bench.command(source, sinks, 2)
            if trial % 4 == 1:
                bench.bad_reads[source] = bench.bad_writes[sinks[-1]] = AxiResp.SLVERR
        await ClockCycles(dut.aclk, int(bench.random.integers(1, 3 * bench.input["beats"])))
        for _ in range(trial % 2):  # asked for again while it is under way
            await bench.write("control", bench.bit("control", "reset"))
        await bench.reset()
        bench.bad_reads.clear()
        bench.bad_writes.clear()
        reads, writes = bench.ram.read_if, bench.ram.write_if
        for channel in (reads.ar_channel, reads.r_channel, writes.aw_channel, writes.w_channel, writes.b_channel):
            assert channel.empty(), "something is left on the bus"
        for name in ("status", "interrupt", "error", "frames_commanded", "frames_finished", "busy_cycles", "frames"):
            assert await bench.read(name) == 0, name
        assert await bench.read("interrupt_enable") == enabled and not dut.interrupt.value
        # Whatever of the broken frames came to memory is theirs; everything else has to be untouched.
        for _, sinks in areas[:2]:
            for stream, sink in zip(bench.outputs, sinks, strict=True):
                end = sink + stream["pitch"] + stream["bytes"]
                bench.memory[sink:end] = bench.ram.read(bench.base + sink, end - sink)
        source, sinks = areas[2]
        await bench.run(source, sinks, bench.frames(2))
        while "idle" not in await bench.until_interrupt():
            pass
        assert await bench.read("frames_finished") == 2
        bench.check_memory()


@cocotb.test()
async def hard_reset(dut):
    """The reset of the whole port, in the middle of a frame: all is as after power-up, and the next frame is whole."""
    bench = await Bench.start(dut)
    for _ in range(4):
        bench.stall(int(bench.random.choice([0, 30])))
        broken, whole = bench.areas(2, 2)
        await bench.enable("frame", "idle", "error")
        for number, frame in enumerate(bench.frames(2)):
            bench.fill(broken[0] + number * bench.input["pitch"], frame)
        await bench.command(*broken, 2)
        await ClockCycles(dut.aclk, int(bench.random.integers(1, 2 * bench.input["beats"])))
        dut.aresetn.value = 0
        await ClockCycles(dut.aclk, 16)
        dut.aresetn.value = 1
        await bench.until_clear("status", "resetting")
        for name in ("status", "interrupt", "interrupt_enable", "error", "frames_finished", "frames", "input_address"):
            assert await bench.read(name) == 0, name
        for stream, sink in zip(bench.outputs, broken[1], strict=True):
            end = sink + stream["pitch"] + stream["bytes"]
            bench.memory[sink:end] = bench.ram.read(bench.base + sink, end - sink)
        await bench.enable("idle")
        await bench.run(*whole, bench.frames(2))
        while "idle" not in await bench.until_interrupt():
            pass
        assert await bench.read("frames_finished") == 2
        bench.check_memory()


@cocotb.test()
async def counters_of_64_bits(dut):
    """The two words of a counter are of one moment, however far apart they are read; the carry comes through."""
    bench = await Bench.start(dut)
    ((source, sinks),) = bench.areas(1, 1)
    bench.fill(source, bench.standin.frame(bench.random, hangs=True))
    await bench.command(source, sinks, 1)
    for ahead in (400, 40, 4):  # cycles before the lower word turns over
        dut.shell.body.frames.busy_cycles.value = (7 << 32) - ahead
        at = bench.offset("busy_cycles")
        low = await bench.control.read_dword(at)
        await ClockCycles(dut.aclk, 500)
        value = await bench.control.read_dword(at + 4) << 32 | low
        assert 0 <= value - ((7 << 32) - ahead) < 100, hex(value)
        assert 500 <= await bench.read("busy_cycles") - value < 700
    await bench.reset()


@cocotb.test()
async def bus_errors(dut):
    """SLVERR and DECERR at any word: told with address, the frames go on, and the next ones are whole."""
    bench = await Bench.start(dut)
    await bench.enable("frame", "error")
    finished = 0
    for answer, name in ((AxiResp.SLVERR, "slave"), (AxiResp.DECERR, "decode")):
        for way in ("read", "write"):
            bench.stall(int(bench.random.choice([0, 40])))
            (source, sinks), after = bench.areas(1, 2)
            which = int(bench.random.integers(len(sinks)))
            at, stream = (source, bench.input) if way == "read" else (sinks[which], bench.outputs[which])
            # Several in one frame: the first is told.
            words = at + bench.random.integers(stream["pitch"] // bench.word, size=3) * bench.word
            bad = bench.bad_reads if way == "read" else bench.bad_writes
            bad |= dict.fromkeys(words.tolist(), answer)
            word = int(words.min())
            await bench.run(source, sinks, bench.frames(1))
            finished += 1
            causes = set()
            while await bench.read("frames_finished") != finished or "error" not in causes:
                causes |= await bench.until_interrupt()
            assert await bench.errors() == {f"{way}_{name}"}
            told = await bench.read(f"{way}_error_address") - bench.base
            if way == "read":
                assert told == word
            else:
                assert at <= told <= word < told + bench.word * bench.settings.max_burst
                for at in words.tolist():
                    bench.memory[at : at + bench.word] = bench.ram.read(bench.base + at, bench.word)
            await bench.write("error", 0xFFFF_FFFF)
            assert not await bench.errors()
            bench.bad_reads.clear()
            bench.bad_writes.clear()
            await bench.run(*after, bench.frames(1))
            finished += 1
            while await bench.read("frames_finished") != finished:
                await bench.until_interrupt()
            assert not await bench.errors()
            bench.check_memory()


@cocotb.test()
async def refused_commands(dut):
    """A wrong command does nothing but set its bit, and the line follows the enabled causes as a level."""
    bench = await Bench.start(dut)
    source, sinks = bench.areas(1, 1)[0]
    wrong = [("no_frames", source, sinks, 0), ("unaligned", source + 1, sinks, 1)]
    wrong += [
        ("unaligned", source, [*sinks[:index], sinks[index] + bench.word // 2, *sinks[index + 1 :]], 1)
        for index in range(len(sinks))
    ]
    for name, at, places, frames in wrong:
        await bench.command(at, places, frames)
        assert await bench.errors() == {name}
        await bench.write("error", 0)
        assert await bench.errors() == {name}, "writing 0 clears nothing"
        await bench.write("error", bench.bit("error", name))
        assert not await bench.errors()
    assert await bench.read("frames_commanded") == 0
    assert not dut.interrupt.value
    await bench.enable("error")
    await ClockCycles(dut.aclk, 3)
    assert dut.interrupt.value, "the cause was there before it was enabled"
    await bench.enable("frame")
    await ClockCycles(dut.aclk, 3)
    assert not dut.interrupt.value
    await bench.write("interrupt", 0xFFFF_FFFF)
    assert await bench.read("interrupt") == 0

    # A hung accelerator lets the queue run full.
    bench.fill(source, bench.standin.frame(bench.random, hangs=True))
    accepted = 0
    while "full" not in bench.bits("status", await bench.read("status")):
        await bench.command(source, sinks, 1)
        accepted += 1
        await ClockCycles(dut.aclk, 20)
    assert accepted >= bench.described["commands"]
    await bench.command(source, sinks, 1)
    assert await bench.errors() == {"overflow"}
    assert await bench.read("frames_commanded") == accepted
    await bench.reset()
    await bench.run(source, sinks, bench.frames(1))
    assert "frame" in await bench.until_interrupt()
    bench.check_memory()


@cocotb.test()
async def no_event_is_lost(dut):
    """A frame that is finished in the very cycle in which the cause of the one before is cleared."""
    bench = await Bench.start(dut)
    control = dut.shell.body.control
    seen = {}

    async def watch():
        for cycle in count():
            await RisingEdge(dut.aclk)
            if control.write.value and int(control.write_addr.value) == bench.offset("interrupt"):
                seen["cleared"] = cycle
            if control.finished.value:
                seen["finished"] = cycle

    cocotb.start_soon(watch())
    ((source, sinks),) = bench.areas(1, 1)
    bench.fill(source, bench.frames(1)[0])
    wait, met = 200, False
    for _ in range(4):
        await bench.command(source, sinks, 1)
        await ClockCycles(dut.aclk, wait)
        await bench.write("interrupt", bench.bit("interrupt", "frame"))
        await bench.until_clear("status", "busy")
        pending = "frame" in bench.bits("interrupt", await bench.read("interrupt"))
        late = seen["cleared"] - seen["finished"]
        assert pending == (late <= 0), f"cleared {late} cycles after the frame"
        met |= late == 0
        wait -= late
        await bench.write("interrupt", 0xFFFF_FFFF)
    assert met, "the two never met in one cycle"


@cocotb.test()
async def bandwidth(dut):
    """Memory that answers late slows neither reading nor writing: there are enough bursts under way."""
    bench = await Bench.start(dut)
    await bench.enable("idle")
    ((source, sinks),) = bench.areas(8, 1)
    await bench.run(source, sinks, bench.frames(8))
    while "idle" not in await bench.until_interrupt():
        pass
    bench.check_memory()
    words = bench.input["pitch"] // bench.word
    cycles = await bench.read("frame_cycles")
    dut._log.warning(f"{words} words a frame in {cycles} cycles")
    assert cycles <= 1.05 * words


@cocotb.test()
async def network(dut):
    """A compiled network gives, frame by frame, what the network gives, also after resets in the middle of one."""
    bench = await Bench.start(dut)
    await bench.enable("idle")
    with np.load(bench.settings.frames) as kept:
        inputs = [frame.tobytes() for frame in kept["inputs"]]
        results = [[kept[f"output{k}"][i] for k in range(len(bench.outputs))] for i in range(len(inputs))]
        masks = [kept[f"mask{k}"] for k in range(len(bench.outputs))]

    def frames_at(sinks: list[int], part: slice):
        for number, values in enumerate(results[part]):
            places = [sink + number * stream["pitch"] for sink, stream in zip(sinks, bench.outputs, strict=True)]
            yield zip(places, values, masks, strict=True)

    def padded(place: int, values: np.ndarray, mask: np.ndarray) -> bytes:
        """The bits that fill up a beat are whatever they are."""
        found = np.frombuffer(bench.ram.read(bench.base + place, len(values)), np.uint8)
        return (values & mask | found & ~mask).tobytes()

    async def all_frames() -> None:
        half = len(inputs) // 2
        areas = bench.areas(half, 2)
        before = await bench.read("frames_finished")
        for (source, sinks), part in zip(areas, (slice(0, half), slice(half, 2 * half)), strict=True):
            for number, frame in enumerate(inputs[part]):
                bench.fill(source + number * bench.input["pitch"], frame)
            await bench.command(source, sinks, half)
        while "idle" not in await bench.until_interrupt():
            pass
        for (_, sinks), part in zip(areas, (slice(0, half), slice(half, 2 * half)), strict=True):
            bench.expect(sinks, [[padded(*each) for each in of_frame] for of_frame in frames_at(sinks, part)])
        assert await bench.read("frames_finished") == before + 2 * half
        bench.check_memory()

    await all_frames()
    latency = await bench.read("frame_cycles")
    for trial in range(6):
        bench.stall(int(bench.random.choice([0, 30])))
        ((source, sinks),) = bench.areas(1, 1)
        for _ in range(2):
            await bench.command(source, sinks, 1)
        await ClockCycles(dut.aclk, int(bench.random.integers(1, 2 * latency)))
        await bench.reset()
        bench.memory[:] = bench.ram.read(bench.base, AREA)
        if trial % 2:
            await all_frames()
    await all_frames()
