"""Whether the streams of a design fit its operators: a beat too many or too few would end in a deadlock or worse."""

from collections.abc import Sequence

from hwprune.accel.design import Operator, Stream
from hwprune.errors import UserError
from hwprune.sim.cycle.timing import Streams, Timing


def require_streams(operators: Sequence[Operator], streams: Streams) -> None:
    """Every port has its stream, and every end of a stream its port.

    Raises
    ------
    UserError
        Naming the operator and the stream.
    """
    ends = {(stream.name, side, end) for stream in streams.values() for side, end in _ends(stream) if end is not None}
    ports = set()
    for operator in operators:
        for side, names in (("consumer", operator.inputs), ("producer", operator.outputs)):
            for name in names:
                port = name, side, operator.name
                if port not in ends or port in ports:
                    raise UserError(f"{_named(operator)}: is not the {side} of stream {name}, which is at its port")
                ports.add(port)
    if lacking := sorted(ends - ports):
        name, side, operator = lacking[0]
        raise UserError(f"stream {name}: its {side} {operator} has no port for it")


def _ends(stream: Stream) -> tuple[tuple[str, str | None], ...]:
    return ("consumer", stream.consumer), ("producer", stream.producer)


def require_fit(operator: Operator, timing: Timing, streams: Streams) -> None:
    """The beats of a frame are a whole number of what an operator takes and gives together, the same on every port.

    Raises
    ------
    UserError
        Naming the operator, the stream, and both numbers of beats.
    """
    for names, beats, side in ((operator.inputs, timing.takes, "input"), (operator.outputs, timing.gives, "output")):
        if len(names) != len(beats):
            raise UserError(
                f"{_named(operator)}: has {len(names)} {side} streams, but its attributes make {len(beats)}"
            )
        if 0 in beats:
            raise UserError(
                f"{_named(operator)}: stream {names[beats.index(0)]} has no beat by the operator's attributes"
            )
    first, *others = zip((*operator.inputs, *operator.outputs), (*timing.takes, *timing.gives), strict=True)
    name, beats = first
    rounds, rest = divmod(streams[name].beats, beats)
    if rest or not rounds:
        raise UserError(
            f"{_named(operator)}: stream {name} has {streams[name].beats} beats a frame, but by its attributes "
            f"the operator takes {beats} together"
        )
    for other, made in others:
        if streams[other].beats != rounds * made:
            raise UserError(
                f"{_named(operator)}: stream {other} has {streams[other].beats} beats a frame, but by its attributes "
                f"the operator makes that {rounds * made} for the {rounds * beats} of stream {name}"
            )


def _named(operator: Operator) -> str:
    return f"operator {operator.name} ({operator.op_type})"
