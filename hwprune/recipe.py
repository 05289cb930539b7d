"""The recipe: every knob of a run, typed, with units and defaults.

One YAML file, checked whole before anything starts: all that is wrong with it is told at once, each with its place.
"""

import difflib
import json
import re
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Discriminator, Field, PositiveInt, Tag, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from hwprune import yaml_places
from hwprune.data.config import DataConfig
from hwprune.errors import UserError
from hwprune.files import write_text
from hwprune.models.architecture import Architecture
from hwprune.models.catalogue import CATALOGUE, Model
from hwprune.prune.problems import problems
from hwprune.prune.settings import PruneSettings, SlimmingSettings, SparsifySettings
from hwprune.quant.precision import Precision
from hwprune.sam.choice import Neurons, choose
from hwprune.train.settings import TrainSettings
from hwprune.yaml_places import Document, Keys, Problem, show

COMPACT_WIDTHS = (8, 16, 32, 64, 96, 128, 192, 64, 128, 48, 96)
"""A tiny-YOLOv3 that two processor cores train in minutes."""


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, use_attribute_docstrings=True)


class ModelSettings(_Section):
    """The network before pruning."""

    name: Literal["yolov3_tiny", "ssd300", "ssd512", "vgg16", "vgg19_bn"] = "yolov3_tiny"
    """Layer table to start from: ``yolov3_tiny``, ``ssd300`` and ``ssd512`` detect, ``vgg16`` and ``vgg19_bn``
    classify. The options below are for some of them only."""
    widths: Annotated[
        Annotated[tuple[PositiveInt, ...], Tag("by position")] | Annotated[dict[str, PositiveInt], Tag("by name")],
        Discriminator(lambda value: "by name" if isinstance(value, dict) else "by position"),
    ] = Field(default_factory=lambda settings: COMPACT_WIDTHS if settings["name"] == "yolov3_tiny" else {})
    """Channels of layers, by name (``{conv4_3: 331}``): those not named are as wide as published. For yolov3_tiny it
    may be a list, for conv1 to conv9, conv11 and conv12; darknet's own are 16, 32, 64, 128, 256, 512, 1024, 256, 512,
    128, 256, and without any the network is smaller."""
    activation: Literal["leaky", "relu"] = "leaky"
    """yolov3_tiny: after every convolution but the heads'; the leaky slope is 0.1. The others have ReLU."""
    anchors_per_head: PositiveInt = 3
    """yolov3_tiny: boxes per cell, clustered from the training boxes."""
    norm: bool | None = None
    """ssd300, ssd512, vgg16: batch norm in place of biases, in all layers but the heads; published without."""
    detection_layers: PositiveInt | None = None
    """ssd300, ssd512: how many of the 6, or 7, detection layers there are; a small image takes fewer."""
    fully_connected: tuple[PositiveInt, ...] | None = None
    """vgg16: neurons of the hidden fully connected layers fc6, fc7, ...; by default 4096 and 4096. CIFAR-10 has one,
    of 512."""
    torchvision_weights: Path | None = None
    """ssd300 of 300x300 pixels: the state dict of torchvision's ssd300_vgg16 to start from. For data with another
    number of classes the layers that tell classes start anew."""
    darknet_cfg: Path | None = None
    """A darknet .cfg to take the network from, in place of `name` and `widths`."""
    darknet_weights: Path | None = None
    """A darknet .weights file to start from; it needs `darknet_cfg`."""
    neurons: Neurons = {}
    """Layers of other neurons than multiply-accumulate (``mac``): by name or pattern (``conv[4-8]``), such as
    ``{neuron: sam}``, which is short for ``{neuron: sam, form: signed, group: 1, shift: 0}`` with a ``floor`` in each
    layer whose inputs are never negative (behind `quantize.activation` relu). The last pattern that matches decides."""
    neurons_from: Literal["train", "finetune", "quantize"] = "finetune"
    """The stage from which on `neurons` holds. ``finetune`` and ``quantize`` convert the pruned network of
    multiply-accumulates that they are given, and learn from it; ``train`` has SAM from the start, which takes more
    training."""

    @model_validator(mode="after")
    def _weights_need_their_cfg(self):
        if self.darknet_weights and not self.darknet_cfg:
            raise ValueError("darknet_weights needs darknet_cfg, which says how the weights lie in the file")
        return self

    @property
    def source(self) -> "Model":
        """The catalogue's entry of this name."""
        return CATALOGUE[self.name]

    def options(self) -> dict[str, Any]:
        """Those of the model's options that are set."""
        chosen = {name: getattr(self, name, None) for name in sorted(self.source.options)}
        return {name: value for name, value in chosen.items() if value is not None}

    def usual_widths(self) -> dict[str, int]:
        """Published channels by layer name; `ValueError` where the options do not allow any."""
        return self.source.widths(**{k: v for k, v in self.options().items() if k in self.source.width_options})

    def architecture(self, classes: int, image_size: tuple[int, int]) -> Architecture:
        """The layer table before pruning, for so many classes (without background) and images of (height, width).

        Raises
        ------
        ValueError
            If the network cannot have these widths or options, or cannot take such an image.
        """
        widths = self.widths
        if isinstance(widths, tuple):
            widths = dict(zip(self.usual_widths(), widths, strict=True))
        return self.source.build(classes, widths, tuple(image_size), **self.options())


