"""What `axi3_lite` has to do, as tests within the simulator; `test_axi3` runs them."""

import random

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, RisingEdge
from cocotbext.axi import AxiBurstType, AxiBus, AxiLiteBus, AxiLiteRam, AxiMaster
from cocotbext.axi.constants import AxiResp

SIZE = 4096


async def start(dut, stall_percent: int):
    """The bridge between a master and a memory, out of reset, every channel stalling."""
    cocotb.start_soon(Clock(dut.aclk, 10, "ns").start())
    draw = random.Random(cocotb.RANDOM_SEED)
    master = AxiMaster(AxiBus.from_prefix(dut, "s"), dut.aclk, dut.aresetn, reset_active_level=False, max_burst_len=16)
    memory = AxiLiteRam(AxiLiteBus.from_prefix(dut, "m"), dut.aclk, dut.aresetn, reset_active_level=False, size=SIZE)
    channels = [master.write_if.aw_channel, master.write_if.w_channel, master.write_if.b_channel]
    channels += [master.read_if.ar_channel, master.read_if.r_channel]
    channels += [memory.write_if.aw_channel, memory.write_if.w_channel, memory.write_if.b_channel]
    channels += [memory.read_if.ar_channel, memory.read_if.r_channel]
    if stall_percent:
        for channel in channels:
            channel.set_pause_generator(iter(lambda: draw.randrange(100) < stall_percent, None))
    dut.aresetn.value = 0
    await ClockCycles(dut.aclk, 4)
    dut.aresetn.value = 1
    await RisingEdge(dut.aclk)
    return master, memory, draw


async def agree(dut, stall_percent: int):
    """Random writes and reads, of single bytes to whole bursts, against a copy of the memory."""
    master, memory, draw = await start(dut, stall_percent)
    copy = bytearray(SIZE)
    for _ in range(150):
        at = draw.randrange(SIZE)
        data = draw.randbytes(min(draw.choice([1, 2, 4, 17, 64, 200]), SIZE - at))
        size = draw.choice([None, None, 0, 1, 2])
        answer = await master.write(at, data, size=size)
        assert answer.resp == AxiResp.OKAY
        copy[at : at + len(data)] = data
        at = draw.randrange(SIZE)
        count = min(draw.choice([1, 3, 4, 64, 130]), SIZE - at)
        assert (await master.read(at, count, size=draw.choice([None, 0, 1]))).data == copy[at : at + count]
    assert memory.read(0, SIZE) == bytes(copy)


@cocotb.test()
async def at_full_speed(dut):
    await agree(dut, 0)


@cocotb.test()
async def with_stalls(dut):
    await agree(dut, 40)


@cocotb.test()
async def reads_and_writes_at_once(dut):
    """Requests of many identifiers in flight: every answer goes to the one that asked."""
    master, memory, draw = await start(dut, 20)
    memory.write(0, bytes(range(256)) * 16)

    async def reader():
        for _ in range(40):
            at = draw.randrange(2048 - 50)
            assert (await master.read(at, 50)).data == (bytes(range(256)) * 16)[at : at + 50]

    async def writer(place: int):
        for _ in range(20):
            data = draw.randbytes(70)
            await master.write(place, data)
            assert (await master.read(place, 70)).data == data

    for task in [*(cocotb.start_soon(reader()) for _ in range(2)),
                 *(cocotb.start_soon(writer(2048 + 128 * i)) for i in range(4))]:  # fmt: skip
        await task


@cocotb.test()
async def fixed_bursts(dut):
    """All beats go to one address: the last one stays."""
    master, memory, draw = await start(dut, 20)
    data = draw.randbytes(32)
    await master.write(0x40, data, burst=AxiBurstType.FIXED)
    assert memory.read(0x40, 4) == data[-4:] and memory.read(0x44, 4) == bytes(4)
    assert (await master.read(0x40, 16, burst=AxiBurstType.FIXED)).data == data[-4:] * 4


@cocotb.test()
async def errors_come_back(dut):
    """The first answer to a write burst that is no OKAY, that to a word of a read burst; the next are clean."""
    master, memory, draw = await start(dut, 25)
    answers = {}  # by access since this was set

    def spoil(channel, field: str) -> None:
        send = channel.send

        async def answer(transaction) -> None:
            setattr(transaction, field, answers.pop(0, AxiResp.OKAY))
            for access in sorted(answers):
                answers[access - 1] = answers.pop(access)
            await send(transaction)

        channel.send = answer

    spoil(memory.write_if.b_channel, "bresp")
    spoil(memory.read_if.r_channel, "rresp")
    for first, second in ((AxiResp.SLVERR, AxiResp.DECERR), (AxiResp.DECERR, AxiResp.SLVERR)):
        data = draw.randbytes(64)
        answers.update({draw.randrange(7): first, draw.randrange(7, 16): second})
        assert (await master.write(0x200, data)).resp == first
        assert (await master.write(0x200, data)).resp == AxiResp.OKAY and not answers
        answers[draw.randrange(16)] = first
        assert (await master.read(0x200, 64)).resp == first
        found = await master.read(0x200, 64)
        assert (found.resp, found.data) == (AxiResp.OKAY, data) and not answers


@cocotb.test()
async def reset_in_a_burst(dut):
    """Whatever goes on, after a reset of both sides the next accesses are whole."""
    master, _, draw = await start(dut, 25)
    for _ in range(8):
        tasks = [cocotb.start_soon(master.write(0x400, bytes(200))), cocotb.start_soon(master.read(0x800, 200))]
        await ClockCycles(dut.aclk, draw.randrange(1, 120))
        dut.aresetn.value = 0
        await ClockCycles(dut.aclk, 3)
        dut.aresetn.value = 1
        for task in tasks:
            task.cancel()
        await ClockCycles(dut.aclk, 2)
        data = draw.randbytes(100)
        assert (await master.write(0xC00, data)).resp == AxiResp.OKAY
        assert (await master.read(0xC00, 100)).data == data


@cocotb.test()
async def wrapping_bursts(dut):
    """By hand, as the models have none: eight words around a boundary of 32 bytes."""
    cocotb.start_soon(Clock(dut.aclk, 10, "ns").start())
    memory = AxiLiteRam(AxiLiteBus.from_prefix(dut, "m"), dut.aclk, dut.aresetn, reset_active_level=False, size=SIZE)
    dut.s_arvalid.value = dut.s_awvalid.value = dut.s_wvalid.value = dut.s_bready.value = 0
    dut.aresetn.value = 0
    await ClockCycles(dut.aclk, 4)
    dut.aresetn.value = 1
    memory.write(0x100, bytes(range(64)))
    await ClockCycles(dut.aclk, 2)
    for signal, value in (("arid", 0xABC), ("araddr", 0x118), ("arlen", 7), ("arsize", 2), ("arburst", 2)):
        getattr(dut, f"s_{signal}").value = value
    dut.s_arvalid.value, dut.s_rready.value = 1, 1
    words = []
    while len(words) < 8:
        await RisingEdge(dut.aclk)
        if dut.s_arready.value and dut.s_arvalid.value:
            dut.s_arvalid.value = 0
        if dut.s_rvalid.value:
            assert dut.s_rid.value == 0xABC and dut.s_rlast.value == (len(words) == 7)
            words.append(int(dut.s_rdata.value))
    expected = [int.from_bytes(bytes(range(64))[at : at + 4], "little") for at in (24, 28, 0, 4, 8, 12, 16, 20)]
    assert words == expected
