"""What a kernel needs to know of one operator."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from hwprune.accel.design import Operator, Stream
from hwprune.errors import UserError


@dataclass(frozen=True)
class Ring:
    """Numbers that a kernel remembers, in their order (`hwprune.sim.cycle.machine.remember`).

    Attributes
    ----------
    length
        How many of the last ones are looked back on; 0 where the ring is not used.
    count
        Place in the kernel's state: up to which number they are there.
    first
        From which number on.
    lag
        Place in the kernel's state: cycles by which each is short of the clock; None if they are cycles of the clock.
    """

    length: int
    count: int
    first: int = 0
    lag: int | None = None


@dataclass(frozen=True)
class Timing:
    """An operator, in numbers.

    Attributes
    ----------
    parameters
        Integers, as the kernel's module names them.
    takes, gives
        For each input and output, how many beats go together: of a frame, a vector, or whatever the kernel repeats.
    rings
        Of the kernel.
    tables
        Read-only tables.
    """

    parameters: tuple[int, ...] = ()
    takes: tuple[int, ...] = ()
    gives: tuple[int, ...] = ()
    rings: tuple[Ring, ...] = ()
    tables: tuple[np.ndarray, ...] = field(default=())


Streams = Mapping[str, Stream]


def require(operator: Operator, condition: bool, what: str) -> None:
    """Refuse an operator in a shape that its kernel does not know.

    Raises
    ------
    UserError
        Naming the operator.
    """
    if not condition:
        raise UserError(f"operator {operator.name} ({operator.op_type}): the level cycle has no timing for {what}")
