"""The least memory for FIFOs that keeps the speed of FIFOs that are never full.

A FIFO has few sizes worth having (`hwprune.accel.fifo_storage.fifo_choices`), deeper ones never slow an accelerator
down, and the model tells its interval in a moment. So sizes are found by trial, downwards from a set that is known to
do: the most beats that each FIFO ever held, when frames come in at the rate at which they can go out (the rule of
FINN's ``largefifo_rtlsim``). Groups of FIFOs are reduced at once, halved where that costs speed.
"""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass

import numpy as np

from hwprune.accel.design import Design
from hwprune.accel.fifo_storage import FifoSize, Memory, fifo_choices, fifo_memory
from hwprune.errors import UserError
from hwprune.sim.cycle.deadlock import explain
from hwprune.sim.cycle.model import CycleModel
from hwprune.sim.cycle.occupancy import peak
from hwprune.sim.rate import Rate, frame_ends, rate

FRAMES = 4
"""Of a trial: the first fills the pipeline, the last two tell the interval."""
PROOF = 8
"""Frames of the last check."""
UNBOUNDED = FifoSize(math.inf)
LONGEST = 2**27
"""Interval, in cycles: more than a second at 100 MHz, for which FIFOs hardly matter any more."""


class TooFastError(UserError):
    """An interval that no FIFO can give."""

    def __init__(self, wanted: int, fastest: int):
        super().__init__(f"FIFOs cannot make the interval {wanted}: without any limit it is {fastest} cycles")
        self.fastest = fastest


@dataclass(frozen=True)
class Sizing:
    """What sizing found.

    Attributes
    ----------
    sizes
        Of every FIFO.
    rate
        With these.
    fastest
        Interval with FIFOs that are never full.
    memory
        Of all FIFOs.
    peak_sizes, peak_memory
        By the rule of the most beats held, at the same interval.
    trials
        Runs of the model.
    seconds
        Wall-clock time.
    """

    sizes: dict[str, FifoSize]
    rate: Rate
    fastest: int
    memory: Memory
    peak_sizes: dict[str, FifoSize]
    peak_memory: Memory
    trials: int
    seconds: float

    def as_json(self) -> dict:
        """For the record of the stage compile; the same for the same design."""
        names = {"sizes": self.sizes, "peak_sizes": self.peak_sizes}
        return {
            **{key: {name: int(size.depth) for name, size in sizes.items()} for key, sizes in names.items()},
            **{"interval": self.rate.interval, "fastest": self.fastest, "trials": self.trials},
            **{"memory": asdict(self.memory), "peak_memory": asdict(self.peak_memory)},
        }


def unbounded_model(design: Design) -> CycleModel:
    """A model for sizing, with FIFOs that are never full: the design's own may be too deep for their style.

    Raises
    ------
    UserError
        If the model does not know an operator.
    """
    try:
        return CycleModel(design, dict.fromkeys((fifo.name for fifo in design.fifos), UNBOUNDED))
    except UserError as error:
        raise UserError(f"{error}. Without the model, give every FIFO the same depth: compile.fifo_depth") from error


def fastest_interval(design: Design) -> int:
    """Cycles between frames with FIFOs that are never full; errors are those of `size_fifos`."""
    model = unbounded_model(design)
    run = model.run(FRAMES, progress=False)
    if not run.finished:
        raise UserError(explain(model, run))
    return rate(design, run.cycles, FRAMES).interval


def size_fifos(
    model: CycleModel, interval: int | None = None, progress: Callable[[str], None] = lambda step: None
) -> Sizing:
    """Size every FIFO of an accelerator.

    Parameters
    ----------
    model
        Of the accelerator; the sizes of its FIFOs do not matter.
    interval
        Cycles between frames that are enough; None for those of unbounded FIFOs.
    progress
        Called with a word on each step.

    Raises
    ------
    UserError
        If the accelerator hangs or misses the interval even with unbounded FIFOs.
    """
    return _Search(model, progress).solve(interval)


