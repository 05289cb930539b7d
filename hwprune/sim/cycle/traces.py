"""Every beat of chosen streams in files: NPZ for NumPy, Parquet for tables, VCD for waveform viewers.

Cycles come from the cycle model and values, where wanted, from the integer network: at full speed and under any stalls
the same ones pass.
"""

import difflib
import fnmatch
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from hwprune.accel.design import DESCRIPTION, Design, Stream
from hwprune.errors import UserError
from hwprune.quant.integer import IntegerNetwork
from hwprune.sim.cycle.model import CycleModel, Stalls
from hwprune.sim.cycle.observe import finished
from hwprune.sim.cycle.trace_files import WORD, Trace, save_npz, save_parquet
from hwprune.sim.cycle.vcd import save_vcd, vcd_size
from hwprune.sim.equivalence import expected_streams
from hwprune.sim.streams import pack

FORMATS = ("npz", "parquet", "vcd")
AT_FULL_SPEED = Stalls()
MIB = 1 << 20
LIMIT = 2048 * MIB
"""Bytes of memory, and of the files together, that a request may take by estimate."""


@dataclass(frozen=True)
class Values:
    """What the streams carry, by the level `network`.

    Attributes
    ----------
    network
        Integer form.
    origin
        For every stream's tensor the layer's tensor that it carries.
    images
        uint8 (frames, C, H, W).
    """

    network: IntegerNetwork
    origin: Mapping[str, str]
    images: np.ndarray = field(repr=False)

    def of(self, streams: Sequence[Stream]) -> dict[str, np.ndarray]:
        """Beats of each stream, uint8 (frames, beats, bytes)."""
        tensors = {self.origin[stream.tensor] for stream in streams if stream.role != "input"}
        carried = expected_streams(self.network, self.images, tensors) if tensors else {}
        found = {}
        for stream in streams:
            if stream.role == "input":
                elements = self.images.transpose(0, 2, 3, 1)
            else:
                elements = carried[self.origin[stream.tensor]]
            beats = pack(elements, stream.datatype, stream.folded_shape)
            found[stream.name] = beats.reshape(len(self.images), stream.beats, -1)
        return found


def choose_streams(design: Design, wanted: Sequence[str]) -> list[Stream]:
    """Streams by name or by pattern (``conv1_*``), in the order of the graph.

    Raises
    ------
    UserError
        A name or pattern that no stream has.
    """
    names = [stream.name for stream in design.streams]
    found: set[str] = set()
    for pattern in wanted:
        matches = fnmatch.filter(names, pattern)
        if not matches:
            close = difflib.get_close_matches(pattern, names, n=3)
            guess = f"did you mean {' or '.join(close)}? " if close else ""
            raise UserError(
                f"traces: the design has no stream {pattern!r}; {guess}its {len(names)} streams (in0_V, out0_V and "
                f"those between) stand in {design.folder / DESCRIPTION}"
            )
        found |= set(matches)
    return [stream for stream in design.streams if stream.name in found]


def check_size(
    streams: Sequence[Stream],
    frames: int,
    formats: Sequence[str],
    *,
    values: bool,
    limit: int = LIMIT,
) -> tuple[int, int]:
    """Estimate what a request takes, before anything starts.

    Returns
    -------
    memory, disk
        Bytes, from above: files are smaller where they are compressed.

    Raises
    ------
    UserError
        If one of them is over the limit; an unknown format; no frames.
    """
    if unknown := [name for name in formats if name not in FORMATS]:
        raise UserError(f"traces: no format {', '.join(map(repr, unknown))}; there are {', '.join(FORMATS)}")
    if frames < 1:
        raise UserError(f"traces: {frames} frames are below 1")
    memory = {stream.name: _memory(stream, frames, values) for stream in streams}
    disk = {stream.name: _disk(stream, frames, formats, values) for stream in streams}
    if "vcd" in formats:
        for stream in streams:
            memory[stream.name] += frames * stream.beats * 64  # its events, in order
    for what, of in (("of memory", memory), ("on disk", disk)):
        if sum(of.values()) > limit:
            largest = sorted(of, key=lambda name: -of[name])[:3]
            raise UserError(
                f"traces: {frames} frames of {len(streams)} streams take up to {math.ceil(sum(of.values()) / MIB)} MiB "
                f"{what} as {', '.join(formats)}, and {limit // MIB} MiB are allowed; give fewer frames or streams "
                f"(the largest: {', '.join(largest)}){', or leave out values' if values else ''}, or raise the limit "
                "(simulate.traces.max_mib)"
            )
    return sum(memory.values()), sum(disk.values())