class SparsifyTraining(SparsifySettings, TrainSettings):
    """Further training under a penalty that presses channels towards zero."""


class QuantizeTraining(Precision, TrainSettings):
    """Bits of weights and activations, and the training that makes good for them."""


class CompileSettings(_Section):
    """The accelerator's goal: a speed, or a budget that the fastest design must keep to."""

    part: Annotated[str, Field(pattern=r"^xc[a-z0-9]+(-[a-z0-9]+)*$")] = "xc7z020clg400-1"
    """Xilinx part; the default is that of the PYNQ-Z1 and PYNQ-Z2 boards."""
    clock_mhz: Annotated[float, Field(gt=0, le=1000)] = 100.0
    """Clock of the accelerator, in MHz."""
    target_fps: Annotated[float, Field(gt=0)] | None = None
    """Frames a second that the slowest operator must reach; 30 where no goal is given."""
    max_luts: PositiveInt | None = None
    """Budget of look-up tables, in place of `target_fps`; by estimate, without FIFOs and width converters."""
    max_dsps: PositiveInt | None = None
    """Budget of DSP slices, in place of `target_fps`; by FINN's estimate."""
    max_brams: PositiveInt | None = None
    """Budget of block RAMs of 18 Kb, in place of `target_fps`; by FINN's estimate."""
    fifo_depth: Annotated[int, Field(ge=2, le=1 << 16)] | None = None
    """Depth of every FIFO in beats; where it is not given, each is as small as keeps the speed, by the cycle model."""
    fifo_fps: Annotated[float, Field(gt=0)] | None = None
    """Frames a second that are enough for the sizing of FIFOs; where it is not given, those of FIFOs never full."""

    @model_validator(mode="before")
    @classmethod
    def _one_goal(cls, values: Any) -> Any:
        if not isinstance(values, dict):
            return values
        budget = [name for name in ("max_luts", "max_dsps", "max_brams") if values.get(name) is not None]
        if values.get("target_fps") is None:
            return values if budget else {**values, "target_fps": 30.0}
        if budget:
            raise ValueError(f"give target_fps or a budget ({' and '.join(budget)}), not both")
        return values


class TraceSettings(_Section):
    """Beats of streams in files: `traces.npz`, `traces.parquet`, `traces.vcd` (for GTKWave or Surfer)."""

    streams: Annotated[tuple[str, ...], Field(min_length=1)]
    """Names or patterns (`conv1_*`; `*` for all)."""
    formats: Annotated[tuple[Literal["npz", "parquet", "vcd"], ...], Field(min_length=1)] = ("npz",)
    """One file for each."""
    frames: PositiveInt = 1
    """Frames that are recorded."""
    values: bool = True
    """What passes, beside when it passes."""
    max_mib: PositiveInt = 2048
    """Memory, and disk, that the traces may take; more is refused before anything starts."""


