"""A built simulator: beats in, beats and cycles out.

One run is one process of the program that `hwprune.sim.verilator` built around `harness.cpp`. Beats pass as binary
files, for a frame of a detector has hundreds of thousands of them on each of a hundred streams.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hwprune.data.progress import track_slow
from hwprune.errors import UserError
from hwprune.files import scratch_folder


@dataclass(frozen=True)
class Port:
    """One AXI-Stream of a design: a port of the top or a tapped inner stream; `bits` is the width of its data."""

    name: str
    bits: int

    @property
    def bytes(self) -> int:
        """Bytes of a beat in memory."""
        return -(-self.bits // 8)


@dataclass(frozen=True)
class Trace:
    """Beats of one stream in the order of their handshakes.

    Attributes
    ----------
    beats
        uint8 (beats, bytes), lowest byte first.
    cycles
        int64 (beats,): cycle of each handshake; cycle 0 is the first one out of reset.
    """

    beats: np.ndarray
    cycles: np.ndarray


@dataclass(frozen=True)
class StreamState:
    """A stream when the run ended: its handshake wires and how many beats had passed."""

    beats: int
    valid: bool
    ready: bool


@dataclass(frozen=True)
class SimResult:
    """What a run gave.

    Attributes
    ----------
    finished
        Every output gave the awaited number of beats. If not, nothing moved for `idle_limit` cycles (a deadlock), the
        design called `$finish`, or an output gave more than `idle_limit` beats too many; `states` and `monitors` say
        where it hangs.
    cycles
        Cycles simulated after reset.
    outputs
        Trace of each output port, surplus beats included.
    input_cycles
        Cycle at which each beat of each input port was accepted, int64 (beats,).
    streams
        Trace of each inner stream that was asked for.
    states
        State at the end of every port and tap.
    monitors
        Value at the end of every monitor.
    seconds
        Wall-clock time of the run.
    """

    finished: bool
    cycles: int
    outputs: dict[str, Trace]
    input_cycles: dict[str, np.ndarray]
    streams: dict[str, Trace]
    states: dict[str, StreamState]
    monitors: dict[str, int]
    seconds: float

    @property
    def first_input(self) -> int | None:
        """Cycle of the first accepted input beat, over all inputs."""
        firsts = [int(cycles[0]) for cycles in self.input_cycles.values() if len(cycles)]
        return min(firsts, default=None)


@dataclass(frozen=True)
class Simulator:
    """A built design.

    Attributes
    ----------
    executable
        The compiled program.
    inputs, outputs
        AXI-Stream ports of the top, by name; `in2` comes before `in10`.
    taps
        Inner streams that can be recorded.
    monitors
        Values that are read at the end of a run.
    data_folder
        Folder that relative file names in the design (`$readmemh`) refer to.
    """

    executable: Path
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    taps: tuple[Port, ...]
    monitors: tuple[Port, ...]
    data_folder: Path

    def run(
        self,
        inputs: Mapping[str, np.ndarray],
        outputs: Mapping[str, int],
        *,
        stall_percent: int = 0,
        seed: int = 0,
        idle_limit: int = 100_000,
        record: Sequence[str] = (),
        progress: bool = True,
    ) -> SimResult:
        """Feed every input and run until every output has given its beats.

        Parameters
        ----------
        inputs
            For each input port its beats, uint8 (beats, bytes), lowest byte first.
        outputs
            For each output port the number of beats awaited. Beats beyond it are kept as well.
        stall_percent
            Chance, in each cycle and for each port on its own, that an input has nothing new to offer or an output is
            not ready: 0 (full speed) to 99.
        seed
            Of the stalls.
        idle_limit
            Cycles without a handshake at any port or tap after which the run ends unfinished.
        record
            Taps whose beats shall be kept.
        progress
            Show a bar, by beats at the ports, if it takes long.

        Raises
        ------
        UserError
            Beats that do not fit a port, an unknown name, or a simulation that broke off ($error, a memory file that is
            not there, a full disk).
        """
        feeds = {port.name: _checked_beats(port, inputs) for port in self.inputs}
        _check_names("input", inputs, self.inputs)
        _check_names("output", outputs, self.outputs)
        _check_names("record", record, self.taps)
        missing = [port.name for port in self.outputs if port.name not in outputs]
        if missing:
            raise UserError(f"outputs: no number of awaited beats for {', '.join(missing)}")
        if not 0 <= stall_percent <= 99:
            raise UserError(f"stall_percent: {stall_percent} is not within 0 to 99")
        if idle_limit < 1 or not 0 <= seed < 2**64 or any(count < 0 for count in outputs.values()):
            raise UserError(f"idle_limit {idle_limit} must be positive, seed {seed} and awaited beats not negative")

        job = [f"stall_percent {stall_percent}", f"seed {seed}", f"idle_limit {idle_limit}"]
        job += [f"input {name}" for name in feeds]
        job += [f"output {name} {int(count)}" for name, count in outputs.items()]
        job += [f"tap {name}" for name in dict.fromkeys(record)]
        # Beside the program and not in the system's temporary folder: traces of large designs take gigabytes.
        with scratch_folder(self.executable.parent / "run") as folder:
            for name, beats in feeds.items():
                beats.tofile(folder / f"{name}.in")
            (folder / "job.txt").write_text("\n".join(job) + "\n")
            start = time.monotonic()
            self._execute(folder, progress)
            return self._read(folder, set(record), time.monotonic() - start)

    def _execute(self, folder: Path, progress: bool) -> None:
        messages = []
        command = [str(self.executable), str(folder)]
        with started(command, cwd=self.data_folder) as process:
            percents = sift(process.stdout, messages, lambda line: line == ".\n")
            for _ in track_slow(percents, "simulate", 100) if progress else percents:
                pass
        # Verilator warns of a missing or broken memory file and goes on with zeros. It also warns of a small stack,
        # which does no harm unless the program really breaks off.
        marks = ("%Warning", "%Error", "harness:")
        troubles = [line for line in messages if line.startswith(marks) and "stack size" not in line]
        if process.returncode or troubles or not (folder / "answer.txt").is_file():
            said = "".join(troubles or messages[-20:]).strip() or "no message"
            raise UserError(f"{self.executable}: the simulation broke off (exit status {process.returncode}): {said}")

    def _read(self, folder: Path, recorded: set[str], seconds: float) -> SimResult:
        numbers, states, monitors = {}, {}, {}
        for line in (folder / "answer.txt").read_text().splitlines():
            key, *words = line.split()
            if key == "stream":
                beats, valid, ready = map(int, words[1:])
                states[words[0]] = StreamState(beats, bool(valid), bool(ready))
            elif key == "monitor":
                monitors[words[0]] = int(words[1])
            else:
                numbers[key] = int(words[0])
        traces = {
            port.name: _read_trace(folder / f"{port.name}.out", port.bytes)
            for port in (*self.outputs, *self.taps)
            if port in self.outputs or port.name in recorded
        }
        return SimResult(
            finished=bool(numbers["finished"]),
            cycles=numbers["cycles"],
            outputs={port.name: traces[port.name] for port in self.outputs},
            input_cycles={port.name: _read_trace(folder / f"{port.name}.out", 0).cycles for port in self.inputs},
            streams={port.name: traces[port.name] for port in self.taps if port.name in recorded},
            states=states,
            monitors=monitors,
            seconds=seconds,
        )


@contextmanager
def started(command: Sequence[str], **options: object) -> Iterator[subprocess.Popen]:
    """A process with its output, errors included, on one pipe of lines; ended with the block, whatever happens."""
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", **options
    )
    try:
        yield process
        process.wait()
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
        process.stdout.close()


def sift(lines: Iterator[str], rest: list[str], wanted: Callable[[str], bool]) -> Iterator[str]:
    """Pass the wanted lines on and put all others into `rest`."""
    for line in lines:
        if wanted(line):
            yield line
        else:
            rest.append(line)


def _checked_beats(port: Port, inputs: Mapping[str, np.ndarray]) -> np.ndarray:
    if port.name not in inputs:
        raise UserError(f"inputs: no beats for {port.name}")
    beats = np.asarray(inputs[port.name])
    if beats.dtype != np.uint8 or beats.ndim != 2 or beats.shape[1] != port.bytes:
        raise UserError(
            f"inputs: beats for {port.name} are {beats.dtype} {beats.shape}, must be uint8 (beats, {port.bytes})"
        )
    spare = 8 * port.bytes - port.bits
    if spare and (beats[:, -1] >> (8 - spare)).any():
        raise UserError(f"inputs: beats for {port.name} have bits set beyond its {port.bits}")
    return np.ascontiguousarray(beats)


def _check_names(field: str, names: Iterable[str], ports: Sequence[Port]) -> None:
    known = [port.name for port in ports]
    for name in names:
        if name not in known:
            raise UserError(f"{field}: the design has no {name}; it has {', '.join(known) or 'none'}")


def _read_trace(path: Path, width: int) -> Trace:
    records = np.fromfile(path, dtype=[("cycle", "<i8"), ("beat", "u1", (width,))])
    return Trace(beats=np.ascontiguousarray(records["beat"]), cycles=np.ascontiguousarray(records["cycle"]))
