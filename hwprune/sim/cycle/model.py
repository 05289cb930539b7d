"""The accelerator as a cycle model: load it, push frames, get the cycle of every beat."""

import copy
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hwprune.accel.design import Design, load_design
from hwprune.accel.fifo_storage import FifoSize
from hwprune.data.progress import track_slow
from hwprune.errors import UserError
from hwprune.sim.cycle.fit import require_fit, require_streams
from hwprune.sim.cycle.layout import Member, Queue, build_machine, edges
from hwprune.sim.cycle.machine import (
    FINISHED,
    IN_BASE,
    LATEST,
    OFFERS,
    OUT_BASE,
    OUT_MASK,
    POPPED,
    PUSHED,
    WAIT_INPUT,
    WAIT_OUTPUT,
    WIRE,
    Machine,
)
from hwprune.sim.cycle.steady import at_rest, continued, shift
from hwprune.sim.cycle.storage import Storage, fifo_storage
from hwprune.sim.cycle.timing import Timing

FIFO = "StreamingFIFO_rtl"
MARGIN = 2**26
"""Cycles that no operator is silent for: beyond LATEST they would wrap round."""


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
    simulated
        Frames that were computed; the others are known to repeat (`hwprune.sim.cycle.steady`).
    cycles
        For each recorded stream the cycle of each beat's handshake, int32 (beats,); outputs and inputs of the top are
        always there. Operators that need no input for it run a little ahead into the next frame.
    offers
        For each stream asked for, the cycle from which each of those beats was offered.
    waiting
        For each operator what it waits for at the end: the name of a stream, and whether it waits for a beat
        (``input``) or for room (``output``); None where it has done all it had to.
    seconds
        Wall-clock time of the run.
    """

    finished: bool
    simulated: int
    cycles: dict[str, np.ndarray]
    offers: dict[str, np.ndarray]
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
        An operator without a timing model, by name, with the list of those that have one; streams that do not fit its
        attributes; an unknown FIFO.
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
        require_streams(design.operators, self.streams)
        self.timings = [KINDS[operator.op_type][1](operator, self.streams) for operator in self.operators]
        timings = dict.fromkeys(fifos, Timing(takes=(1,), gives=(1,)))
        timings |= {operator.name: timing for operator, timing in zip(self.operators, self.timings, strict=True)}
        for operator in design.operators:
            require_fit(operator, timings[operator.name], self.streams)
        self.sizes = dict(sizes or {})
        self.queues = self._find_queues(self.sizes)

    def resized(self, sizes: Mapping[str, FifoSize]) -> "CycleModel":
        """The same accelerator with other FIFOs."""
        other = copy.copy(self)
        other.sizes = dict(sizes)
        other.queues = other._find_queues(other.sizes)
        return other

    @classmethod
    def load(cls, folder: Path | str, sizes: Mapping[str, FifoSize] | None = None) -> "CycleModel":
        """The model of a compiled accelerator, from the folder of the stage compile; FINN is not needed."""
        return cls(load_design(folder), sizes)

    def run(
        self,
        frames: int = 1,
        *,
        stalls: Stalls = Stalls(),
        pace: int = 0,
        give_up: int | None = None,
        settle: int = 1,
        record: Iterable[str] = (),
        offers: Iterable[str] = (),
        progress: bool = True,
    ) -> Run:
        """Push frames through, one behind the other without a gap.

        Parameters
        ----------
        frames
            How many.
        stalls
            At the ports of the top.
        pace
            Cycles a frame in which the inputs' beats come evenly; 0 for as fast as they are taken.
        give_up
            Cycles between frames; a run in which two lie farther apart ends there unfinished.
        settle
            Intervals at the beginning, which may be longer than that.
        record
            Inner streams whose cycles shall be kept.
        offers
            Streams that an operator or an input writes, whose offers shall be kept, too.
        progress
            Show a bar if it takes long.

        Raises
        ------
        UserError
            An unknown stream, one that a FIFO writes among the offers, or a run of more than 2**31 cycles.
        """
        offers = set(offers)
        recorded = set(record) | offers | {s.name for s in self.design.streams if s.role != "inner"}
        if unknown := sorted(recorded - set(self.streams)):
            raise UserError(f"record: the design has no stream {', '.join(unknown)}")
        if unwritten := sorted(offers - {queue.source for queue in self.queues}):
            raise UserError(f"offers: {', '.join(unwritten)} comes out of a FIFO")
        if frames < 1:
            raise UserError(f"frames: {frames} is below 1")
        if not 0 <= stalls.percent <= 99:
            raise UserError(f"stalls: {stalls.percent} percent is not within 0 to 99")
        if stalls.seed < 0:
            raise UserError(f"stalls: seed {stalls.seed} is below 0")
        start = time.monotonic()
        members = self._members(stalls, pace)
        machine = build_machine(members, self.queues, frames, recorded, offers)
        waiting, rests, period, simulated = np.zeros(len(members), np.int64), [], None, 0
        kinds = np.array([member.kind for member in members])
        line = track_slow(range(frames), "cycle model", frames) if progress else range(frames)
        for frame in line:
            if period is not None:
                continue  # to the end of the progress bar
            finished = self._feed(machine, members, kinds, waiting, frame + 1)
            simulated += 1
            if not finished and frame + 1 < frames:  # the inputs go on as long as there is room
                self._feed(machine, members, kinds, waiting, frames)
            if finished and give_up is not None and frame > settle:
                finished = self._interval(machine, frame) <= give_up
            if not finished:
                break
            if not stalls.percent and frame + 1 < frames:
                rests = [*rests[-2:], at_rest(machine, self.queues, members)]
                period = shift(*rests) if len(rests) == 3 else None
        cycles = {name: self._read(machine, name) for name in sorted(recorded)}
        offered = {name: self._read(machine, name, offers=True) for name in sorted(offers)}
        if period is not None:
            for read in (cycles, offered):
                for name, known in read.items():
                    read[name] = continued(known, self.streams[name].beats, simulated, frames, period)
        return Run(
            finished=finished,
            simulated=simulated,
            cycles=cycles,
            offers=offered,
            waiting={m.name: self._reason(m, code) for m, code in zip(members, waiting, strict=True) if m.name},
            seconds=time.monotonic() - start,
        )

    def _feed(
        self, machine: Machine, members: list[Member], kinds: np.ndarray, waiting: np.ndarray, frames: int
    ) -> bool:
        """Let that many frames come to rest; whether all outputs gave their beats."""
        from hwprune.sim.cycle.engine import run

        ports = [i for i, member in enumerate(members) if member.name is None]
        for i in ports:
            (name,) = (*members[i].inputs, *members[i].outputs)
            machine.parameters[i, 0] = frames * self.streams[name].beats
        count = len(members)
        first = np.arange(count) if frames == 1 else np.array(ports)
        line, waits_in = np.zeros(count + 2, np.int64), np.zeros(count, np.int64)
        line[0], line[1 : len(first) + 1], waits_in[first] = len(first), first, 1
        run(machine, kinds, *edges(machine), waiting, line, waits_in)
        q = machine.queues
        last = machine.memory[q[:, OUT_BASE] + ((q[:, POPPED] - 1) & q[:, OUT_MASK])]
        if (last < 0).any() or last.max() > LATEST - MARGIN:
            raise UserError(f"the run takes more than {LATEST - MARGIN} cycles; give fewer frames")
        sinks = [i for i in ports if members[i].inputs]
        return all(machine.queues[machine.inputs[i, 0], POPPED] >= machine.parameters[i, 0] for i in sinks)

    def _interval(self, machine: Machine, frame: int) -> int:
        """Cycles from the end of the frame before to that of ``frame``, at the slowest output."""
        rows = dict(zip((queue.sink for queue in self.queues), machine.queues, strict=True))
        spans = []
        for stream in self.design.outputs:
            first = rows[stream.name][OUT_BASE] + frame * stream.beats - 1
            spans.append(int(machine.memory[first + stream.beats]) - int(machine.memory[first]))
        return max(spans)

    def _members(self, stalls: Stalls, pace: int) -> list[Member]:
        """The operators, and the ports of the top."""
        from hwprune.sim.cycle.engine import INPUT_PORT, KINDS, OUTPUT_PORT

        members = [
            Member(operator.name, KINDS[operator.op_type][0], timing, operator.inputs, operator.outputs)
            for operator, timing in zip(self.operators, self.timings, strict=True)
        ]
        for port, stream in enumerate((*self.design.inputs, *self.design.outputs)):
            timing = Timing((0, stalls.percent, stalls.seed, port, pace, stream.beats))
            if stream.role == "input":
                members.append(Member(None, INPUT_PORT, timing, (), (stream.name,)))
            else:
                members.append(Member(None, OUTPUT_PORT, timing, (stream.name,), ()))
        return members

    def _find_queues(self, sizes: Mapping[str, FifoSize]) -> list[Queue]:
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
                queues.append(Queue(stream.name, stream.name, Storage(WIRE, 0), stream.beats))
                continue
            if fifo.outputs[0] in behind:
                raise UserError(f"FIFO {fifo.name}: feeds another FIFO; the level cycle takes one FIFO a stream")
            storage = fifo_storage(fifo, stream, sizes.get(fifo.name))
            queues.append(Queue(stream.name, fifo.outputs[0], storage, stream.beats))
        return queues

    def _read(self, machine: Machine, name: str, offers: bool = False) -> np.ndarray:
        for row, queue in zip(machine.queues, self.queues, strict=True):
            if offers and name == queue.source:
                return machine.memory[row[OFFERS] : row[OFFERS] + row[PUSHED]].copy()
            if name == queue.sink:
                return machine.memory[row[OUT_BASE] : row[OUT_BASE] + row[POPPED]].copy()
            if name == queue.source:
                return machine.memory[row[IN_BASE] : row[IN_BASE] + row[PUSHED]].copy()
        raise KeyError(name)

    @staticmethod
    def _reason(member: Member, code: int) -> tuple[str, str] | None:
        if code == FINISHED:
            return None
        if code >= WAIT_OUTPUT:
            return member.outputs[code - WAIT_OUTPUT], "output"
        return member.inputs[code - WAIT_INPUT], "input"
