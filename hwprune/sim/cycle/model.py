"""The accelerator as a cycle model: load it, push frames, get the cycle of every beat."""

import copy
import math
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hwprune.accel.design import Design, load_design
from hwprune.accel.fifo_storage import FifoSize
from hwprune.data.progress import track_slow
from hwprune.errors import UserError
from hwprune.sim.cycle.machine import (
    BLOCK,
    CAPACITY,
    CONSUMER,
    DRAIN_BASE,
    DRAIN_MASK,
    IN_BASE,
    IN_MASK,
    LATEST,
    OUT_BASE,
    OUT_MASK,
    PARAMETERS,
    POPPED,
    PORTS,
    PRODUCER,
    PUSHED,
    QUEUE_COLUMNS,
    STATE,
    STYLE,
    WIRE,
    Machine,
)
from hwprune.sim.cycle.storage import Storage, fifo_storage
from hwprune.sim.cycle.timing import Timing

SLACK = 8
"""Beats that a queue remembers beyond those that anybody looks back on."""
CALLS = 20_000
"""Of kernels between two looks at the progress."""
FIFO = "StreamingFIFO_rtl"


@dataclass(frozen=True)
class Stalls:
    """At all ports of the top, as `hwprune.sim.simulator` gives them to the RTL: percent of cycles, and their seed."""

    percent: int = 0
    seed: int = 0


@dataclass(frozen=True)
class Run:
    """What a run of the model gave.

    Attributes
    ----------
    finished
        Every output gave its beats; else the accelerator hangs.
    cycles
        For each recorded stream the cycle of each beat's handshake, int32 (beats,); outputs and inputs of the top are
        always there. Operators that need no input for it run a little ahead into the next frame.
    waiting
        For each operator what it waits for at the end: the name of a stream, and whether it waits for a beat
        (``input``) or for room (``output``); None where it has done all it had to.
    seconds
        Wall-clock time of the run.
    """

    finished: bool
    cycles: dict[str, np.ndarray]
    waiting: dict[str, tuple[str, str] | None]
    seconds: float


