"""The host's side of the serial line: `hls/rtl/serial_pkg.sv` has the protocol, `serial_port.sv` the operations."""

from __future__ import annotations

import binascii
import struct
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from hwprune.accel.design import Design, Stream
from hwprune.board.serial_shell import BAUD
from hwprune.board.vectors import FOLDER as VECTORS
from hwprune.errors import UserError
from hwprune.sim.streams import pack, unpack

REQUEST, REPLY = 0xA5, 0x5A
MAGIC, VERSION = 0x7768, 1
RESET, STATUS, LOAD, RUN, READ = range(1, 6)
STATUSES = ("ok", "wrong checksum", "no such operation", "wrong length", "out of range", "busy", "no frame is loaded")
MAX_LOAD = 252
"""Bytes of beats in one request."""
MAX_READ = 1024
"""Bytes of beats in one reply: few enough that a broken one is soon sent again."""
TRIES = 3
PATIENCE = 0.05
"""Seconds of silence after which both sides have forgotten a broken request."""


class Link(Protocol):
    """A serial line, as pyserial's `Serial` is one."""

    def write(self, data: bytes) -> object:
        """Send bytes."""

    def read(self, size: int) -> bytes:
        """Receive so many bytes, or fewer after a time-out."""


@dataclass(frozen=True)
class Status:
    """What the board says of itself.

    Attributes
    ----------
    busy
        A run is under way.
    surplus
        An output offered a beat beyond its frames: the accelerator is broken.
    framing, broken
        Bytes without a stop bit came, a request broke off: the line is bad. Both stay until a reset.
    design_id
        Of the accelerator, as `hwprune build` names it.
    loaded
        Beats of the frame that have been loaded.
    latency, cycles
        Of the last run, in cycles: from its first input beat to the last output beat of its first frame, and of all.
    input, outputs
        Bytes of a beat, and beats of a frame.
    """

    busy: bool
    surplus: bool
    framing: bool
    broken: bool
    design_id: int
    loaded: int
    latency: int
    cycles: int
    input: tuple[int, int]
    outputs: tuple[tuple[int, int], ...]


class LineError(UserError):
    """The board does not answer, or not as it should."""


