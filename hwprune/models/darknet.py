"""darknet's ``.cfg`` and ``.weights`` (Redmon, "Darknet: Open Source Neural Networks in C"; file layout: parser.c).

A ``.cfg`` lists sections: ``[net]``, then one a layer, each reading the one before it unless it says otherwise. A
``.weights`` file is a header and, for each convolution in that order, its float32 vectors without names.
"""

import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from pydantic import ValidationError
from torch import Tensor

from hwprune.errors import UserError
from hwprune.files import atomic_write
from hwprune.models.architecture import IMAGE, Add, Architecture, Concat, Conv, Layer, MaxPool, Upsample
from hwprune.models.darknet_cfg import Section, parse_cfg
from hwprune.models.network import ConvBlock, Network

_VERSION = (0, 2, 5)  # major, minor, revision of the files written; from 0.2 on the image counter has 64 bits


class _Head(NamedTuple):
    section: Section
    classes: int
    anchors: tuple[tuple[float, float], ...]


def load_darknet(cfg_path: str | Path, weights_path: str | Path | None = None) -> tuple[Network, dict[str, Any]]:
    """Import a darknet detector.

    Sections ``net``, ``convolutional``, ``maxpool``, ``route``, ``upsample``, ``shortcut`` and ``yolo`` are understood;
    layers are named ``conv1``, ``pool1``, ... in the order of the file. Settings that only train are passed over.

    Batch norm divides by ``sqrt(variance + 1e-5)``, as darknet's GPU kernels do and `torch.nn.BatchNorm2d` does (its
    first CPU code wrote ``sqrt(variance) + 1e-6``).

    Parameters
    ----------
    cfg_path
        The layers.
    weights_path
        Their weights; without it the network keeps the random ones of a new network.

    Returns
    -------
    network : Network
        In float32, on the CPU.
    head : dict
        The fields of `hwprune.detect.head.HeadSpec`: ``classes`` (``class_0``, ..., for a cfg does not name them),
        ``anchors``, ``strides``, ``image_size``.

    Raises
    ------
    UserError
        If a file cannot be read, if the cfg says something that is not understood (with its line), or if the weights
        file is shorter or longer than the cfg asks for.
    """
    cfg_path = Path(cfg_path)
    architecture, head = _read_cfg(cfg_path)
    try:
        network = Network(architecture)
    except (OverflowError, RuntimeError, TypeError) as error:
        raise UserError(f"{cfg_path}: no network of this size can be built ({error}); give smaller filters") from error
    if weights_path is not None:
        _read_weights(Path(weights_path), network, cfg_path)
    return network, head


def save_darknet_weights(network: Network, path: str | Path) -> None:
    """Write the weights of ``network`` in darknet's layout (float32), under its table's order of convolutions.

    Raises
    ------
    UserError
        If the file cannot be written.
    """
    vectors = [tensor.detach().cpu().numpy().astype("<f4").ravel() for tensor in _tensors(network)]
    header = np.array(_VERSION, "<i4").tobytes() + np.array([0], "<u8").tobytes()
    try:
        with atomic_write(path) as temporary:
            temporary.write_bytes(header + np.concatenate(vectors).tobytes())
    except OSError as error:
        raise UserError(f"{path}: cannot write the weights ({error}); name a writable file") from error


def _tensors(network: Network) -> Iterable[Tensor]:
    """The tensors of a ``.weights`` file, in its order."""
    for block in network.layers.values():
        if isinstance(block, ConvBlock):
            if block.conv.bias is None:
                yield from (block.norm.bias, block.norm.weight, block.norm.running_mean, block.norm.running_var)
            else:
                yield block.conv.bias
            yield block.conv.weight


def _read_weights(path: Path, network: Network, cfg_path: Path) -> None:
    way_out = f"give the .weights file that was trained with {cfg_path.name}"
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror or error}); {way_out}") from error
    major, minor, _ = np.frombuffer(content[:12], "<i4") if len(content) >= 12 else _VERSION
    if not (0 <= major < 1000 and 0 <= minor < 1000):
        raise UserError(f"{path}: no darknet weights: its version reads {major}.{minor}; {way_out}")
    header = 20 if major * 10 + minor >= 2 else 16
    tensors = list(_tensors(network))
    expected = header + 4 * sum(tensor.numel() for tensor in tensors)
    if len(content) != expected:
        raise UserError(
            f"{path}: has {len(content)} bytes, but the layers of {cfg_path.name} take {expected}:"
            f" it is {'truncated' if len(content) < expected else 'too long'}, or belongs to another cfg; {way_out}"
        )
    numbers, start = torch.from_numpy(np.frombuffer(content, "<f4", offset=header).astype(np.float32)), 0
    if not torch.isfinite(numbers).all():
        raise UserError(f"{path}: holds numbers that are not finite: the training diverged; {way_out}")
    with torch.no_grad():
        for tensor in tensors:
            tensor.copy_(numbers[start : start + tensor.numel()].view_as(tensor))
            start += tensor.numel()


