"""The serial shell and the host's class, through the pins: every frame must come back as the network computes it."""

import binascii
import struct

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hwprune.accel.design import load_design
from hwprune.board import serial_host, vectors
from hwprune.board.inferred_rtl import ECP5, SHIFT_IN_RAM, adapt_sources
from hwprune.board.serial_host import LineError, SerialBoard
from hwprune.board.serial_shell import write_serial_shell
from hwprune.board.shell import design_checksum
from hwprune.errors import UserError
from hwprune.sim.cycle.model import CycleModel
from hwprune.sim.golden import golden_streams
from tests.board.serial_line import build_line, line
from tests.board.serial_nets import SIZE, compiled

CLOCK_MHZ, BAUD = 25, 3_125_000  # eight cycles a bit: what the line does is the same at any rate


@pytest.fixture(scope="module")
def net(tmp_path_factory):
    """Network, accelerator and shell, with the sources as they are synthesised for ECP5, and the simulated board."""
    folder = tmp_path_factory.mktemp("serial")
    network, accelerator = compiled(folder)
    shell = write_serial_shell(accelerator.design, CLOCK_MHZ, folder / "shell", baud=BAUD)
    extra = [shell.folder / file for file in adapt_sources(shell.folder, ECP5)]
    program = build_line(shell.top, [*extra, *shell.sources], folder / "line", [SHIFT_IN_RAM])
    return network, accelerator, shell, program


@pytest.fixture
def wire(net):
    """The line to a board that was just switched on."""
    _, _, shell, program = net
    with line(program, shell.folder, shell.clocks_per_bit) as opened:
        yield opened


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch):
    monkeypatch.setattr(serial_host, "PATIENCE", 0)  # reading nothing lets the simulated time pass


def frame(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (*SIZE, 1))


def expected(net, image: np.ndarray) -> list[np.ndarray]:
    """What the network computes of a frame (rows, columns, channels)."""
    network, accelerator, _, _ = net
    names = [accelerator.origin[stream.tensor] for stream in accelerator.design.outputs]
    found = golden_streams(network, image.transpose(2, 0, 1).astype(np.uint8), names)
    return [found[name].reshape(s.normal_shape) for name, s in zip(names, accelerator.design.outputs, strict=True)]


def agree(net, board: SerialBoard, image: np.ndarray) -> None:
    for output, values in enumerate(expected(net, image)):
        np.testing.assert_array_equal(board.read(output), values)


def test_whole_frames_come_back_as_the_network_computes_them(net, wire):
    board = SerialBoard(wire, net[1].design, net[2].design_id)
    for seed in range(3):
        board.load(frame(seed))
        status = board.run()
        assert not (status.surplus or status.framing or status.broken)
        agree(net, board, frame(seed))


@pytest.fixture
def unpacked(net, tmp_path):
    """Test vectors as the deployment zip has them."""
    network, accelerator, _, _ = net
    images = np.stack([frame(seed).transpose(2, 0, 1).astype(np.uint8) for seed in (7, 8)])
    (tmp_path / "vectors").mkdir()
    for name, mask in vectors.masks(accelerator.design).items():
        (tmp_path / "vectors" / f"{name}.mask").write_bytes(mask)
    for number, made in enumerate(vectors.frames(network, accelerator.design, accelerator.origin, images)):
        (tmp_path / "vectors" / str(number)).mkdir()
        for name, data in made.items():
            (tmp_path / "vectors" / str(number) / f"{name}.bin").write_bytes(data)
    return tmp_path


def test_packaged_vectors(net, wire, unpacked):
    board = SerialBoard(wire, net[1].design)
    assert serial_host.check_vectors(board, unpacked) == 2
    sink = net[1].design.outputs[1].name
    path = unpacked / "vectors" / "1" / f"{sink}.bin"
    good = path.read_bytes()
    path.write_bytes(good[:3] + bytes([good[3] ^ 1]) + good[4:])
    with pytest.raises(UserError, match=rf"vector 1: 1 of {len(good)} bytes of {sink} differ, the first at 3"):
        serial_host.check_vectors(board, unpacked)
    path.write_bytes(good[:-1])
    with pytest.raises(UserError, match=rf"{sink}.bin: has {len(good) - 1} bytes, and a frame of {sink} {len(good)};"):
        serial_host.check_vectors(board, unpacked)
    path.unlink()
    with pytest.raises(UserError, match=rf"{sink}.bin: cannot be read .*; unpack the deployment zip again"):
        serial_host.check_vectors(board, unpacked)


def test_cycles_are_those_of_the_cycle_model(net, wire):
    """So the board itself can be compared with what was predicted for it."""
    design = net[1].design
    board = SerialBoard(wire, design)
    board.load(frame(0))
    status = board.run(3)
    run = CycleModel(design).run(3, progress=False)
    first_in = int(run.cycles[design.inputs[0].name][0])
    first = max(int(run.cycles[s.name][s.beats - 1]) for s in design.outputs) - first_in
    last = max(int(run.cycles[s.name][-1]) for s in design.outputs) - first_in
    assert status.cycles - status.latency == last - first
    # The model's first beat arrives with the end of the reset; here the padding has gone ahead of it long before.
    assert 0 <= first - status.latency <= SIZE[1] + 3
    agree(net, board, frame(0))