class _Search:
    def __init__(self, model: CycleModel, progress: Callable[[str], None]):
        self.model = model
        self.progress = progress
        self.bits = {fifo.name: model.streams[fifo.source].bits for fifo in model.design.fifos}
        self.trials = 0
        self.known: dict[tuple[FifoSize, ...], bool] = {}
        self.start = time.monotonic()

    def solve(self, wanted: int | None) -> Sizing:
        self.progress("interval of unbounded FIFOs")
        fastest = self._settle()
        if wanted is not None and wanted < fastest:
            raise TooFastError(wanted, fastest)
        self.limit = max(min(wanted or 0, LONGEST), fastest)
        # Intervals come down to the steady one, over as many frames as operators at the limit lie behind each other.
        self.settle = max([1, *(n for n, span in enumerate(self.spans, 1) if span > self.limit)])
        self.frames = FRAMES + self.settle - 1
        self.progress("most beats held")
        peaks = self._peaks()
        self.sizes = {name: self._cheapest(name, peaks[name]) for name in self.bits}
        if not all(self._keeps({})):
            raise UserError(f"an interval of {self.limit} cycles does not hold with FIFOs of the most beats held")
        peak_sizes = dict(self.sizes)
        names = sorted(self.bits, key=self._saving, reverse=True)
        self._reduce([name for name in names if self._saving(name)], 0)
        self._refine()
        found = self._rate(self.sizes, PROOF)
        if found.interval > self.limit:  # the trials were too short; what is proven is kept
            self.sizes = peak_sizes
            found = self._rate(self.sizes, PROOF)
        return Sizing(
            sizes=self.sizes,
            rate=found,
            fastest=fastest,
            memory=self._memory(self.sizes),
            peak_sizes=peak_sizes,
            peak_memory=self._memory(peak_sizes),
            trials=self.trials,
            seconds=time.monotonic() - self.start,
        )

    def _settle(self) -> int:
        """Interval of FIFOs that are never full; sets those of the first frames."""
        self.trials += 1
        model = self.model.resized(dict.fromkeys(self.bits, UNBOUNDED))
        run = model.run(PROOF, progress=False)
        if not run.finished:
            raise UserError(explain(model, run))
        outputs = self.model.design.outputs
        ends = np.array([frame_ends(run.cycles[output.name], output.beats, PROOF) for output in outputs])
        self.spans = np.diff(ends, axis=1).max(0).tolist()
        return self.spans[-1]

    def _rate(self, sizes: Mapping[str, FifoSize], frames: int) -> Rate:
        self.trials += 1
        model = self.model.resized(sizes)
        run = model.run(frames, progress=False)
        if not run.finished:
            raise UserError(explain(model, run))
        return rate(self.model.design, run.cycles, frames)

    def _keeps(self, *changes: Mapping[str, FifoSize]) -> list[bool]:
        """Whether the limit holds with each of these changes; the search comes by some sizes twice."""
        wanted = [tuple({**self.sizes, **change}.values()) for change in changes]
        new = [sizes for sizes in dict.fromkeys(wanted) if sizes not in self.known]
        self.trials += len(new)
        # Two at a time: the compiled kernels run without Python's lock, and a trial's memory is small.
        with ThreadPoolExecutor(2) as threads:
            self.known.update(zip(new, threads.map(self._holds, new), strict=True))
        return [self.known[sizes] for sizes in wanted]

    def _holds(self, sizes: tuple[FifoSize, ...]) -> bool:
        model = self.model.resized(dict(zip(self.bits, sizes, strict=True)))
        return model.run(self.frames, progress=False, give_up=self.limit, settle=self.settle).finished

    def _peaks(self) -> dict[str, int]:
        """Most beats held, when frames come in evenly at the interval."""
        self.trials += 1
        fifos = self.model.design.fifos
        record = [name for fifo in fifos for name in (fifo.source, fifo.sink)]
        unbounded = self.model.resized(dict.fromkeys(self.bits, UNBOUNDED))
        run = unbounded.run(self.frames, record=record, progress=False, pace=self.limit)
        return {fifo.name: int(peak(run.cycles[fifo.source], run.cycles[fifo.sink])) for fifo in fifos}

    def _cheapest(self, name: str, depth: int) -> FifoSize:
        choices = fifo_choices(self.bits[name])
        found = next((size for size in choices if size.depth > depth), None)
        if found is None:
            raise UserError(f"FIFO {name}: would hold {depth} beats, the deepest has {int(choices[-1].depth)}")
        return found

    def _saving(self, name: str) -> int:
        choices = fifo_choices(self.bits[name])
        return self._bits(name, self.sizes[name]) - self._bits(name, choices[0])

    def _bits(self, name: str, size: FifoSize) -> int:
        return fifo_memory(size, self.bits[name]).bits

    def _memory(self, sizes: Mapping[str, FifoSize]) -> Memory:
        return sum((fifo_memory(size, self.bits[name]) for name, size in sizes.items()), Memory())

    def _reduce(self, names: Sequence[str], level: int) -> None:
        """Bring FIFOs down to their cheapest choice together, or each as far as it goes."""
        if not names:
            return
        lowest = {name: fifo_choices(self.bits[name])[0] for name in names}
        if all(self._keeps(lowest)):
            self.sizes |= lowest
            self.progress(f"{len(names)} FIFOs at their least")
        elif len(names) == 1:
            self._bisect(names[0])
        else:
            half = len(names) // 2
            self._reduce(names[:half], level + 1)
            self._reduce(names[half:], level + 1)

    def _bisect(self, name: str) -> None:
        choices = fifo_choices(self.bits[name])
        low, high = 0, choices.index(self.sizes[name])  # low does not do, high does
        while high - low > 1:
            third = max(1, (high - low) // 3)
            probes = sorted({low + third, max(high - third, low + third)})
            for probe, keeps in zip(probes, self._keeps(*({name: choices[i]} for i in probes)), strict=True):
                if keeps:
                    high = min(high, probe)
                else:
                    low = max(low, probe)
        self.sizes[name] = choices[high]
        self.progress(f"{name}: {int(choices[high].depth)}")

    def _refine(self) -> None:
        """One choice down, FIFO by FIFO, the dearest first, until none goes."""
        smaller = True
        while smaller:
            smaller = False
            names = sorted(filter(self._saving, self.sizes), key=self._saving, reverse=True)
            for pair in zip(names[::2], [*names[1::2], None], strict=False):  # two at a time
                below = [{name: self._below(name)} for name in pair if name]
                kept = [change for change, keeps in zip(below, self._keeps(*below), strict=True) if keeps]
                if len(kept) == 2 and not all(self._keeps(kept[0] | kept[1])):
                    kept.pop()
                for change in kept:
                    self.sizes |= change
                    smaller = True

    def _below(self, name: str) -> FifoSize:
        choices = fifo_choices(self.bits[name])
        return choices[choices.index(self.sizes[name]) - 1]
