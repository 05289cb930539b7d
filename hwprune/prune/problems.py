"""What a network cannot be pruned by, found before anything trains. Imports no torch, so that a recipe is read
quickly."""

from collections.abc import Iterator

from hwprune.errors import UserError
from hwprune.models.architecture import Architecture
from hwprune.prune.groups import Group, channel_groups, groups_among
from hwprune.prune.layers import LayersError, heads_behind, layer_set, matching, shared
from hwprune.prune.settings import (
    L1NormSettings,
    MultiLayerSettings,
    PruneSettings,
    RandomSettings,
    SlimmingSettings,
    UniformSettings,
    hardware_width,
)
from hwprune.yaml_places import show

Problem = tuple[tuple[str | int, ...], str]
"""The way to a field below `prune`, and what is wrong with it."""


def check(settings: PruneSettings, architecture: Architecture) -> None:
    """Raise what is wrong.

    Raises
    ------
    UserError
        With everything that `problems` finds.
    """
    found = [f"{show(('prune', *way))}: {message}" for way, message in problems(settings, architecture)]
    if found:
        raise UserError("; ".join(found))


def problems(settings: PruneSettings, architecture: Architecture) -> Iterator[Problem]:
    """All that keeps ``settings`` from being carried out on a network with this layer table."""
    match settings:
        case SlimmingSettings():
            yield from _without_norms(architecture)
        case MultiLayerSettings():
            yield from _phases(settings, architecture)
        case L1NormSettings() | RandomSettings():
            yield from _shares(settings, architecture)
        case UniformSettings():
            yield from _empty("width", settings, channel_groups(architecture), architecture)


def _without_norms(architecture: Architecture) -> Iterator[Problem]:
    members = [architecture[name] for group in channel_groups(architecture) for name in group.members]
    bare = [layer.name for layer in members if not layer.norm]
    if bare and len(bare) == len(members):
        yield (
            ("method",),
            f"slimming goes by the scales of batch norm, but layers {', '.join(bare)} have none; set model.norm: true "
            "where the model has that switch, or take another method, such as multilayer",
        )


def _phases(settings: MultiLayerSettings, architecture: Architecture) -> Iterator[Problem]:
    bad = False
    for i, (first, last) in enumerate(settings.phases):
        try:
            names = layer_set(architecture, first, last)
        except LayersError as error:
            bad = True
            yield ("phases", i), str(error)
            continue
        groups = groups_among(architecture, names)
        counted = [*names, *(name for group in groups for name in group.members if name not in names)]
        if sam := [name for name in counted if architecture[name].sam]:
            yield ("phases", i), _no_weights(sam)
        if not groups:
            yield ("phases", i), f"the channels of {first} to {last} are tied to the image's or a head's: none can go"
    if not bad:
        for i, j, both in shared(settings.phases, architecture):
            yield (
                ("phases", j),
                f"shares {', '.join(both)} with phases[{i}]; two sets may share the layer that ends one and begins the "
                "other, and no more",
            )
    if "fully_connected" in settings.model_fields_set:
        try:
            matching(architecture, settings.fully_connected)
        except LayersError as error:
            yield ("fully_connected",), str(error)


def _shares(settings: L1NormSettings | RandomSettings, architecture: Architecture) -> Iterator[Problem]:
    try:
        names = matching(architecture, settings.layers)
    except LayersError as error:
        yield ("layers",), str(error)
        return
    groups = groups_among(architecture, names)
    if not groups:
        yield ("layers",), f"the channels of {', '.join(names)} are tied to the image's or a head's: none can go"
    for group in groups:
        if missing := [name for name in group.members if name not in names]:
            given = [name for name in group.members if name in names]
            yield (
                ("layers",),
                f"the channels of {', '.join(given)} go together with those of {', '.join(missing)}; name all or none",
            )
    if isinstance(settings, L1NormSettings) and (sam := [name for name in names if architecture[name].sam]):
        yield ("layers",), _no_weights(sam)
    if not (isinstance(settings, L1NormSettings) and settings.budget):
        yield from _empty("fraction", settings, groups, architecture)


def _empty(
    field: str, settings: L1NormSettings | RandomSettings | UniformSettings, groups: list[Group],
    architecture: Architecture,
) -> Iterator[Problem]:  # fmt: skip
    for group in groups:
        width = group.width
        for _ in range(settings.rounds):
            left = settings.left(width)
            if left < 1:
                heads = sorted({head for name in group.members for head in heads_behind(architecture, name)})
                without = f", and {', '.join(heads)} no input" if heads else ""
                yield (
                    (field,),
                    f"{getattr(settings, field):g} would leave layer {', '.join(group.members)}, of {width} channels, "
                    f"none{without}; take a {'smaller fraction' if field == 'fraction' else 'greater width'}"
                    + (", or leave it out of layers" if field == "fraction" else ""),
                )
                break
            width = hardware_width(left, width, settings)


def _no_weights(layers: list[str]) -> str:
    return (
        f"{', '.join(layers)} are of SAM neurons, whose weights are no factors: near zero says nothing of them; prune "
        "before they become SAM (model.neurons_from), or take another method"
    )
