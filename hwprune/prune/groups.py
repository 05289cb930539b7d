"""Which channels can go, and which must go together.

A residual join ties channel i of its inputs, a concat shifts channels, pools and upsampling pass them on. The layer
table says all this in a few rows, so it is read here rather than traced from the module's graph by a library such as
Torch-Pruning: the table has to be narrowed in step with the weights anyway, and the constants that pruned channels
leave behind travel along the same rows (see `hwprune.prune.surgery`). Torch-Pruning 1.6.1, set the same cuts, was exact
on SSD300, VGG16 and tiny-YOLOv3; of 262 single channels of random tables (as of our tests), 46 left a network that no
longer runs, where a tensor meets itself in a join or a branch leads to no head, and it cannot trace SAM layers.
"""

from collections.abc import Collection, Hashable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from hwprune.models.architecture import IMAGE, Architecture, Conv

Channel = tuple[str, int]
"""A prunable channel: its group's name and its number there; or, of what is not pruned, a layer's name and a number."""


@dataclass(frozen=True)
class Group:
    """Convolutions whose output channels are tied.

    Attributes
    ----------
    name
        Its first convolution, in execution order.
    width
        How many channels it has; each can be removed without the others.
    members
        For every convolution, the group's channel that each of its output channels is.
    """

    name: str
    width: int
    members: dict[str, tuple[int, ...]]


class _UnionFind:
    def __init__(self):
        self._parent: dict[Hashable, Hashable] = {}

    def find(self, item: Hashable) -> Hashable:
        root = item
        while (parent := self._parent.get(root, root)) != root:
            root = parent
        while item != root:
            self._parent[item], item = root, self._parent.get(item, root)
        return root

    def union(self, a: Hashable, b: Hashable) -> None:
        self._parent[self.find(b)] = self.find(a)


@lru_cache(maxsize=8)  # sparsifying asks at every step
def channel_groups(architecture: Architecture) -> tuple[Group, ...]:
    """The groups that may be narrowed, in execution order.

    Left out is every group with a channel that is also a channel of the image or of a head.
    """
    ties, outputs = _UnionFind(), {IMAGE: [(IMAGE, i) for i in range(architecture.in_channels)]}
    for layer in architecture.layers:
        first, *others = incoming = [outputs[source] for source in layer.inputs]
        if layer.op == "conv":
            outputs[layer.name] = [(layer.name, i) for i in range(layer.out_channels)]
        elif layer.op == "concat":
            outputs[layer.name] = [channel for channels in incoming for channel in channels]
        else:
            outputs[layer.name] = first
            for other in others:
                for a, b in zip(first, other, strict=True):
                    ties.union(a, b)

    fixed = {ties.find(channel) for name in (IMAGE, *architecture.heads) for channel in outputs[name]}
    convs = [layer.name for layer in architecture.layers if layer.op == "conv"]
    roots = {name: [ties.find(channel) for channel in outputs[name]] for name in convs}
    together = _UnionFind()
    for name in convs:
        for root in roots[name]:
            together.union(root, name)
    members: dict[Hashable, list[str]] = {}
    for name in convs:
        members.setdefault(together.find(name), []).append(name)

    groups = []
    for names in members.values():
        numbers = {root: i for i, root in enumerate(dict.fromkeys(root for name in names for root in roots[name]))}
        if fixed.isdisjoint(numbers):
            tied = {name: tuple(numbers[root] for root in roots[name]) for name in names}
            groups.append(Group(names[0], len(numbers), tied))
    return tuple(groups)


def groups_among(architecture: Architecture, names: Collection[str]) -> list[Group]:
    """The groups that have one of these convolutions."""
    return [group for group in channel_groups(architecture) if not group.members.keys().isdisjoint(names)]


def input_channels(architecture: Architecture, groups: Sequence[Group]) -> dict[str, list[Channel]]:
    """For every convolution, in execution order, which channel each of its inputs is.

    Channels of ``groups`` go by the group's name, others by the layer's that makes them; one may come twice.
    """
    named = {name: [(group.name, i) for i in numbers] for group in groups for name, numbers in group.members.items()}
    outputs = {IMAGE: [(IMAGE, i) for i in range(architecture.in_channels)]}
    read = {}
    for layer in architecture.layers:
        incoming = [channel for source in layer.inputs for channel in outputs[source]]
        if layer.op == "conv":
            read[layer.name] = incoming
            own = [(layer.name, i) for i in range(layer.out_channels)]
            outputs[layer.name] = named.get(layer.name, own)
        else:
            outputs[layer.name] = incoming if layer.op == "concat" else outputs[layer.inputs[0]]
    return read


def input_groups(layer: Conv, in_channels: int) -> tuple[int, int]:
    """Into groups of how many consecutive input channels a SAM layer falls, and how many of each must stay.

    All must keep equally many, for hardware has one size of group for a layer; a difference needs two connections.
    """
    places = 1 if layer.sam.group else layer.kernel**2
    return layer.sam.group or in_channels, 1 if layer.sam.allows(places) else 2
