"""Runs frames on the board, where it is copied alone: it needs numpy, pynq and Python 3.8, and nothing of hwprune.

In the unpacked package, as root: ``python3 driver.py`` loads the bitstream and compares the packaged test vectors.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import time
from pathlib import Path

import numpy as np

REGISTERS, CHECKSUMS, VECTORS = "registers.json", "SHA256SUMS", "vectors"


class DriverError(Exception):
    """What is wrong, and with which values."""


class Accelerator:
    """An accelerator in its shell.

    Parameters
    ----------
    described
        Content of ``registers.json``.
    mmio
        The registers, as `pynq.MMIO`: ``read(offset)``, ``write(offset, value)``, 32 bits each.
    allocate
        Gives memory that the accelerator can reach, as `pynq.allocate`: an array with ``device_address``, ``flush()``,
        ``invalidate()``, ``freebuffer()``.

    Raises
    ------
    DriverError
        If something else is at that address: no bitstream, another one, another version of the registers.
    """

    def __init__(self, described, mmio, allocate):
        self._mmio, self._allocate = mmio, allocate
        self._at = {register["name"]: register for register in described["registers"]}
        self.input, self.outputs = described["input"], described["outputs"]
        found, wanted = self.read("identifier"), described["identifier"]
        if found != wanted:
            raise DriverError(
                f"at {described['base']:#x} there is {found:#010x}, no shell ({wanted:#x}): load the bitstream"
            )
        found, wanted = self.read("version"), described["version"]
        if found >> 16 != wanted >> 16 or found < wanted:
            raise DriverError(f"the shell's registers have version {found:#x}, not {wanted:#x}")
        found, wanted = self.read("design"), described["design"]
        if found != wanted:
            raise DriverError(f"the bitstream holds accelerator {found:08x}, not {wanted:08x} as this package")
        self.reset()

    @classmethod
    def load(cls, folder):
        """Configure the part with the bitstream of an unpacked package, and take over what is in it."""
        import pynq

        bitstreams = sorted(Path(folder).glob("*.bit"))
        if len(bitstreams) != 1 or not bitstreams[0].with_suffix(".hwh").is_file():
            raise DriverError(f"{folder}: there has to be one .bit, and a .hwh of its name beside it")
        described = json.loads((Path(folder) / REGISTERS).read_text())
        pynq.Overlay(str(bitstreams[0]))
        # Vivado may map fewer bytes than the board keeps free for them.
        return cls(described, pynq.MMIO(described["base"], 4096), pynq.allocate)

    # Registers.
    def read(self, name):
        """A register's value; of one with 64 bits the lower word first, which holds the upper one."""
        register = self._at[name]
        value = self._mmio.read(register["offset"])
        if register["bits"] == 64:
            value |= self._mmio.read(register["offset"] + 4) << 32
        return value

    def write(self, name, value, index=0):
        """Set a register, or one of several."""
        register = self._at[name]
        offset = register["offset"] + index * register["stride"]
        self._mmio.write(offset, value & 0xFFFFFFFF)
        if register["bits"] == 64:
            self._mmio.write(offset + 4, value >> 32)

    def fields(self, name):
        """Names of the fields of one bit that are set."""
        value = self.read(name)
        return {bits["name"] for bits in self._at[name]["fields"] if value >> bits["low"] & 1}

    def _command(self, field):
        self.write("control", 1 << next(b["low"] for b in self._at["control"]["fields"] if b["name"] == field))

    def reset(self, timeout_s=5.0):
        """Give up whatever goes on; transfers under way on the bus are finished first."""
        self._command("reset")
        self._wait("control", "reset", timeout_s)

    def status(self):
        """What the shell says of itself, as text."""
        names = ("frames_commanded", "frames_finished", "busy_cycles", "read_error_address", "write_error_address")
        said = [f"{name} {' '.join(sorted(self.fields(name))) or '-'}" for name in ("status", "error")]
        return ", ".join(said + [f"{name} {self.read(name):#x}" for name in names])

    def _wait(self, name, field, timeout_s):
        until = time.monotonic() + timeout_s
        while True:
            late = time.monotonic() > until  # before the register is read: a program that slept is not late
            if field not in self.fields(name):
                return
            if late:
                raise DriverError(f"{name}.{field} is still set after {timeout_s:g} s: {self.status()}")

    # Frames.
    def run(self, frames, timeout_s=10.0):
        """Compute frames, one after the other.

        Parameters
        ----------
        frames
            uint8, (frames, bytes of a frame), as they lie in memory: ``registers.json`` has the layout.
        timeout_s
            For all of them.

        Returns
        -------
        list of ndarray
            For each output, uint8, (frames, bytes of a frame); the bits that fill up a beat are undefined.

        Raises
        ------
        DriverError
            Frames of another shape; an error of the bus, or no end in time, with what the shell says. The accelerator
            is reset then, and takes the next frames.
        """
        frames = np.asarray(frames)
        most = (1 << self._at["frames"]["fields"][0]["width"]) - 1
        if frames.dtype != np.uint8 or frames.ndim != 2 or frames.shape[1] != self.input["bytes"]:
            wanted = f"uint8 of shape (frames, {self.input['bytes']})"
            raise DriverError(f"frames are {frames.dtype} of shape {frames.shape}, not {wanted}")
        if not 1 <= len(frames) <= most:
            raise DriverError(f"{len(frames)} frames, not 1 to {most}")
        streams = [self.input, *self.outputs]
        buffers = []
        try:
            for stream in streams:
                buffers.append(self._allocate((len(frames), stream["pitch"]), np.uint8))
            buffers[0][:, : self.input["bytes"]] = frames
            for buffer in buffers:
                buffer.flush()  # also of outputs: what the cache holds of them must not be written back later
            self._compute(buffers, len(frames), timeout_s)
            for buffer in buffers[1:]:
                buffer.invalidate()
            return [np.array(buffers[k][:, : streams[k]["bytes"]]) for k in range(1, len(streams))]
        finally:
            for buffer in buffers:
                buffer.freebuffer()

    def _compute(self, buffers, count, timeout_s):
        self.write("error", 0xFFFFFFFF)
        before = self.read("frames_finished")
        self.write("input_address", buffers[0].device_address)
        for index, buffer in enumerate(buffers[1:]):
            self.write("output_address", buffer.device_address, index)
        self.write("frames", count)
        try:
            self._command("start")
            self._wait("status", "busy", timeout_s)
            if self.fields("error") or (self.read("frames_finished") - before) & 0xFFFFFFFF != count:
                raise DriverError(f"the frames did not come through: {self.status()}")
        except BaseException:  # Ctrl-C too: the buffers must not be freed while they are written
            self.reset()
            raise


