"""Traces of streams in files: NPZ for NumPy, Parquet for tables."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hwprune.accel.design import Stream
from hwprune.files import atomic_write

ROWS = 1 << 20
"""Of a row group of a Parquet file."""
WORD = 8
"""Bytes of a word of a value in Parquet."""


@dataclass(frozen=True)
class Trace:
    """The beats of a stream in a run.

    Attributes
    ----------
    stream
        Which.
    cycles
        int32 or int64 (frames, beats): of the handshakes, from reset on.
    values
        uint8 (frames, beats, bytes), lowest byte first, as on TDATA; None where they were not asked for.
    """

    stream: Stream
    cycles: np.ndarray
    values: np.ndarray | None = None


def save_npz(path: Path, traces: Sequence[Trace]) -> None:
    """Arrays ``STREAM.cycles`` (frames, beats) and ``STREAM.values`` (frames, beats, bytes), see `Trace`."""
    arrays = {f"{trace.stream.name}.cycles": trace.cycles for trace in traces}
    arrays |= {f"{trace.stream.name}.values": trace.values for trace in traces if trace.values is not None}
    with atomic_write(path) as temporary, open(temporary, "wb") as file:
        np.savez(file, **arrays)


def save_parquet(path: Path, traces: Sequence[Trace]) -> None:
    """A row a beat: stream, frame, beat (within the frame), cycle, and words: the value in 64 bits each, lowest first,
    null where values were not asked for."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = pa.schema(
        [
            ("stream", pa.dictionary(pa.int32(), pa.string())),
            ("frame", pa.int32()),
            ("beat", pa.int32()),
            ("cycle", pa.int64()),
            ("words", pa.list_(pa.uint64())),
        ]
    )
    with atomic_write(path) as temporary, pq.ParquetWriter(temporary, schema, compression="zstd") as writer:
        for trace in traces:
            for columns in _rows(trace):
                count = len(columns["cycle"])
                names = pa.DictionaryArray.from_arrays(pa.array(np.zeros(count, np.int32)), [trace.stream.name])
                words = pa.nulls(count, schema.field("words").type)
                if "words" in columns:
                    lists = columns["words"]
                    offsets = pa.array(np.arange(count + 1, dtype=np.int32) * lists.shape[1])
                    words = pa.ListArray.from_arrays(offsets, pa.array(lists.reshape(-1)))
                numbers = [pa.array(columns[name]) for name in ("frame", "beat", "cycle")]
                writer.write_table(pa.table([names, *numbers, words], schema=schema))


def _rows(trace: Trace) -> Iterator[dict[str, np.ndarray]]:
    """Columns of some beats at a time."""
    frames, beats = trace.cycles.shape
    width = 1 if trace.values is None else -(-trace.values.shape[2] // WORD)
    step = max(1, ROWS // width)
    cycles = trace.cycles.reshape(-1).astype(np.int64, copy=False)
    for start in range(0, frames * beats, step):
        frame, beat = np.divmod(np.arange(start, min(start + step, frames * beats), dtype=np.int64), beats)
        columns = {
            "frame": frame.astype(np.int32),
            "beat": beat.astype(np.int32),
            "cycle": cycles[start : start + step],
        }
        if trace.values is not None:
            octets = trace.values.reshape(frames * beats, -1)[start : start + step]
            padded = np.zeros((len(octets), width * WORD), np.uint8)
            padded[:, : octets.shape[1]] = octets
            columns["words"] = padded.view("<u8")
        yield columns
