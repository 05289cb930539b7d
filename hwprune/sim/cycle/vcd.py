"""Streams as waveforms: Value Change Dump (IEEE 1364, clause 18), for GTKWave, Surfer and the like."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from hwprune.accel.design import Stream
from hwprune.data.progress import track_slow
from hwprune.files import atomic_write
from hwprune.sim.cycle.trace_files import Trace

FALL, DATA, RISE = range(3)
"""Kinds of events, in the order in which they happen at one time."""
CHUNK = 1 << 14
"""Events between two looks at the progress."""


def vcd_size(stream: Stream, values: bool) -> int:
    """Bytes that a beat takes at most."""
    time, flags, data = 20, 2 * 2 * 6, stream.bits + 8
    return 2 * time + flags + (data if values else 0)


def save_vcd(path: Path, top: str, traces: Sequence[Trace], clock_mhz: float = 100.0) -> None:
    """Write streams as ``top.STREAM.tvalid``, ``.tready`` and, where there are values, ``.tdata``.

    Both flags are high in the cycles in which a beat passes, and in no other: when a stream was only offered or only
    ready is not told. ``tdata`` keeps the last beat's value; before the first it is unknown. Cycle 0, the first one out
    of reset, begins at time 0.

    Parameters
    ----------
    path
        The file.
    top
        Name of the outer scope.
    traces
        Of the streams.
    clock_mhz
        Says how long a cycle is, to the picosecond.
    """
    from vcd import VCDWriter

    period = round(1e6 / clock_mhz)
    data = [None if trace.values is None else trace.values.reshape(trace.cycles.size, -1) for trace in traces]
    with (
        atomic_write(path) as temporary,
        open(temporary, "w", encoding="ascii") as file,
        VCDWriter(file, timescale="1 ps", date="", comment="flags are high in the cycles of handshakes only") as writer,
    ):
        valid, ready, values = [], [], []
        for trace in traces:
            scope = (top, trace.stream.name)
            valid.append(writer.register_var(scope, "tvalid", "wire", size=1, init=0))
            ready.append(writer.register_var(scope, "tready", "wire", size=1, init=0))
            if trace.values is not None:
                values.append(writer.register_var(scope, "tdata", "wire", size=trace.stream.bits, init="x"))
            else:
                values.append(None)
        cycles, kinds, owners, beats = _events(traces)
        last = 0
        for chunk in track_slow(_chunks(cycles, kinds, owners, beats), "write VCD", -(-len(cycles) // CHUNK)):
            for cycle, kind, owner, beat in zip(*chunk, strict=True):
                last = cycle * period
                if kind == DATA:
                    writer.change(values[owner], last, int.from_bytes(data[owner][beat].tobytes(), "little"))
                else:
                    writer.change(valid[owner], last, kind == RISE)
                    writer.change(ready[owner], last, kind == RISE)
        writer.close(last + period)


def _events(traces: Sequence[Trace]) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Cycle, kind, trace and beat of every change, in order."""
    cycles, kinds, owners, beats = [], [], [], []
    for owner, trace in enumerate(traces):
        at = trace.cycles.reshape(-1).astype(np.int64)
        apart = np.diff(at) > 1
        places = np.arange(len(at))
        first, final = np.append(True, apart), np.append(apart, True)
        found = [(RISE, at[first], places[first]), (FALL, at[final] + 1, places[final])]
        if trace.values is not None:
            found.append((DATA, at, places))
        for kind, when, which in found:
            cycles.append(when)
            kinds.append(np.full(len(when), kind, np.int8))
            owners.append(np.full(len(when), owner, np.int32))
            beats.append(which)
    parts = [np.concatenate(part) if part else np.zeros(0, np.int64) for part in (cycles, kinds, owners, beats)]
    order = np.lexsort((parts[1], parts[0]))
    return tuple(part[order] for part in parts)


def _chunks(*columns: np.ndarray) -> Iterator[tuple[list, ...]]:
    for start in range(0, len(columns[0]), CHUNK):
        yield tuple(column[start : start + CHUNK].tolist() for column in columns)