def check_files(folder):
    """See that an unpacked package is whole; DriverError names what is not."""
    for line in (Path(folder) / CHECKSUMS).read_text().splitlines():
        total, _, name = line.partition("  ")
        path = Path(folder) / name
        if not path.is_file() or hashlib.sha256(path.read_bytes()).hexdigest() != total:
            raise DriverError(f"{path}: is missing or damaged; copy the package again")


def selftest(accelerator, folder, timeout_s=10.0):
    """Compute the packaged test vectors in one go, and compare every bit that counts.

    Returns
    -------
    int
        How many frames were compared.

    Raises
    ------
    DriverError
        With the first output that differs.
    """
    vectors = Path(folder) / VECTORS
    numbers = sorted(int(path.name) for path in vectors.iterdir() if path.is_dir())

    def content(name):
        return np.frombuffer((vectors / name).read_bytes(), np.uint8)

    frames = [content(f"{number}/{accelerator.input['name']}.bin") for number in numbers]
    found = accelerator.run(np.stack(frames), timeout_s)
    for k, stream in enumerate(accelerator.outputs):
        name = stream["name"]
        mask = content(f"{name}.mask")
        for number, values in zip(numbers, found[k]):  # noqa: B905  (Python 3.8)
            differ = np.flatnonzero((values ^ content(f"{number}/{name}.bin")) & mask)
            if len(differ):
                raise DriverError(
                    f"vector {number}: {len(differ)} of {len(values)} bytes of {name} differ, the first at {differ[0]}"
                )
    return len(numbers)


def main(arguments=None):
    """Check the package, load it, compare its vectors."""
    parser = argparse.ArgumentParser(description="Loads the bitstream, and compares the packaged test vectors.")
    parser.add_argument("folder", nargs="?", default=str(Path(__file__).resolve().parent), help="the unpacked package")
    folder = Path(parser.parse_args(arguments).folder)
    try:
        check_files(folder)
        accelerator = Accelerator.load(folder)
        frames = selftest(accelerator, folder)
    except (DriverError, OSError) as error:
        print(f"Error: {error}", file=sys.stderr)
        return 1
    cycles = accelerator.read("frame_cycles")
    print(f"{frames} frames are as they should be, bit for bit; {cycles} cycles from the last but one to the last")
    return 0


if __name__ == "__main__":
    sys.exit(main())
