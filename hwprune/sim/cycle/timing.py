"""What a kernel needs to know of one operator."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from hwprune.accel.design import Operator, Stream
from hwprune.errors import UserError


@dataclass(frozen=True)
class Timing:
    """An operator, in numbers.

    Attributes
    ----------
    parameters
        Integers, as the kernel's module names them.
    rings
        For each ring of the kernel, how many of its last numbers are looked back on.
    tables
        Read-only tables.
    """

    parameters: tuple[int, ...] = ()
    rings: tuple[int, ...] = ()
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
