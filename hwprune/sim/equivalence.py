"""A level of simulation beside the level `network`: every beat of every stream, for `rtl` with and without stalls."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from hwprune.accel.design import Design, Stream
from hwprune.errors import UserError
from hwprune.quant.integer import IntegerNetwork
from hwprune.sim.golden import golden_streams
from hwprune.sim.rate import rate
from hwprune.sim.simulator import SimResult, Simulator, Trace
from hwprune.sim.streams import pack, unpack

if TYPE_CHECKING:
    from hwprune.sim.cycle.model import CycleModel


@dataclass(frozen=True)
class Row:
    """One stream in one run."""

    operator: str
    stream: str
    frames: int
    beats: int
    mismatches: int
    stalls: int
    """Percent of cycles in which the ports stall."""


@dataclass(frozen=True)
class Difference:
    """The first beat of a stream that is not what the network says; ``found`` is None where the beat never came."""

    operator: str
    stream: str
    frame: int
    beat: int
    cycle: int | None
    expected: tuple[int, ...] | None
    found: tuple[int, ...] | None
    stalls: int
    level: str = "rtl"
    """Where it was found; beats have cycles at `cycle` and `rtl` only."""

    def __str__(self) -> str:
        when = "" if self.cycle is None else f" (cycle {self.cycle})"
        if self.found is None:
            when = " (it never came)"
        stalls = f" (stalls: {self.stalls} %)" if self.level == "rtl" else ""
        return (
            f"operator {self.operator!r}, stream {self.stream!r}, frame {self.frame}, beat {self.beat}{when}: "
            f"network {_shown(self.expected)}, {self.level} {_shown(self.found)}{stalls}"
        )


@dataclass
class Equivalence:
    """What the check found; the first difference in the order of the data flow tells where the fault lies."""

    rows: list[Row] = field(default_factory=list)
    differences: list[Difference] = field(default_factory=list)
    cycles_per_frame: int | None = None
    latency_cycles: int | None = None
    level: str = "rtl"
    cycle_beats: int = 0
    """Beats whose cycles were compared with the level `cycle`."""
    cycle_mismatches: int = 0
    cycle_differences: list[str] = field(default_factory=list)
    """The first of each stream and run."""

    @property
    def streams(self) -> int:
        """Streams compared."""
        return len({row.stream for row in self.rows})

    @property
    def beats(self) -> int:
        """Beats compared, over all runs."""
        return sum(row.beats for row in self.rows)

    @property
    def mismatches(self) -> int:
        """Beats that differ, over all runs."""
        return sum(row.mismatches for row in self.rows)

    def as_json(self) -> dict:
        """For ``stage.json`` and the report."""
        cycle = {
            "beats": self.cycle_beats,
            "mismatches": self.cycle_mismatches,
            "differences": self.cycle_differences,
        }
        return {
            "levels": ["network", *(["cycle"] if self.cycle_beats else []), self.level],
            "streams": self.streams,
            "beats": self.beats,
            "mismatches": self.mismatches,
            "rows": [asdict(row) for row in self.rows],
            "differences": [str(difference) for difference in self.differences],
            **({"cycle": cycle} if self.cycle_beats else {}),
        }


def check_equivalence(
    simulator: Simulator,
    design: Design,
    origin: Mapping[str, str],
    network: IntegerNetwork,
    images: np.ndarray,
    *,
    stall_percent: int,
    seeds: Sequence[int],
    model: "CycleModel | None" = None,
) -> Equivalence:
    """Run the frames once at full speed and once for each seed with stalls at all ports, and compare every stream.

    Parameters
    ----------
    simulator, design
        The built accelerator and its streams.
    origin
        For every stream's tensor the layer's tensor that it carries.
    network
        Integer form, the reference.
    images
        uint8, (frames, C, H, W).
    stall_percent
        Chance of a stall in each cycle at each port; 0 leaves the stalled runs out.
    seeds
        One stalled run for each.
    model
        Of the accelerator: then the cycles of all beats are compared with it, too.

    Raises
    ------
    DeadlockError
        If the accelerator stops; the full FIFOs are named.
    """
    # A frame more than is compared: what the last one leaves behind in padding and windows passes with the next.
    sent = np.concatenate([images, images[-1:]])
    expected = expected_streams(network, images, set(origin.values()))
    result = Equivalence()
    if model is not None:
        from hwprune.sim.cycle.check import compare_cycles
        from hwprune.sim.cycle.model import Stalls
    for stalls, seed in [(0, 0), *((stall_percent, seed) for seed in seeds if stall_percent)]:
        run = run_frames(
            simulator, design, sent, stall_percent=stalls, seed=seed, record=[stream.name for stream in design.inner]
        )
        traces = {**run.streams, **run.outputs}
        for stream in (*design.inner, *design.outputs):
            wanted = expected[origin[stream.tensor]]
            # Behind the frames that are compared one more was sent.
            trace, beats = traces[stream.name], stream.beats * len(images)
            trace = Trace(trace.beats[:beats], trace.cycles[:beats])
            compare_stream(result, stream, trace.beats, wanted, len(images), stalls=stalls, cycles=trace.cycles)
        if model is not None:
            beats, differences = compare_cycles(design, run, model, len(sent), Stalls(stalls, seed))
            result.cycle_beats += beats
            result.cycle_differences += [f"{difference} (stalls: {stalls} %)" for difference in differences]
            result.cycle_mismatches += sum(difference.count for difference in differences)
        if stalls == 0:
            ports = {name: trace.cycles for name, trace in run.outputs.items()} | run.input_cycles
            measured = rate(design, ports, len(sent))
            result.latency_cycles, result.cycles_per_frame = measured.latency, measured.interval
    return result


def run_frames(
    simulator: Simulator,
    design: Design,
    images: np.ndarray,
    *,
    stall_percent: int = 0,
    seed: int = 0,
    record: Sequence[str] = (),
) -> SimResult:
    """Feed images, uint8 (frames, C, H, W), and take all heads' beats.

    Raises
    ------
    DeadlockError
        If the accelerator stops before the last beat.
    """
    (source,) = design.inputs
    pixels = images.transpose(0, 2, 3, 1)
    run = simulator.run(
        {source.name: pack(pixels, source.datatype, source.folded_shape)},
        {sink.name: sink.beats * len(images) for sink in design.outputs},
        stall_percent=stall_percent,
        seed=seed,
        record=record,
        # The longest silence of a sound design is a frame of its slowest operator.
        idle_limit=IDLE_LIMIT,
    )
    if not run.finished:
        raise DeadlockError(_hang(run, design, len(images)))
    return run


IDLE_LIMIT = 200_000
"""Cycles without any handshake after which a run counts as stuck."""


class DeadlockError(UserError):
    """The accelerator stopped in mid-frame."""


def head_sums(design: Design, run: SimResult, frames: int) -> list[np.ndarray]:
    """Each head's integers, int64 (frames, channels, rows, columns), from its output port's beats."""
    sums = []
    for sink in design.outputs:
        values = unpack(run.outputs[sink.name].beats, sink.datatype, sink.folded_shape)
        _, rows, columns, channels = sink.normal_shape
        sums.append(values.reshape(frames, rows, columns, channels).transpose(0, 3, 1, 2))
    return sums


def expected_streams(network: IntegerNetwork, images: np.ndarray, tensors: set[str]) -> dict[str, np.ndarray]:
    """What `golden_streams` says, int64 (values,), of all frames one behind the other."""
    frames = [golden_streams(network, image, tensors) for image in images]
    return {tensor: np.concatenate([frame[tensor] for frame in frames]) for tensor in tensors}


def compare_stream(
    result: Equivalence,
    stream: Stream,
    beats: np.ndarray,
    expected: np.ndarray,
    frames: int,
    *,
    stalls: int = 0,
    cycles: np.ndarray | None = None,
) -> None:
    """Append a stream's row, and its first difference if there is one, to ``result``.

    Parameters
    ----------
    result
        Of the level at which the stream was recorded.
    stream
        Which.
    beats
        What passed, uint8 (beats, bytes), lowest byte first.
    expected
        What the network says, int64 (values,).
    frames
        How many.
    stalls
        Percent of cycles in which the ports stalled.
    cycles
        Cycle of each beat, where the level has them.
    """
    per_beat = stream.folded_shape[-1]
    wanted = expected.reshape(-1, per_beat)
    found = unpack(beats, stream.datatype, (per_beat,))
    shared = min(len(wanted), len(found))
    wrong = np.flatnonzero((wanted[:shared] != found[:shared]).any(1))
    unpaired = max(len(wanted), len(found)) - shared
    row = Row(stream.producer or "input", stream.name, frames, len(wanted), len(wrong) + unpaired, stalls)
    result.rows.append(row)
    if not row.mismatches:
        return
    beat = int(wrong[0]) if len(wrong) else shared
    result.differences.append(
        Difference(
            operator=row.operator,
            stream=stream.name,
            frame=beat // stream.beats,
            beat=beat % stream.beats,
            cycle=int(cycles[beat]) if cycles is not None and beat < len(cycles) else None,
            expected=tuple(map(int, wanted[beat])) if beat < len(wanted) else None,
            found=tuple(map(int, found[beat])) if beat < len(found) else None,
            stalls=stalls,
            level=result.level,
        )
    )


def _hang(run: SimResult, design: Design, frames: int) -> str:
    full = [fifo for fifo in design.fifos if run.monitors[fifo.count] >= fifo.depth]
    waiting = [f"{s.name} got {run.states[s.name].beats} of {s.beats * frames} beats" for s in design.outputs]
    names = ", ".join(f"{fifo.name} (depth {fifo.depth})" for fifo in full) or "none"
    return (
        f"the accelerator is stuck after {run.cycles} cycles: {'; '.join(waiting)}. Full FIFOs: {names}. A fork waits "
        "for room while the join behind it waits for data: give the full FIFOs more depth (compile.fifo_depth)"
    )


def _shown(values: Iterable[int] | None) -> str:
    if values is None:
        return "nothing"
    values = list(values)
    return (
        str(values[0])
        if len(values) == 1
        else f"[{', '.join(map(str, values[:8]))}{', ...' if len(values) > 8 else ''}]"
    )