class SimulateSettings(_Section):
    """What the check of the hardware against the network runs."""

    frames: PositiveInt = 3
    """Frames compared beat by beat on every stream."""
    traces: TraceSettings | None = None
    """Beats to be written to files; by the level `cycle`."""
    levels: Annotated[tuple[Literal["csim", "cycle", "rtl"], ...], Field(min_length=1)] = ("csim", "cycle", "rtl")
    """Levels that run beside the network: `csim`, the operators' HLS C++ compiled with g++; `cycle`, the cycle model
    (seconds: latency, frames a second, what limits them); `rtl`, Verilator. With the last two, cycles are compared."""
    stall_percent: Annotated[int, Field(ge=0, le=90)] = 30
    """Share of cycles in which a stalled run holds a stream back, in percent; 0 runs without stalls only."""
    seeds: Annotated[tuple[Annotated[int, Field(ge=0)], ...], Field(min_length=1)] = (1, 2)
    """One stalled run for each."""
    validation_images: Annotated[int, Field(ge=0)] | None = None
    """The accelerator's score is measured on that many validation images, the first ones; on all of
    them where it is not given, and not at all with 0. A frame of a large network takes many seconds to simulate."""


class ReportSettings(_Section):
    """The report."""

    images: Annotated[int, Field(ge=0, le=12)] = 8
    """Validation images drawn with their boxes, or with their classes."""
    confidence: Annotated[float, Field(ge=0, le=1)] = 0.3
    """Detections below this confidence are not drawn."""


class Recipe(_Section):
    """Every knob of a run."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$", max_length=100)] = "run"
    """Names the run folder; in a file, the file's own name is the default."""
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 1
    """Fixes the run: on one machine's processor, two runs of one seed agree bit for bit."""
    data: DataConfig
    """Images with boxes, or with a class each."""
    model: ModelSettings = ModelSettings()
    train: TrainSettings = TrainSettings()
    sparsify: SparsifyTraining = SparsifyTraining()
    prune: PruneSettings = SlimmingSettings()
    finetune: TrainSettings = TrainSettings()
    quantize: QuantizeTraining = QuantizeTraining()
    compile: CompileSettings = Field(default_factory=lambda: CompileSettings.model_validate({}))
    simulate: SimulateSettings = SimulateSettings()
    report: ReportSettings = ReportSettings()

    def on_which_depends(self, stage: str, round: int = 0, final: bool = True) -> dict[str, Any]:
        """The recipe's JSON as the results of a stage (its kind, its round of pruning) depend on it: `model.neurons`
        counts where the layers become what it says, with the order of its patterns and the activation that decides over
        floors; the rest of the model counts where the network is made; of the rounds of pruning only this one
        counts."""
        content = self.model_dump(mode="json")
        model = content["model"] if stage == "train" else {}
        when, neurons = self.model.neurons_from, content["model"].pop("neurons")
        model.pop("neurons_from", None)
        if when == stage and neurons and final:
            model["neurons"] = list(neurons.items())
            if any(neuron.get("floor", False) is None for neuron in neurons.values()):
                model["floors_for"] = self.quantize.activation
        prune = {key: value for key, value in content["prune"].items() if key != "rounds"}
        if "phases" in prune:
            prune["phases"] = prune["phases"][round]
        if prune.get("budget"):
            prune["predicted"] = {"bits": Precision.of(self.quantize).model_dump(), "neurons": list(neurons.items())}
        if stage == "sparsify":  # the penalty, not what is chosen afterwards
            prune = {key: value for key, value in prune.items() if key in ("method", "phases")}
        return content | {"model": model, "prune": prune}

    @model_validator(mode="after")
    def _is_possible(self):
        clashes = list(_clashes(self))
        if clashes:
            text = "; ".join(f"{show(way)}: {message}" for way, message in clashes)
            raise PydanticCustomError("clashes", "{text}", {"text": text, "clashes": clashes})
        return self