class CycleModel:
    """When every beat of an accelerator passes.

    Parameters
    ----------
    design
        A stitched accelerator.
    sizes
        Of FIFOs, by name, in the place of the design's.

    Raises
    ------
    UserError
        An operator without a timing model, by name, with the list of those that have one; an unknown FIFO.
    """

    def __init__(self, design: Design, sizes: Mapping[str, FifoSize] | None = None):
        from hwprune.sim.cycle.engine import KINDS

        self.design = design
        self.streams = {stream.name: stream for stream in design.streams}
        fifos = {operator.name: operator for operator in design.operators if operator.op_type == FIFO}
        self._fifos = fifos
        self.operators = [operator for operator in design.operators if operator.name not in fifos]
        for operator in self.operators:
            if operator.op_type not in KINDS:
                raise UserError(
                    f"operator {operator.name}: the level cycle has no timing model of {operator.op_type}; it has "
                    f"{', '.join(sorted(KINDS))} and {FIFO}"
                )
        self.timings = [KINDS[operator.op_type][1](operator, self.streams) for operator in self.operators]
        self._kinds = [KINDS[operator.op_type][0] for operator in self.operators]
        self.queues = self._find_queues(sizes or {})

    def resized(self, sizes: Mapping[str, FifoSize]) -> "CycleModel":
        """The same accelerator with other FIFOs."""
        other = copy.copy(self)
        other.queues = other._find_queues(sizes)
        return other

    @classmethod
    def load(cls, folder: Path | str, sizes: Mapping[str, FifoSize] | None = None) -> "CycleModel":
        """The model of a compiled accelerator, from the folder of the stage compile; FINN is not needed."""
        return cls(load_design(folder), sizes)

    def run(
        self, frames: int = 1, *, stalls: Stalls = Stalls(), record: Iterable[str] = (), progress: bool = True
    ) -> Run:
        """Push frames through, one behind the other without a gap.

        Parameters
        ----------
        frames
            How many.
        stalls
            At the ports of the top.
        record
            Inner streams whose cycles shall be kept.
        progress
            Show a bar if it takes long.

        Raises
        ------
        UserError
            An unknown stream, or a run of more than 2**31 cycles.
        """
        from hwprune.sim.cycle.engine import run

        recorded = set(record) | {stream.name for stream in self.design.streams if stream.role != "inner"}
        if unknown := sorted(recorded - set(self.streams)):
            raise UserError(f"record: the design has no stream {', '.join(unknown)}")
        if frames < 1:
            raise UserError(f"frames: {frames} is below 1")
        start = time.monotonic()
        machine, kinds, names = self._build(frames, stalls, recorded)
        count = len(kinds)
        waiting = np.zeros(count, np.int64)
        line, queued = np.append(np.arange(count), 0), np.ones(count, bool)
        ends = np.array([0, count])
        sinks = [(machine.inputs[i, 0], machine.parameters[i, 0]) for i in range(count) if names[i] is None and
                 machine.inputs[i, 0] >= 0]  # fmt: skip
        total = sum(beats for _, beats in sinks)

        def rounds():
            shown = 0
            while not run(machine, kinds, waiting, line, queued, ends, CALLS):
                done = sum(min(machine.queues[queue, POPPED], beats) for queue, beats in sinks) * 100 // total
                for _ in range(shown, done):
                    yield
                shown = max(shown, done)

        for _ in track_slow(rounds(), "cycle model", 100) if progress else rounds():
            pass
        return Run(
            finished=all(machine.queues[queue, POPPED] >= beats for queue, beats in sinks),
            cycles={name: self._read(machine, name) for name in sorted(recorded)},
            waiting={name: self._reason(i, waiting[i]) for i, name in enumerate(names) if name is not None},
            seconds=time.monotonic() - start,
        )

    def _find_queues(self, sizes: Mapping[str, FifoSize]) -> list["_Queue"]:
        """One for each stream that a kernel or port writes."""
        if unknown := sorted(set(sizes) - set(self._fifos)):
            raise UserError(f"sizes: the design has no FIFO {', '.join(unknown)}")
        behind = {operator.inputs[0]: operator for operator in self._fifos.values()}
        queues = []
        for stream in self.design.streams:
            if stream.producer in self._fifos:
                continue
            fifo = behind.get(stream.name)
            if fifo is None:
                queues.append(_Queue(stream.name, stream.name, Storage(WIRE, 0)))
                continue
            if fifo.outputs[0] in behind:
                raise UserError(f"FIFO {fifo.name}: feeds another FIFO; the level cycle takes one FIFO a stream")
            queues.append(_Queue(stream.name, fifo.outputs[0], fifo_storage(fifo, stream, sizes.get(fifo.name))))
        return queues

    def _build(self, frames: int, stalls: Stalls, recorded: set[str]) -> tuple[Machine, np.ndarray, list[str | None]]:
        from hwprune.sim.cycle.engine import INPUT_PORT, OUTPUT_PORT

        design = self.design
        kinds, timings, names = list(self._kinds), list(self.timings), [o.name for o in self.operators]
        ins = [list(operator.inputs) for operator in self.operators]
        outs = [list(operator.outputs) for operator in self.operators]
        for port, stream in enumerate((*design.inputs, *design.outputs)):
            is_input = stream.role == "input"
            kinds.append(INPUT_PORT if is_input else OUTPUT_PORT)
            timings.append(Timing((frames * stream.beats, stalls.percent, stalls.seed, port)))
            ins.append([] if is_input else [stream.name])
            outs.append([stream.name] if is_input else [])
            names.append(None)

        layout = _Layout()
        queues = np.zeros((len(self.queues), QUEUE_COLUMNS), np.int64)
        for row, queue in zip(queues, self.queues, strict=True):
            beats = (frames + 1) * self.streams[queue.source].beats + SLACK
            endless = math.isinf(queue.storage.capacity)
            look_back = beats if endless else int(queue.storage.capacity) + SLACK
            row[STYLE], row[CAPACITY] = queue.storage.style, min(queue.storage.capacity, LATEST)
            is_wire = queue.storage.style == WIRE
            kept = queue.sink in recorded or (is_wire and queue.source in recorded)
            row[OUT_BASE], row[OUT_MASK] = layout.room(beats if kept else SLACK if endless else look_back, beats)
            row[IN_BASE], row[IN_MASK] = row[OUT_BASE], row[OUT_MASK]  # of a wire, both are the same handshake
            if not is_wire:
                row[IN_BASE], row[IN_MASK] = layout.room(beats if queue.source in recorded else look_back, beats)
            if queue.storage.style == BLOCK:
                row[DRAIN_BASE], row[DRAIN_MASK] = layout.room(look_back, beats)

        count = len(kinds)
        inputs, outputs = np.full((count, PORTS), -1, np.int64), np.full((count, PORTS), -1, np.int64)
        parameters, rings = np.zeros((count, PARAMETERS), np.int64), np.zeros((count, 2 * PORTS), np.int64)
        tables, table, offset = np.zeros((count, PORTS), np.int64), [], 0
        by_source = {queue.source: i for i, queue in enumerate(self.queues)}
        by_sink = {queue.sink: i for i, queue in enumerate(self.queues)}
        for i, timing in enumerate(timings):
            for port, stream in enumerate(ins[i]):
                inputs[i, port] = by_sink[stream]
                queues[by_sink[stream], CONSUMER] = i
            for port, stream in enumerate(outs[i]):
                outputs[i, port] = by_source[stream]
                queues[by_source[stream], PRODUCER] = i
            parameters[i, : len(timing.parameters)] = timing.parameters
            for ring, length in enumerate(timing.rings):
                rings[i, 2 * ring : 2 * ring + 2] = layout.room(length, None)
            for number, entries in enumerate(timing.tables):
                tables[i, number] = offset
                table.append(np.asarray(entries, np.int32).reshape(-1))
                offset += table[-1].size
        machine = Machine(
            queues=queues,
            inputs=inputs,
            outputs=outputs,
            parameters=parameters,
            state=np.zeros((count, STATE), np.int64),
            rings=rings,
            tables=tables,
            memory=np.zeros(layout.used, np.int32),
            table=np.concatenate([*table, np.zeros(1, np.int32)]),
        )
        return machine, np.array(kinds), names

    def _read(self, machine: Machine, name: str) -> np.ndarray:
        for row, queue in zip(machine.queues, self.queues, strict=True):
            if name == queue.sink:
                return machine.memory[row[OUT_BASE] : row[OUT_BASE] + row[POPPED]].copy()
            if name == queue.source:
                return machine.memory[row[IN_BASE] : row[IN_BASE] + row[PUSHED]].copy()
        raise KeyError(name)

    def _reason(self, i: int, code: int) -> tuple[str, str] | None:
        from hwprune.sim.cycle.machine import FINISHED, WAIT_OUTPUT

        if code == FINISHED:
            return None
        operator = self.operators[i]
        if code >= WAIT_OUTPUT:
            return operator.outputs[code - WAIT_OUTPUT], "output"
        return operator.inputs[code % 100], "input"


@dataclass(frozen=True)
class _Queue:
    """The stream that is written, the one that is read (the same where no FIFO lies between), and what lies between."""

    source: str
    sink: str
    storage: Storage


class _Layout:
    """Hands out places in `Machine.memory`."""

    def __init__(self):
        self.used = 0

    def room(self, length: int, beats: int | None) -> tuple[int, int]:
        """Base and mask of a ring of at least ``length`` numbers; of an array if all ``beats`` fit into it."""
        base = self.used
        size = 1 << (int(length) - 1).bit_length()
        if beats is not None and size >= beats:
            self.used += beats
            return base, -1
        self.used += size
        return base, size - 1