class SerialBoard:
    """An accelerator behind a serial line.

    Parameters
    ----------
    link
        The line, with a time-out of its own (pyserial's `timeout`), 0.2 s or so.
    design
        The accelerator that the board should hold.
    design_id
        As in `SerialShell.design_id`; None to take what is there, if its streams are the design's.

    Raises
    ------
    LineError
        If nothing answers, or another accelerator.
    """

    def __init__(self, link: Link, design: Design, design_id: int | None = None):
        self._link, self.design = link, design
        there = self.status()
        wanted = [(stream.bits // 8, stream.beats) for stream in (design.inputs[0], *design.outputs)]
        if [there.input, *there.outputs] != wanted or design_id not in (None, there.design_id):
            raise LineError(
                f"the board holds another accelerator ({there.design_id:08x}, streams {[there.input, *there.outputs]}) "
                f"than {design.folder} (streams {wanted}); configure it with that one's bitstream"
            )

    def status(self) -> Status:
        """What the board says of itself."""
        answer = self._ask(STATUS)
        fixed = struct.Struct("<HBBIHIIIIH")
        if len(answer) < fixed.size:
            raise LineError(
                f"the board's status has {len(answer)} bytes, not {fixed.size} or more; is it another design?"
            )
        magic, version, flags, design_id, width, beats, loaded, latency, cycles, count = fixed.unpack_from(answer)
        if (magic, version) != (MAGIC, VERSION) or len(answer) != fixed.size + 6 * count:
            raise LineError(
                f"the board speaks another protocol (mark {magic:04x}, version {version}, {len(answer)} bytes; not "
                f"{MAGIC:04x}, {VERSION}); configure it with a bitstream of this version"
            )
        outputs = tuple(struct.iter_unpack("<HI", answer[fixed.size :]))
        bits = [bool(flags & 1 << bit) for bit in range(4)]
        return Status(*bits, design_id, loaded, latency, cycles, (width, beats), outputs)

    def reset(self) -> None:
        """Reset the accelerator, the counters and the flags; forgets the frame."""
        self._ask(RESET)

    def load(self, frame: np.ndarray) -> None:
        """Load a frame: integers of any shape, in the order of the input's normal shape."""
        stream = self.design.inputs[0]
        beats = pack(np.asarray(frame).reshape(1, *stream.normal_shape), stream.datatype, stream.folded_shape)
        self.load_bytes(beats.tobytes())

    def load_bytes(self, frame: bytes) -> None:
        """Load a frame as it streams in: its beats, one after the other."""
        width = self.design.inputs[0].bits // 8
        step = MAX_LOAD // width
        for at in range(0, len(frame) // width, step):
            self._ask(LOAD, struct.pack("<I", at) + frame[at * width : (at + step) * width])

    def run(self, frames: int = 1, timeout: float = 10.0) -> Status:
        """Send the loaded frame through the accelerator, `frames` times without a gap, and wait until it is done.

        Raises
        ------
        LineError
            If it is not done within `timeout` seconds, or beats are left over.
        """
        self._ask(RUN, struct.pack("<H", frames), tries=1)
        end = time.monotonic() + timeout
        while (status := self.status()).busy:
            if time.monotonic() > end:
                raise LineError(
                    f"the accelerator has not finished within {timeout:g} s; reset it, or simulate the design"
                )
        if status.surplus:
            raise LineError("the accelerator gave more beats than its frames have; reset it, and simulate the design")
        return status

    def read(self, output: int = 0) -> np.ndarray:
        """The integers of the last frame of an output, int64, in its normal shape."""
        stream: Stream = self.design.outputs[output]
        beats = np.frombuffer(self.read_bytes(output), np.uint8).reshape(-1, stream.bits // 8)
        return unpack(beats, stream.datatype, stream.folded_shape)[0].reshape(stream.normal_shape)

    def read_bytes(self, output: int = 0) -> bytes:
        """The last frame of an output as it streams out: its beats, one after the other."""
        stream = self.design.outputs[output]
        width = stream.bits // 8
        step, found = max(1, MAX_READ // width), b""
        for at in range(0, stream.beats, step):
            size = min(step, stream.beats - at) * width
            answer = self._ask(READ, struct.pack("<BIH", output, at, size))
            if len(answer) != size:
                raise LineError(f"output {output}: {len(answer)} bytes came, {size} were asked for; reset the board")
            found += answer
        return found

    def _ask(self, operation: int, payload: bytes = b"", tries: int = TRIES) -> bytes:
        """Send a request and receive its reply, again if the line lost some of either: all but RUN may be repeated."""
        body = struct.pack("<BH", operation, len(payload)) + payload
        request = bytes([REQUEST]) + body + struct.pack("<H", binascii.crc_hqx(body, 0xFFFF))
        trouble = ""
        for attempt in range(tries):
            if attempt:
                self._drain()
            self._link.write(request)
            try:
                status, answer = self._reply(operation)
            except _LostError as lost:
                trouble = str(lost)
                continue
            if status == 0:
                return answer
            trouble = STATUSES[status] if status < len(STATUSES) else f"status {status}"
            if status != 1:
                break
        raise LineError(
            f"the board: {trouble} (operation {operation}, {len(payload)} bytes); reset it or check the line"
        )

    def _reply(self, operation: int) -> tuple[int, bytes]:
        while (mark := self._exactly(1)[0]) != REPLY:
            pass  # the rest of a reply that was given up
        head = self._exactly(3)
        (length,) = struct.unpack("<H", head[1:])
        rest = self._exactly(length + 3)
        (checksum,) = struct.unpack("<H", rest[-2:])
        if binascii.crc_hqx(head + rest[:-2], 0xFFFF) != checksum:
            raise _LostError(f"a reply with a wrong checksum (from {mark:02x} on)")
        if head[0] != operation:
            raise _LostError(f"a reply to operation {head[0]}")
        return rest[length], rest[:length]

    def _exactly(self, size: int) -> bytes:
        received = b""
        while len(received) < size:
            more = self._link.read(size - len(received))
            if not more:
                raise _LostError(f"no answer ({len(received)} of {size} bytes)")
            received += more
        return received

    def _drain(self) -> None:
        """Wait until both sides have forgotten what was broken off."""
        time.sleep(PATIENCE)
        while self._link.read(256):
            pass


def check_vectors(board: SerialBoard, folder: Path | str) -> int:
    """Compute the test vectors of an unpacked deployment zip, and compare every bit that counts.

    Returns
    -------
    int
        How many frames were compared.

    Raises
    ------
    UserError
        If there are none, or of another accelerator, or an output differs; names the first.
    LineError
        If the board does not answer, or does not finish.
    """
    folder = Path(folder) / VECTORS
    source, sinks = board.design.inputs[0], board.design.outputs
    masks = [_frame(folder / f"{sink.name}.mask", sink) for sink in sinks]
    numbers = sorted(int(path.name) for path in folder.iterdir() if path.is_dir())
    if not numbers:
        raise UserError(f"{folder}: holds no test vectors; unpack the deployment zip again")
    for number in numbers:
        board.load_bytes(_frame(folder / f"{number}/{source.name}.bin", source).tobytes())
        board.run()
        for output, (sink, mask) in enumerate(zip(sinks, masks, strict=True)):
            wanted = _frame(folder / f"{number}/{sink.name}.bin", sink)
            found = np.frombuffer(board.read_bytes(output), np.uint8)
            if len(differ := np.flatnonzero((found ^ wanted) & mask)):
                raise UserError(
                    f"vector {number}: {len(differ)} of {len(wanted)} bytes of {sink.name} differ, the first at "
                    f"{differ[0]}: the board does not compute what the network computes; is the clock too high?"
                )
    return len(numbers)


def _frame(path: Path, stream: Stream) -> np.ndarray:
    """A file's bytes, which must be a frame's."""
    try:
        data = np.frombuffer(path.read_bytes(), np.uint8)
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); unpack the deployment zip again") from error
    if len(data) != stream.beats * stream.bits // 8:
        raise UserError(
            f"{path}: has {len(data)} bytes, and a frame of {stream.name} {stream.beats * stream.bits // 8}; take the "
            "zip and the compile folder of the same run"
        )
    return data


def open_line(port: str, baud: int = BAUD) -> Link:
    """The serial line of a board, by the port's name (``/dev/ttyUSB0``).

    Raises
    ------
    UserError
        If pyserial is not installed, or the port cannot be opened.
    """
    try:
        import serial
    except ImportError as error:
        raise UserError("pyserial is not installed; get it with: pip install pyserial") from error
    try:
        return serial.Serial(port, baud, timeout=0.2)
    except (OSError, ValueError) as error:
        raise UserError(f"{port}: cannot be opened ({error}); name the board's serial port") from error


class _LostError(Exception):
    """Part of a reply is missing or wrong."""
