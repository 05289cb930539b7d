"""A serial shell in Verilator, at the end of a line that the host's class can talk over."""

import struct
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path


def build_line(top: str, sources: Sequence[Path], folder: Path, defines: Sequence[str] = ()) -> Path:
    """Compile `serial_line.cpp` around a top; returns the program."""
    command = [sys.executable, "-m", "verilator", "--cc", "--exe", "--build", "-O3", "--no-timing", "--no-assert"]
    command += [
        "-Wno-fatal",
        "-Wno-lint",
        "-Wno-style",
        "--x-assign",
        "fast",
        "-CFLAGS",
        "-O1",
        "-j",
        "2",
        "--prefix",
        f"V{top}",
    ]
    command += ["--top-module", top, "--Mdir", str(folder), "-o", "line", *(f"-D{define}" for define in defines)]
    done = subprocess.run(
        [*command, *map(str, sources), str(Path(__file__).with_name("serial_line.cpp"))], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return folder / "line"


class Line:
    """The line: what `hwprune.board.serial_host.Link` asks for, with time-outs in cycles of the simulation.

    `spoil`, if set, gets every request that is written and may change it.
    """

    def __init__(self, process: subprocess.Popen):
        self._process = process
        self.spoil = lambda request: request

    def write(self, data: bytes) -> None:
        data = self.spoil(data)
        self._send(b"W" + struct.pack("<I", len(data)) + data)

    def read(self, size: int) -> bytes:
        self._send(b"R" + struct.pack("<I", size))
        (count,) = struct.unpack("<I", self._process.stdout.read(4))
        return self._process.stdout.read(count)

    def wait(self, cycles: int) -> None:
        """Let the hardware run."""
        self._send(b"C" + struct.pack("<I", cycles))

    def _send(self, data: bytes) -> None:
        self._process.stdin.write(data)
        self._process.stdin.flush()


@contextmanager
def line(program: Path, data_folder: Path, clocks_per_bit: int, patience: int = 20_000) -> Iterator[Line]:
    """Run the program that `build_line` made, in the folder that names of memory files refer to."""
    command = [str(program), str(clocks_per_bit), str(patience)]
    with subprocess.Popen(command, cwd=data_folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        try:
            yield Line(process)
        finally:
            process.kill()