def test_a_reset_in_the_middle_of_a_frame(net, wire):
    board = SerialBoard(wire, net[1].design)
    board.load(frame(0))
    board._ask(serial_host.RUN, struct.pack("<H", 60_000))
    assert board.status().busy
    with pytest.raises(LineError, match="busy"):
        board.load(frame(1))
    board.reset()
    status = board.status()
    assert not status.busy and status.loaded == 0
    with pytest.raises(LineError, match="no frame is loaded"):
        board.run()
    board.load(frame(1))
    assert not board.run().surplus
    agree(net, board, frame(1))


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_bad_line_never_gives_a_wrong_frame(net, wire, data):
    """Requests lose bytes or bits; each of those that load or read is repeated until it arrived."""
    harm = data.draw(st.lists(st.tuples(st.integers(0, 12), st.integers(0, 300), st.integers(0, 8)), max_size=4))
    board = SerialBoard(wire, net[1].design)
    board.reset()
    count = 0

    def spoil(request: bytes) -> bytes:
        nonlocal count
        count += 1
        for number, at, bit in harm:
            if number == count and at < len(request):
                at_bit = request[at] ^ 1 << bit if bit < 8 else None
                request = request[:at] + (b"" if at_bit is None else bytes([at_bit])) + request[at + 1 :]
        return request

    image = frame(data.draw(st.integers(0, 1000)))
    wire.spoil = spoil
    board.load(image)
    wire.spoil = lambda request: request
    board.run()
    count = 0
    wire.spoil = spoil
    agree(net, board, image)
    wire.spoil = lambda request: request


def packet(operation: int, payload: bytes = b"", checksum: int = 0) -> bytes:
    body = struct.pack("<BH", operation, len(payload)) + payload
    return bytes([0xA5]) + body + struct.pack("<H", binascii.crc_hqx(body, 0xFFFF) ^ checksum)


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (packet(2, checksum=1), 1),
        (packet(9), 2),
        (packet(0), 2),
        (packet(2, b"x"), 3),
        (packet(3, b"\0\0\0"), 3),
        (packet(3, bytes(257)), 3),
        (packet(4, b"\1"), 3),
        (packet(3, struct.pack("<I", 1) + b"x"), 4),  # beyond what is loaded
        (packet(3, bytes(4) + bytes(SIZE[0] * SIZE[1] + 1)), 4),
        (packet(5, struct.pack("<BIH", 2, 0, 1)), 4),
        (packet(5, struct.pack("<BIH", 0, 10_000, 1)), 4),
        (packet(4, b"\1\0"), 6),
    ],
)
def test_requests_that_are_refused(wire, request_, status):
    """The independent account of the protocol: bytes written by hand, and the status that must come back."""
    wire.write(request_)
    reply = wire.read(64)
    length = int.from_bytes(reply[2:4], "little")
    assert reply[0] == 0x5A and reply[1] == request_[1] and len(reply) == length + 7
    assert reply[4 + length] == status
    assert int.from_bytes(reply[-2:], "little") == binascii.crc_hqx(reply[1:-2], 0xFFFF)


def test_half_a_request_is_forgotten(net, wire):
    wire.write(packet(3, bytes(100))[:50])
    assert wire.read(1) == b""
    board = SerialBoard(wire, net[1].design)
    assert board.status().broken
    board.load(frame(0))
    board.run()
    agree(net, board, frame(0))


def test_the_board_must_hold_the_accelerator(net, wire, tmp_path):
    design = net[1].design
    assert net[2].design_id == design_checksum(design)
    with pytest.raises(LineError, match="another accelerator"):
        SerialBoard(wire, design, design_id=1)
    wider = design.model_copy(update={"streams": tuple(s.model_copy(update={"bits": 24}) for s in design.streams)})
    with pytest.raises(LineError, match="another accelerator"):
        SerialBoard(wire, wider)


def test_nothing_answers(net):
    class Dead:
        def write(self, data): ...

        def read(self, size):
            return b""

    with pytest.raises(LineError, match="no answer"):
        SerialBoard(Dead(), net[1].design)


@pytest.mark.parametrize("clock_mhz", [1.3, 3])
def test_a_clock_that_does_not_make_the_baud_rate(net, tmp_path, clock_mhz):
    with pytest.raises(UserError, match=r"bits a second are .* set a clock in whole MHz"):
        write_serial_shell(net[1].design, clock_mhz, tmp_path)
    assert not list(tmp_path.iterdir())


def test_the_design_is_left_alone(net):
    """The shell adapts its own copy."""
    assert design_checksum(load_design(net[1].design.folder)) == net[2].design_id