def _read_cfg(path: Path) -> tuple[Architecture, dict[str, Any]]:
    net, *sections = parse_cfg(path)
    if net.kind not in ("net", "network"):
        raise net.error(f"the first section is [{net.kind}]; it must be [net]")
    size = net.integer("height", least=1), net.integer("width", least=1)
    table = _Table(net.integer("channels", 3, least=1))
    for section in sections:
        table.add(section)
    if not table.yolo:
        raise net.error("no [yolo] section follows; give the cfg of a YOLOv3 detector")
    architecture = Architecture(
        name=path.stem, in_channels=table.channels[IMAGE], layers=tuple(table.layers), heads=tuple(table.yolo)
    )
    try:
        shapes = architecture.shapes(*size)
    except ValueError as error:
        raise net.error(f"height={size[0]}, width={size[1]}: {error}; give a size that every layer divides") from error
    layers = tuple(_trim(layer, shapes) if layer.op == "maxpool" else layer for layer in architecture.layers)
    architecture = architecture.model_copy(update={"layers": layers})
    return architecture, _head_spec(table.yolo, shapes, size)


def _trim(pool: MaxPool, shapes: dict[str, tuple[int, int, int]]) -> MaxPool:
    """The pool without the padding that its windows never reach.

    darknet pads ``size - 1`` pixels, and a window of 2 at stride 2 reaches none of them where the size is even.
    """
    left, _, top, _ = pool.pad
    (_, in_height, in_width), (_, height, width) = shapes[pool.input], shapes[pool.name]
    right = max(0, (width - 1) * pool.stride + pool.kernel - left - in_width)
    bottom = max(0, (height - 1) * pool.stride + pool.kernel - top - in_height)
    return pool.model_copy(update={"pad": (left, right, top, bottom)})