def record_traces(
    model: CycleModel,
    streams: Sequence[Stream],
    frames: int,
    *,
    stalls: Stalls = AT_FULL_SPEED,
    values: Values | None = None,
) -> list[Trace]:
    """Run the cycle model and keep the beats of some streams.

    Raises
    ------
    UserError
        If the accelerator hangs, or there are fewer images than frames.
    """
    if values is not None and len(values.images) < frames:
        raise UserError(
            f"traces: values of {frames} frames need as many images, not {len(values.images)}; give fewer frames, or "
            "leave out values"
        )
    # A frame more: what the last one leaves behind in padding and windows passes with the next.
    run = finished(model, frames + 1, stalls=stalls, record=[stream.name for stream in streams], progress=True)
    carried = {}
    if values is not None:
        carried = Values(values.network, values.origin, values.images[:frames]).of(streams)
    traces = []
    for stream in streams:
        cycles = run.cycles[stream.name][: frames * stream.beats]
        traces.append(Trace(stream, cycles.reshape(frames, stream.beats), carried.get(stream.name)))
    return traces


def write_traces(
    folder: Path | str,
    model: CycleModel,
    streams: Sequence[str],
    frames: int,
    formats: Sequence[str] = ("npz",),
    *,
    stalls: Stalls = AT_FULL_SPEED,
    values: Values | None = None,
    clock_mhz: float = 100.0,
    limit: int = LIMIT,
) -> list[Path]:
    """Record streams and write them as ``traces.npz``, ``traces.parquet``, ``traces.vcd``.

    Parameters
    ----------
    folder
        For the files.
    model
        Of the accelerator.
    streams
        Names or patterns, see `choose_streams`.
    frames
        How many.
    formats
        Of `FORMATS`.
    stalls
        At the ports.
    values
        What passes; without it there are cycles only.
    clock_mhz
        For the times in the VCD.
    limit
        Bytes of memory and of disk that may be used.

    Raises
    ------
    UserError
        An unknown stream or format, a request over the limit (before anything starts), a package that is missing, or an
        accelerator that hangs.
    """
    chosen = choose_streams(model.design, streams)
    check_size(chosen, frames, formats, values=values is not None, limit=limit)
    for name, package in (("parquet", "pyarrow"), ("vcd", "vcd")):
        if name in formats:
            _require(name, package)
    traces = record_traces(model, chosen, frames, stalls=stalls, values=values)
    paths = {name: Path(folder) / f"traces.{name}" for name in formats}
    for name, path in paths.items():
        if name == "npz":
            save_npz(path, traces)
        elif name == "parquet":
            save_parquet(path, traces)
        else:
            save_vcd(path, model.design.top, traces, clock_mhz)
    return list(paths.values())


def _memory(stream: Stream, frames: int, values: bool) -> int:
    numbers = 2 * 4 * (frames + 2) * stream.beats  # in the machine, and read from it
    if not values:
        return numbers
    return numbers + frames * stream.beats * (2 * 8 * stream.folded_shape[-1] + stream.bits // 8)


def _disk(stream: Stream, frames: int, formats: Sequence[str], values: bool) -> int:
    octets = stream.bits // 8 if values else 0
    sizes = {
        "npz": 8 + octets,
        "parquet": 16 + 4 + WORD * -(-octets // WORD),
        "vcd": vcd_size(stream, values),
    }
    return frames * stream.beats * sum(sizes[name] for name in formats)


def _require(name: str, package: str) -> None:
    from importlib.util import find_spec

    if find_spec(package) is None:
        raise UserError(f"traces: {name} needs a package that is not installed: pip install 'hwprune[accel]'")
