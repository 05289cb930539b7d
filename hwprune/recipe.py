"""The recipe: every knob of a run, typed, with units and defaults.

One YAML file, checked whole before anything starts: all that is wrong with it is told at once, each with its place.
"""

import json
import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, PositiveInt, Tag, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from hwprune import yaml_places
from hwprune.board.board import load_board
from hwprune.data.config import DataConfig
from hwprune.errors import UserError
from hwprune.files import write_text
from hwprune.models.architecture import Architecture
from hwprune.models.catalogue import CATALOGUE, Model
from hwprune.prune.settings import PruneSettings, SlimmingSettings, SparsifySettings
from hwprune.quant.precision import Precision
from hwprune.recipe_clashes import clashes, unserved
from hwprune.recipe_errors import problems
from hwprune.sam.choice import Neurons
from hwprune.train.settings import TrainSettings
from hwprune.yaml_places import show

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

    board: str | None = None
    """Name of a board (pynq-z1, pynq-z2, ultra96-v2, kv260, zcu104, ulx3s-85f), or a .toml file like those in boards/.
    It gives `part`, the default of `clock_mhz`, and what `build` needs to know."""
    share: Annotated[float, Field(gt=0, le=1)] | None = None
    """Share of the board's LUTs that the accelerator may take; of DSP slices and block RAM a tenth of the board more.
    It is 0.85 where a board is named."""
    part: Annotated[str, Field(pattern=r"^(xc[a-z0-9]+(-[a-zA-Z0-9]+)*|LFE5U[A-Z0-9-]+)$")] = "xc7z020clg400-1"
    """Part as its vendor names it; that of `board` where one is named. The default is that of the PYNQ-Z1 and PYNQ-Z2
    boards."""
    clock_mhz: Annotated[float, Field(gt=0, le=1000)] = 100.0
    """Clock of the accelerator, in MHz; by default the board's, or 100."""
    max_clock_mhz: Annotated[float, Field(gt=0, le=1000)] | None = None
    """How far the clock may be raised where `target_fps` does not fit into the `share` of the board at `clock_mhz`: the
    least that does is taken. Whether the chip runs at it, only the build can tell."""
    target_fps: Annotated[float, Field(gt=0)] | None = None
    """Frames a second that the slowest operator must reach. Without any goal: as fast as fits into the `share` of the
    board; or 30 frames a second, where no board is named."""
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
        values = _of_board(values)
        if values.get("target_fps") is None:
            return values if budget or values.get("board") else {**values, "target_fps": 30.0}
        if budget:
            raise ValueError(f"give target_fps or a budget ({' and '.join(budget)}), not both")
        return values

    @model_validator(mode="after")
    def _a_clock_to_raise(self) -> "CompileSettings":
        most = self.max_clock_mhz
        if most is not None and (self.board is None or self.target_fps is None):
            raise ValueError("max_clock_mhz is for a target_fps on a board: name both, or set clock_mhz")
        if most is not None and most < self.clock_mhz:
            raise ValueError(f"max_clock_mhz {most:g} is less than clock_mhz {self.clock_mhz:g}")
        return self


def _of_board(values: dict[str, Any]) -> dict[str, Any]:
    """With what the named board gives; ValueError where that contradicts what is said beside it."""
    if not isinstance(values.get("board"), str):
        if values.get("share") is not None:
            raise ValueError("share is that of a board: name one, board: pynq-z2")
        return values
    try:
        board = load_board(values["board"])
    except UserError as error:
        raise ValueError(str(error)) from None
    if values.get("part") not in (None, board.part):
        raise ValueError(f"board {board.name} has the part {board.part}, not {values['part']}; leave part out")
    given = {"part": board.part, "clock_mhz": board.clock.default_mhz, "share": 0.85}
    values = given | {name: value for name, value in values.items() if value is not None}
    for name in ("clock_mhz", "max_clock_mhz"):
        most = values.get(name)
        if isinstance(most, int | float) and most > board.clock.max_mhz:
            raise ValueError(f"{name} {most:g} is more than the {board.clock.max_mhz:g} of board {board.name}")
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


class BuildSettings(_Section):
    """Making a bitstream; where this section is there, if only as `build: {}`, `hwprune run` makes one."""

    backend: Literal["vivado", "finn", "openxc7", "ecp5"] | None = None
    """What makes it. ``vivado``: Vivado with a shell of our own; without Vivado on this machine, a folder to be copied
    to one that has it. ``finn``: Vivado and Vitis HLS with FINN's own shell. ``openxc7``: Yosys, nextpnr and prjxray,
    for the Zynq-7000. ``ecp5``: Yosys, nextpnr and ecppack, for Lattice's ECP5. By default the first that serves the
    board."""
    vectors: Annotated[int, Field(ge=1, le=64)] = 2
    """Validation images whose bytes, and those of the right answer, go into the deployment zip."""


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
    build: BuildSettings | None = None
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
        if self.compile.board:
            content["compile"]["board"] = load_board(self.compile.board).model_dump(mode="json")  # a file may change
        content["build"] = (self.build or BuildSettings()).model_dump(mode="json")
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
        if found := list(clashes(self)):
            text = "; ".join(f"{show(way)}: {message}" for way, message in found)
            raise PydanticCustomError("clashes", "{text}", {"text": text, "clashes": found})
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
    content = {"name": stem or "run", **_with_board_path(document.value, path.resolve().parent)}
    try:
        # JSON is pydantic's one mode that is strict about types and yet takes a list for a tuple.
        recipe = Recipe.model_validate_json(json.dumps(content), strict=True)
    except ValidationError as error:
        raise yaml_places.failure(path, list(problems(error, document, Recipe))) from None
    return _with_absolute_paths(recipe, path.resolve().parent)


def with_levels(recipe: Recipe, levels: tuple[str, ...]) -> Recipe:
    """The recipe with other `simulate.levels`; UserError if it asks for what none of these does."""
    simulate = recipe.simulate.model_copy(update={"levels": levels})
    for way, message in unserved(simulate):
        raise UserError(f"{show(way)}: {message}")
    return recipe.model_copy(update={"simulate": simulate})


def with_build(recipe: Recipe) -> Recipe:
    """The recipe with a section `build`; UserError where no board is named."""
    if recipe.build is not None:
        return recipe
    if recipe.compile.board is None:
        raise UserError("compile.board: a bitstream is for a board; name it in the recipe: compile: {board: pynq-z2}")
    return recipe.model_copy(update={"build": BuildSettings()})


def save_recipe(path: str | Path, recipe: Recipe) -> None:
    """Write a recipe with all its defaults spelt out."""
    import yaml

    write_text(path, yaml.safe_dump(recipe.model_dump(mode="json", exclude_none=True), sort_keys=False))


def _with_board_path(content: dict[str, Any], folder: Path) -> dict[str, Any]:
    """The same, with the path of a board's file absolute; the name of a board that comes with hwprune stays."""
    section = content.get("compile")
    if not isinstance(section, dict) or not str(section.get("board", "")).endswith(".toml"):
        return content
    return content | {"compile": section | {"board": str(folder / Path(section["board"]).expanduser())}}


def _with_absolute_paths(model: BaseModel, folder: Path) -> BaseModel:
    changed = {}
    for name in type(model).model_fields:
        value = getattr(model, name)
        if isinstance(value, BaseModel):
            changed[name] = _with_absolute_paths(value, folder)
        elif isinstance(value, Path):
            changed[name] = folder / value.expanduser()
    return model.model_copy(update=changed)