def _head_spec(heads: dict[str, _Head], shapes: dict[str, tuple[int, int, int]], size: tuple[int, int]) -> dict:
    strides = []
    for name, head in heads.items():
        channels, height, width = shapes[name]
        wanted = len(head.anchors) * (5 + head.classes)
        if channels != wanted:
            raise head.section.error(
                f"{len(head.anchors)} anchors and {head.classes} classes take {wanted} channels, but the layer above"
                f" gives {channels}: set its filters"
            )
        strides.append(size[0] // height)
        if (height * strides[-1], width * strides[-1]) != size:
            raise head.section.error(f"{height}x{width} cells do not divide an image of {size[0]}x{size[1]} pixels")
    counts = {head.classes for head in heads.values()}
    if len(counts) > 1:
        raise head.section.error(f"the [yolo] sections give {sorted(counts)} classes: give them all one number")
    return {
        "classes": tuple(f"class_{i}" for i in range(counts.pop())),
        "anchors": tuple(head.anchors for head in heads.values()),
        "strides": tuple(strides),
        "image_size": size,
    }


class _Table:
    """Layers collected from sections; ``outputs`` maps a section's index to the layer whose output it gives."""

    def __init__(self, in_channels: int):
        self.layers: list[Layer] = []
        self.yolo: dict[str, _Head] = {}
        self.channels = {IMAGE: in_channels}
        self.outputs: list[str | None] = []
        self.counts: dict[str, int] = {}

    def add(self, section: Section) -> None:
        """Read one section."""
        readers = {
            "convolutional": self._convolutional,
            "maxpool": self._maxpool,
            "upsample": self._upsample,
            "route": self._route,
            "shortcut": self._shortcut,
            "yolo": self._yolo,
        }
        if section.kind not in readers:
            raise section.error(f"[{section.kind}] is not understood; {', '.join(sorted(readers))} are")
        readers[section.kind](section)
        section.finish()

    def _convolutional(self, section: Section) -> None:
        size = section.integer("size", 1, least=1)
        padding = section.integer("padding", 0, least=0)
        activation = section.text("activation", "logistic")
        if activation not in ("leaky", "relu", "linear"):
            raise section.error(f"activation={activation} is not understood; leaky, relu and linear are", "activation")
        for name, value in (("groups", 1), ("dilation", 1), ("flipped", 0), ("binary", 0), ("xnor", 0)):
            section.only(name, value)
        self._append(
            section, Conv, "conv",
            out_channels=section.integer("filters", 1, least=1),
            kernel=size,
            stride=section.integer("stride", 1, least=1),
            padding=size // 2 if section.integer("pad", 0, least=0) else padding,
            norm=bool(section.integer("batch_normalize", 0, least=0)),
            activation=activation,
        )  # fmt: skip

    def _maxpool(self, section: Section) -> None:
        stride = section.integer("stride", 1, least=1)
        size = section.integer("size", stride, least=1)
        padding = section.integer("padding", size - 1, least=0)
        before, after = padding // 2, padding - padding // 2
        if after >= size:
            raise section.error(f"padding={padding} leaves windows of {size} pixels empty", "padding")
        self._append(section, MaxPool, "pool", kernel=size, stride=stride, pad=(before, after, before, after))

    def _upsample(self, section: Section) -> None:
        section.only("scale", 1)
        self._append(section, Upsample, "upsample", factor=section.integer("stride", 2, least=1))

    def _route(self, section: Section) -> None:
        section.only("groups", 1)
        section.only("group_id", 0)
        sources = tuple(self._source(section, "layers", index) for index in section.numbers("layers", int))
        if len(sources) == 1:  # another name for that layer
            self.outputs.append(sources[0])
        else:
            self._append(section, Concat, "route", inputs=sources)

    def _shortcut(self, section: Section) -> None:
        section.only("activation", "linear")
        (index,) = section.numbers("from", int, count=1)
        self._append(section, Add, "shortcut", inputs=(self._above(section), self._source(section, "from", index)))

    def _yolo(self, section: Section) -> None:
        section.only("scale_x_y", 1)
        section.only("new_coords", 0)
        source = self._above(section)
        if source in self.yolo or source == IMAGE:
            raise section.error("[yolo] needs a convolution of its own above it")
        numbers = section.numbers("anchors", float, "10,14,23,27")
        pairs = list(zip(numbers[::2], numbers[1::2], strict=False))
        if len(numbers) % 2 or not all(0 < number < math.inf for number in numbers):
            raise section.error("anchors are pairs of a width and a height in pixels, all above zero", "anchors")
        mask = section.numbers("mask", int, ",".join(map(str, range(len(pairs)))))
        if any(not 0 <= index < len(pairs) for index in mask):
            raise section.error(f"mask names an anchor outside 0 to {len(pairs) - 1}", "mask")
        classes = section.integer("classes", 20, least=1)
        self.yolo[source] = _Head(section, classes, tuple(pairs[index] for index in mask))
        self.outputs.append(None)

    def _append(self, section: Section, row: type, stem: str, inputs: tuple[str, ...] | None = None, **fields) -> None:
        self.counts[stem] = self.counts.get(stem, 0) + 1
        name = f"{stem}{self.counts[stem]}"
        inputs = inputs or (self._above(section),)
        try:
            layer = row(name=name, inputs=inputs, **fields)
        except ValidationError as error:
            raise section.error(error.errors()[0]["msg"]) from error
        incoming = [self.channels[source] for source in inputs]
        if row is Add and len(set(incoming)) > 1:
            raise section.error(f"adds tensors of {incoming[0]} and {incoming[1]} channels; both must have one width")
        self.channels[name] = layer.out_channels if row is Conv else sum(incoming) if row is Concat else incoming[0]
        self.layers.append(layer)
        self.outputs.append(name)

    def _above(self, section: Section) -> str:
        return self._source(section, None, -1) if self.outputs else IMAGE

    def _source(self, section: Section, key: str | None, index: int) -> str:
        here = len(self.outputs)
        absolute = here + index if index < 0 else index
        if not 0 <= absolute < here:
            raise section.error(f"{key} names layer {index}, but only 0 to {here - 1} stand above", key)
        if self.outputs[absolute] is None:
            raise section.error("reads the output of a [yolo] section; route to a layer before it", key)
        return self.outputs[absolute]