def load_recipe(path: str | Path) -> Recipe:
    """Read a recipe; relative paths in it are relative to its folder.

    Parameters
    ----------
    path
        A YAML file.

    Returns
    -------
    Recipe
        With absolute paths.

    Raises
    ------
    UserError
        If anything is wrong with the file; every line of the message is ``file:line:column: what``.
    """
    path = Path(path)
    document = yaml_places.read(path)
    stem = re.sub(r"[^A-Za-z0-9_.-]", "_", path.stem).lstrip("_.-")
    content = {"name": stem or "run", **document.value}
    try:
        # JSON is pydantic's one mode that is strict about types and yet takes a list for a tuple.
        recipe = Recipe.model_validate_json(json.dumps(content), strict=True)
    except ValidationError as error:
        raise yaml_places.failure(path, list(_problems(error, document))) from None
    return _with_absolute_paths(recipe, path.resolve().parent)


def with_levels(recipe: Recipe, levels: tuple[str, ...]) -> Recipe:
    """The recipe with other `simulate.levels`; UserError if it asks for what none of these does."""
    simulate = recipe.simulate.model_copy(update={"levels": levels})
    for way, message in _unserved(simulate):
        raise UserError(f"{show(way)}: {message}")
    return recipe.model_copy(update={"simulate": simulate})


def save_recipe(path: str | Path, recipe: Recipe) -> None:
    """Write a recipe with all its defaults spelt out."""
    import yaml

    write_text(path, yaml.safe_dump(recipe.model_dump(mode="json", exclude_none=True), sort_keys=False))


def _clashes(recipe: Recipe) -> Iterator[tuple[Keys, str]]:
    """What each section allows, and the recipe as a whole does not."""
    yield from _unserved(recipe.simulate)
    if recipe.compile.fifo_fps is not None and recipe.compile.fifo_depth is not None:
        yield (
            ("compile", "fifo_fps"),
            "FIFOs of a given depth, compile.fifo_depth, are not sized; leave one of them out",
        )
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


def _model_clashes(recipe: Recipe) -> Iterator[tuple[Keys, str]]:
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


def _width_clashes(model: ModelSettings, usual: dict[str, int]) -> Iterator[tuple[Keys, str]]:
    if isinstance(model.widths, dict):
        for layer in model.widths.keys() - usual.keys():
            yield (
                ("model", "widths", layer),
                f"{model.name} has no such layer whose width is free{_did_you_mean(layer, list(usual))}; there are "
                f"{', '.join(usual)}",
            )
    elif model.name != "yolov3_tiny":
        yield ("model", "widths"), f"{model.name} takes widths by the names of layers: {{{next(iter(usual))}: 16}}"
    elif len(model.widths) != len(usual):
        yield ("model", "widths"), f"should have {len(usual)} items ({', '.join(usual)}), not {len(model.widths)}"


def _torchvision_clashes(model: ModelSettings, data: DataConfig) -> Iterator[tuple[Keys, str]]:
    at = ("model", "torchvision_weights")
    if model.name != "ssd300":
        yield at, f"they are those of ssd300, not of {model.name}"
        return
    if model.widths or model.norm or model.detection_layers not in (None, 6):
        yield at, "they fit the published ssd300 only, without model.widths, norm and detection_layers"
    if tuple(data.image_size) != (300, 300):
        yield ("data", "image_size"), f"torchvision's ssd300 needs [300, 300], not {list(data.image_size)}"


def _unserved(simulate: SimulateSettings) -> Iterator[tuple[Keys, str]]:
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


def _problems(error: ValidationError, document: Document) -> Iterator[Problem]:
    told: dict[tuple[Keys, bool], list[str]] = {}
    for item in error.errors(include_url=False):
        if item["type"] == "default_factory_not_called":
            continue  # the field from which it takes its default is wrong, which is told
        if item["type"] == "clashes":
            for way, message in item["ctx"]["clashes"]:
                told.setdefault((way, False), []).append(message)
            continue
        way, model = _locate(item["loc"], document)
        told.setdefault((way, item["type"] == "extra_forbidden"), []).append(_message(item, way, model))
    ways = [way for way, _ in told]
    for (way, at_key), messages in told.items():
        # A list with a bad item is also said to be too short, by the number of its good ones.
        if messages[0].startswith("Tuple should have at least") and any(w[:-1] == way for w in ways if w != way):
            continue
        place = f"{show(way)}: " if way else ""
        yield document.problem(way, place + _joined(messages), at_key=at_key)


