"""Which layers a recipe means: patterns of names, and runs of consecutive layers. Imports no torch."""

import difflib
from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase

from hwprune.models.architecture import IMAGE, Architecture


class LayersError(ValueError):
    """Layers that a network does not have, or not so."""


def convolutions(architecture: Architecture) -> list[str]:
    """The convolutions whose outputs no head is, in execution order."""
    return [layer.name for layer in architecture.layers if layer.op == "conv" and layer.name not in architecture.heads]


def matching(architecture: Architecture, patterns: Iterable[str]) -> list[str]:
    """The convolutions, heads left out, that a name or pattern (``conv[4-7]``) means; in execution order.

    Raises
    ------
    LayersError
        If a pattern means none.
    """
    names, chosen = convolutions(architecture), set()
    for pattern in patterns:
        found = {name for name in names if fnmatchcase(name, pattern)}
        if not found:
            raise LayersError(unknown(architecture, pattern))
        chosen |= found
    return [name for name in names if name in chosen]


def layer_set(architecture: Architecture, first: str, last: str) -> tuple[str, ...]:
    """A set of consecutive layers: every convolution on a way from ``first`` to ``last``, both included, and the heads
    (those that are convolutions) that read one of them; in execution order.

    Raises
    ------
    LayersError
        If one of them is no convolution of the network or is a head, or if ``last`` is not behind ``first``.
    """
    names = convolutions(architecture)
    for name in (first, last):
        if name not in names:
            raise LayersError(unknown(architecture, name))
    behind = _behind(architecture)
    if first != last and first not in behind[last]:
        way_out = f"; give them in the order of the data flow, [{last}, {first}]" if last in behind[first] else ""
        raise LayersError(f"{last} does not come behind {first}, so these are no consecutive layers{way_out}")
    run = {name for name in names if name in (first, last) or (first in behind[name] and name in behind[last])}
    near = _sources(architecture)
    return tuple(
        layer.name
        for layer in architecture.layers
        if layer.name in run or (layer.op == "conv" and layer.name in architecture.heads and run & near[layer.name])
    )


def heads_behind(architecture: Architecture, name: str) -> list[str]:
    """The heads that read convolution ``name``."""
    near = _sources(architecture)
    return [head for head in architecture.heads if name in near[head]]


def unknown(architecture: Architecture, name: str) -> str:
    """What is wrong with a name or pattern that is none of the layers whose width is free."""
    names = convolutions(architecture)
    if name in architecture.heads:
        return f"{name} is a head, whose outputs are fixed; the heads that read a set of layers belong to it anyway"
    close = difflib.get_close_matches(name, names, n=1)
    guess = f"did you mean {close[0]}? " if close else ""
    return f"{name} is no convolution of the network; {guess}there are {', '.join(names)}"


def _sources(architecture: Architecture) -> dict[str, set[str]]:
    """For every layer, the convolutions whose outputs it reads, through pools and joins."""
    outputs: dict[str, set[str]] = {IMAGE: set()}
    reads = {}
    for layer in architecture.layers:
        reads[layer.name] = set().union(*(outputs[source] for source in layer.inputs))
        outputs[layer.name] = {layer.name} if layer.op == "conv" else reads[layer.name]
    return reads


def _behind(architecture: Architecture) -> dict[str, set[str]]:
    """For every layer, all convolutions that come before it."""
    reads, behind = _sources(architecture), {}
    for layer in architecture.layers:
        behind[layer.name] = reads[layer.name].union(*(behind[source] for source in reads[layer.name]))
    return behind


def shared(sets: Sequence[tuple[str, str]], architecture: Architecture) -> Iterable[tuple[int, int, list[str]]]:
    """Pairs of runs that overlap by more than the last layer of one that is the first of the other: their numbers, and
    the convolutions that are in both."""
    runs = [set(layer_set(architecture, *run)).difference(architecture.heads) for run in sets]
    for j in range(len(sets)):
        for i in range(j):
            common = runs[i] & runs[j]
            joints = {a for a, b in ((sets[i][1], sets[j][0]), (sets[j][1], sets[i][0])) if a == b}
            if len(common) > 1 or common - joints:
                yield i, j, [name for name in convolutions(architecture) if name in common]
