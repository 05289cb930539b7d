"""What to change next for more speed, in one sentence: a fold, a FIFO, or a port."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from hwprune.accel.design import Fifo, Operator
from hwprune.accel.folds import folds
from hwprune.sim.cycle.model import CycleModel
from hwprune.sim.cycle.observe import finished
from hwprune.sim.cycle.occupancy import peak
from hwprune.sim.cycle.sizing import UNBOUNDED
from hwprune.sim.rate import rate

NEAR = 0.99
"""An operator limits if its own interval is at least this share of the accelerator's."""
TRIALS = 8
"""FIFOs that are tried one by one, whether they are needed."""
NAMED = 3
"""Of more FIFOs, those that lack most."""
CONVERTER, WINDOW = "StreamingDataWidthConverter_rtl", "ConvolutionInputGenerator_rtl"


@dataclass(frozen=True)
class Advice:
    """What limits an accelerator, and what to do about it.

    Attributes
    ----------
    limit
        ``fold``: an operator's own work; ``full``: the same, but it is fully parallel; ``port``: a port of the top
        passes a frame no faster; ``fifo``: FIFOs are too small; ``join``: operators hold each other up without a FIFO.
    where
        The operator, the port, the FIFO that lacks most, or the stream without one.
    attribute, now, then
        Of a fold: ``PE``, ``SIMD`` or ``parallel_window``, its value, and the next that FINN allows. Of a FIFO:
        ``depth``, the beats it holds, and those that it has to hold.
    text
        In one sentence.
    """

    limit: Literal["fold", "full", "port", "fifo", "join"]
    where: str
    attribute: str | None
    now: int | None
    then: int | None
    text: str


def advise(
    model: CycleModel, own: Mapping[str, int], blocked: Mapping[str, int], interval: int, frames: int, progress: bool
) -> Advice:
    """Find what limits an accelerator.

    Parameters
    ----------
    model
        Of the accelerator.
    own
        For each operator its own interval.
    blocked
        For each operator the cycles a frame in which it is blocked.
    interval
        The accelerator's.
    frames
        Of a run that has settled.
    progress
        Show bars if it takes long.
    """
    slowest = max(model.operators, key=lambda operator: own[operator.name])
    if own[slowest.name] >= NEAR * interval:
        return advise_fold(model, own)
    best = _interval(model, [fifo.name for fifo in model.design.fifos], frames, progress)
    if best < NEAR * interval:
        return _on_fifos(model, blocked, interval, best, frames, progress)
    return _on_join(model, blocked, interval, slowest, own[slowest.name])


def advise_fold(model: CycleModel, own: Mapping[str, int]) -> Advice:
    """What makes the slowest operator faster, whatever the FIFOs are; takes no run of the model.

    Parameters
    ----------
    model
        Of the accelerator.
    own
        For each operator its own interval, see `hwprune.sim.cycle.work.own_intervals`.
    """
    operator, *others = sorted(model.operators, key=lambda operator: -own[operator.name])
    cycles = own[operator.name]
    follows = f"; {others[0].name} follows with {own[others[0].name]:,}" if others else ""
    limits = f"{operator.name} limits with {cycles:,} cycles a frame"
    if operator.op_type == CONVERTER:
        # It has no fold of its own: the operator on the side of the narrower beats decides.
        source, sink = (model.streams[name] for name in (operator.inputs[0], operator.outputs[0]))
        narrow = max(source, sink, key=lambda stream: stream.beats)
        limits += f", for {narrow.name} has {narrow.beats:,} beats"
        other = _operator_at(model, narrow.name, upstream=narrow is source)
        operator = other or operator
        fold = _next_fold(operator, "PE" if narrow is source else "SIMD")
    else:
        fold = _next_fold(operator)
    if fold:
        attribute, now, then, rule = fold
        text = f"{limits}: raise {attribute} of {operator.name} from {now} to {then} ({rule}){follows}"
        return Advice("fold", operator.name, attribute, now, then, text)
    for stream in (*model.design.inputs, *model.design.outputs):
        if stream.name in (*operator.inputs, *operator.outputs) and stream.beats >= NEAR * cycles:
            text = (
                f"the {stream.role} {stream.name} limits: a frame is {stream.beats:,} beats, one a cycle at most, and "
                f"{operator.name} has no wider ones"
            )
            return Advice("port", stream.name, None, None, None, text)
    text = f"{limits}, though it is as parallel as it can be: only fewer channels or pixels make it faster"
    return Advice("full", operator.name, None, None, None, text)