def _joined(messages: list[str]) -> str:
    """The branches of a union in one sentence: "should be ... or should be ..., not ..."."""
    return " or ".join([message.rpartition(", not ")[0] or message for message in messages[:-1]] + messages[-1:])


def _message(item: dict[str, Any], way: Keys, model: type[BaseModel] | None) -> str:
    text = item["msg"].removeprefix("Value error, ").replace("Input should", "should", 1)
    text = text.replace("should be an object", "should be `key: value` lines")
    match item["type"]:
        case "extra_forbidden":
            allowed = list(model.model_fields) if model else []
            return f"unknown key{_did_you_mean(str(way[-1]), allowed)}; allowed here: {', '.join(allowed)}"
        case "missing":
            return f"is missing{_purpose(model, way)}"
        case "union_tag_not_found":
            return f"needs the key {item['ctx']['discriminator']}"
        case "union_tag_invalid":
            context = item["ctx"]
            tags = re.findall(r"'([^']*)'", context["expected_tags"])
            key = context["discriminator"].strip("'()")  # a field's name in quotes, or that of a function
            guess = _did_you_mean(context["tag"], tags)
            return f"{key}: {context['tag']!r} is not known{guess}; allowed: {', '.join(tags)}"
        case "value_error":
            return text
        case "literal_error":
            given = str(item["input"])
            allowed = re.findall(r"'([^']*)'", item["ctx"]["expected"])
            return f"{text}, not {_given(item['input'])}{_did_you_mean(given, allowed)}"
    return f"{text}, not {_given(item['input'])}"


def _given(value: Any) -> str:
    text = json.dumps(value, default=str)
    return text if len(text) <= 60 else text[:57] + "..."


def _did_you_mean(word: str, allowed: list[str]) -> str:
    close = difflib.get_close_matches(word.lower(), allowed, n=1, cutoff=0.6)
    return f"; did you mean {close[0]}?" if close else ""


def _purpose(model: type[BaseModel] | None, way: Keys) -> str:
    field = model.model_fields.get(str(way[-1])) if model else None
    return f": {' '.join(field.description.split())}" if field and field.description else ""


def _locate(loc: tuple[str | int, ...], document: Document) -> tuple[Keys, type[BaseModel] | None]:
    """The way in the file to pydantic's ``loc``, and the model around its last part.

    Pydantic puts the tag of a union into ``loc``, where the file has nothing.
    """
    way: Keys = ()
    current: Any = Recipe
    around: type[BaseModel] | None = None
    for part in loc:
        tagged = _tagged(current, part)
        if tagged is not None:
            current = tagged
            continue
        around = current if isinstance(current, type) and issubclass(current, BaseModel) else None
        if around is None and (*way, part) not in document.values:
            continue  # pydantic's own word for a branch of a union
        way = (*way, part)
        if get_origin(current) is dict:
            current = _unwrapped(get_args(current)[1])
            continue
        field = around.model_fields.get(str(part)) if around else None
        current = _unwrapped(field.annotation) if field else None
    return way, around


def _unwrapped(annotation: Any) -> Any:
    """The annotation without ``Annotated`` and ``| None``."""
    while get_origin(annotation) is Annotated:
        annotation = get_args(annotation)[0]
    if get_origin(annotation) in (Union, types.UnionType):
        members = [member for member in get_args(annotation) if member is not type(None)]
        if len(members) == 1:
            return _unwrapped(members[0])
    return annotation


def _tagged(annotation: Any, tag: Any) -> type[BaseModel] | None:
    """The member of a tagged union that has this tag."""
    if get_origin(annotation) not in (Union, types.UnionType):
        return None
    for member in map(_unwrapped, get_args(annotation)):
        if isinstance(member, type) and issubclass(member, BaseModel):
            for field in member.model_fields.values():
                if get_origin(field.annotation) is Literal and tag in get_args(field.annotation):
                    return member
    return None


def _with_absolute_paths(model: BaseModel, folder: Path) -> BaseModel:
    changed = {}
    for name in type(model).model_fields:
        value = getattr(model, name)
        if isinstance(value, BaseModel):
            changed[name] = _with_absolute_paths(value, folder)
        elif isinstance(value, Path):
            changed[name] = folder / value.expanduser()
    return model.model_copy(update=changed)
