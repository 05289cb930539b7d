"""What each section of a recipe allows, and the recipe as a whole does not."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from hwprune.board.backends import backend_for
from hwprune.board.board import load_board
from hwprune.data.config import DataConfig
from hwprune.errors import UserError
from hwprune.models.catalogue import CATALOGUE, Model
from hwprune.prune.problems import problems
from hwprune.recipe_errors import did_you_mean
from hwprune.sam.choice import choose
from hwprune.yaml_places import Keys

if TYPE_CHECKING:
    from hwprune.recipe import ModelSettings, Recipe, SimulateSettings


def clashes(recipe: "Recipe") -> Iterator[tuple[Keys, str]]:
    """What each section allows, and the recipe as a whole does not."""
    yield from unserved(recipe.simulate)
    if recipe.compile.fifo_fps is not None and recipe.compile.fifo_depth is not None:
        yield (
            ("compile", "fifo_fps"),
            "FIFOs of a given depth, compile.fifo_depth, are not sized; leave one of them out",
        )
    yield from _build_clashes(recipe)
    found = list(_model_clashes(recipe))
    yield from found
    if recipe.model.darknet_cfg or found:
        return
    try:
        # How many classes there are changes nothing of what layers read.
        table = recipe.model.architecture(1, recipe.data.image_size)
    except ValueError as error:  # all but the size has been looked at
        yield ("data", "image_size"), str(error)
        return
    narrowest = min(
        layer.out_channels for layer in table.layers if layer.op == "conv" and layer.name not in table.heads
    )
    for field in ("multiple", "min_channels"):
        value = getattr(recipe.prune, field)
        if value > narrowest:
            yield ("prune", field), f"{value} is more than the narrowest of model.widths, {narrowest}"
    for error in choose(recipe.model.neurons, table, recipe.quantize.activation)[1]:
        yield ("model", "neurons", error.pattern, *([error.field] if error.field else [])), str(error)
    for way, message in problems(recipe.prune, table):
        yield ("prune", *way), message


def _model_clashes(recipe: "Recipe") -> Iterator[tuple[Keys, str]]:
    """Where the model's name, its options and the data do not go together."""
    model, data = recipe.model, recipe.data
    wanted = "classes" if model.source.head == "classes" and not model.darknet_cfg else "boxes"
    if data.labels != wanted:
        does = "classifies whole images" if wanted == "classes" else "detects"
        fitting = [name for name, entry in CATALOGUE.items() if (entry.head == "classes") == (data.labels == "classes")]
        yield (
            ("model", "darknet_cfg" if model.darknet_cfg else "name"),
            (
                f"{'a darknet network' if model.darknet_cfg else model.name} {does}, but data.source {data.source} has "
                f"{data.labels}; take {' or '.join(fitting)}, or other data"
            ),
        )
    if model.darknet_cfg:
        yield from _size_clashes("a darknet network", CATALOGUE["yolov3_tiny"], data)
        return
    fields = type(model).model_fields
    for option in sorted({option for entry in CATALOGUE.values() for option in entry.options} & fields.keys()):
        if getattr(model, option) != fields[option].default and option not in model.source.options:
            those = [name for name, entry in CATALOGUE.items() if option in entry.options]
            yield ("model", option), f"{model.name} has no such option; {', '.join(those)} have it"
    yield from _size_clashes(model.name, model.source, data)
    try:
        usual = model.usual_widths()
    except ValueError as error:
        yield ("model", *model.source.width_options), str(error)
        return
    yield from _width_clashes(model, usual)
    if model.torchvision_weights:
        yield from _torchvision_clashes(model, data)


def _size_clashes(name: str, entry: Model, data: DataConfig) -> Iterator[tuple[Keys, str]]:
    for i, side in enumerate(data.image_size):
        if side % entry.multiple:
            yield (
                ("data", "image_size", i),
                f"{name} needs a multiple of {entry.multiple}, its coarsest stride, not {side}",
            )
    if entry.square and data.image_size[0] != data.image_size[1]:
        yield ("data", "image_size"), f"{name} takes square images, not {data.image_size[0]}x{data.image_size[1]}"


def _width_clashes(model: "ModelSettings", usual: dict[str, int]) -> Iterator[tuple[Keys, str]]:
    if isinstance(model.widths, dict):
        for layer in model.widths.keys() - usual.keys():
            yield (
                ("model", "widths", layer),
                f"{model.name} has no such layer whose width is free{did_you_mean(layer, list(usual))}; there are "
                f"{', '.join(usual)}",
            )
    elif model.name != "yolov3_tiny":
        yield ("model", "widths"), f"{model.name} takes widths by the names of layers: {{{next(iter(usual))}: 16}}"
    elif len(model.widths) != len(usual):
        yield ("model", "widths"), f"should have {len(usual)} items ({', '.join(usual)}), not {len(model.widths)}"


def _torchvision_clashes(model: "ModelSettings", data: DataConfig) -> Iterator[tuple[Keys, str]]:
    at = ("model", "torchvision_weights")
    if model.name != "ssd300":
        yield at, f"they are those of ssd300, not of {model.name}"
        return
    if model.widths or model.norm or model.detection_layers not in (None, 6):
        yield at, "they fit the published ssd300 only, without model.widths, norm and detection_layers"
    if tuple(data.image_size) != (300, 300):
        yield ("data", "image_size"), f"torchvision's ssd300 needs [300, 300], not {list(data.image_size)}"


def _build_clashes(recipe: "Recipe") -> Iterator[tuple[Keys, str]]:
    if recipe.build is None:
        return
    if recipe.compile.board is None:
        yield ("build",), "a bitstream is for a board; name it: compile: {board: pynq-z2}"
        return
    try:
        backend_for(load_board(recipe.compile.board), recipe.build.backend)
    except UserError as error:
        yield ("build", "backend"), str(error)


def unserved(simulate: "SimulateSettings") -> Iterator[tuple[Keys, str]]:
    """Traces that the levels and frames do not give."""
    traces = simulate.traces
    if traces is None:
        return
    if "cycle" not in simulate.levels:
        levels = ", ".join(simulate.levels)
        yield ("simulate", "traces"), f"the level cycle writes them, which is not among the levels ({levels}); add it"
    if traces.values and traces.frames > simulate.frames:
        yield (
            ("simulate", "traces", "frames"),
            f"{traces.frames} with values are more than simulate.frames, {simulate.frames}; raise that, or set "
            "simulate.traces.values to false",
        )