def _next_fold(operator: Operator, side: str | None = None) -> tuple[str, int, int, str] | None:
    """Attribute, its value, the next one, and the rule: the smallest step; among equals SIMD, which adds no sums.

    Of a unit, ``side`` names the attribute of the stream that shall become wider.
    """
    attributes = operator.attributes
    found = folds(operator.op_type, attributes.__getitem__)
    steps = []
    for fold in found:
        now = attributes[fold.attribute]
        wider = [value for value in fold.values if value > now]
        if wider and (side in (None, fold.attribute) or len(found) == 1):
            divided = attributes[fold.divides]
            of = f"{fold.divides} {divided if isinstance(divided, int) else ', '.join(map(str, divided))}"
            steps.append((wider[0] / now, fold.attribute, now, wider[0], f"{of} % {fold.attribute} == 0"))
    if steps:
        return min(steps, key=lambda step: step[0])[1:]
    if operator.op_type == WINDOW and not attributes.get("parallel_window"):
        return "parallel_window", 0, 1, "SIMD is IFMChannels"
    return None


def _on_fifos(
    model: CycleModel, blocked: Mapping[str, int], interval: int, best: int, frames: int, progress: bool
) -> Advice:
    """The fewest FIFOs that have to be deeper for the speed of unbounded ones, and how deep."""
    fifos = {fifo.name: fifo for fifo in model.design.fifos}
    ahead = {name: blocked.get(model.streams[fifo.source].producer, 0) for name, fifo in fifos.items()}

    def enough(names: list[str]) -> bool:
        return NEAR * _interval(model, names, frames, progress) <= best

    names = sorted(fifos, key=lambda name: -ahead[name])
    few, many = 0, len(names)  # the first `many` are enough, the first `few` are not
    while many - few > 1:
        middle = (few + many) // 2
        few, many = (few, middle) if enough(names[:middle]) else (middle, many)
    group = names[:many]
    for name in names[: many - 1] if many <= TRIALS else ():
        others = [other for other in group if other != name]
        group = others if enough(others) else group
    made = _interval(model, group, frames, progress)
    record = [end for name in group for end in (fifos[name].source, fifos[name].sink)]
    deeper = model.resized({**model.sizes, **dict.fromkeys(group, UNBOUNDED)})
    run = finished(deeper, frames, record=record, pace=made, progress=progress)
    needed = {name: int(peak(run.cycles[fifos[name].source], run.cycles[fifos[name].sink])) for name in group}
    now = {name: _depth(model, fifos[name]) for name in group}
    lacking = sorted(group, key=lambda name: now[name] - needed[name])
    rooms = [f"{name} for {needed[name]:,} beats (now {now[name]:,})" for name in lacking[:NAMED]]
    if len(group) > NAMED:
        rooms.append(f"{len(group) - NAMED} more (compile sizes FIFOs where no fifo_depth is given)")
    text = f"FIFOs limit: with room in {', in '.join(rooms)} the interval is {made:,} instead of {interval:,} cycles"
    return Advice("fifo", lacking[0], "depth", now[lacking[0]], needed[lacking[0]], text)


def _on_join(model: CycleModel, blocked: Mapping[str, int], interval: int, slowest: Operator, own: int) -> Advice:
    buffered = {fifo.source for fifo in model.design.fifos}
    wires = [
        (blocked[operator.name], name)
        for operator in model.operators
        for name in operator.outputs
        if name not in buffered and model.streams[name].consumer
    ]
    text = (
        f"no operator takes more than {own:,} of the {interval:,} cycles by itself ({slowest.name}), and deeper FIFOs "
        "do not help: operators hold each other up"
    )
    if not wires:
        return Advice("join", slowest.name, None, None, None, text)
    stream = model.streams[max(wires)[1]]
    text += f", most of all {stream.producer} and {stream.consumer}, which have no FIFO between them"
    return Advice("join", stream.name, None, None, None, text)


def _interval(model: CycleModel, unbounded: list[str], frames: int, progress: bool) -> int:
    """The accelerator's, if some FIFOs are never full."""
    run = finished(model.resized({**model.sizes, **dict.fromkeys(unbounded, UNBOUNDED)}), frames, progress=progress)
    return rate(model.design, run.cycles, frames).interval


def _operator_at(model: CycleModel, stream: str, upstream: bool) -> Operator | None:
    """The operator at the far end of a stream, FIFOs left out; None for a port."""
    queue = next(queue for queue in model.queues if stream in (queue.source, queue.sink))
    end = model.streams[queue.source].producer if upstream else model.streams[queue.sink].consumer
    return next((operator for operator in model.operators if operator.name == end), None)


def _depth(model: CycleModel, fifo: Fifo) -> int:
    size = model.sizes.get(fifo.name)
    return fifo.depth if size is None else int(size.depth)
