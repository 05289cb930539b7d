"""YAML that remembers where each value stands, so that an error can point at it.

Scalars follow YAML 1.2's core schema (`yaml.SafeLoader` is 1.1, where ``1e-3`` is a string, ``no`` is false and
``1:30`` is ninety). Anchors, aliases and tags are refused: a recipe needs none, and an alias can make a short file
unfold without end.
"""

import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from hwprune.errors import UserError

Keys = tuple[str | int, ...]
"""The way to a value: keys of mappings and indices of lists, from the top."""

LARGEST_FILE = 1 << 20  # bytes
DEEPEST = 100  # nodes within nodes; Python's own limit depends on who calls, and on what libraries made of it
LARGEST_INTEGER = 1 << 53  # JSON's; beyond it a float no longer tells neighbours apart


@dataclass(frozen=True)
class Problem:
    """Something wrong at one place of a file.

    Attributes
    ----------
    line, column
        Counted from 1, as editors do.
    message
        What is wrong there, and what would be right.
    """

    line: int
    column: int
    message: str


@dataclass(frozen=True)
class Document:
    """A file's content with the places of its keys and values.

    Attributes
    ----------
    path
        The file.
    value
        Nested dicts, lists, strings, numbers, booleans and None; the top is a dict.
    keys, values
        (line, column) of each key, and of each value, by the way to it.
    """

    path: Path
    value: dict[str, Any]
    keys: dict[Keys, tuple[int, int]]
    values: dict[Keys, tuple[int, int]]

    def problem(self, way: Keys, message: str, *, at_key: bool = False) -> Problem:
        """A problem at ``way``, or, where the file has nothing there, at the nearest mapping around it."""
        places = self.keys if at_key else self.values
        while way and way not in places:
            way = way[:-1]
            places = self.keys
        return Problem(*places.get(way, (1, 1)), message)


def failure(path: Path, problems: list[Problem]) -> UserError:
    """All problems of one file as one error, in the order of their places."""
    lines = [f"{path}:{p.line}:{p.column}: {p.message}" for p in sorted(problems, key=lambda p: (p.line, p.column))]
    return UserError("\n".join(lines))


def read(path: Path) -> Document:
    """Read a YAML file whose top is a mapping.

    Raises
    ------
    UserError
        If the file cannot be read, is no YAML, is empty, is no mapping, or repeats keys.
    """
    text = _text(path)
    document, problems = Document(path, {}, {}, {}), []
    try:
        root = _compose(text)
        if root is None:
            raise failure(path, [Problem(1, 1, "the file is empty; the least it needs is `data: {source: digits}`")])
        if not isinstance(root, yaml.MappingNode):
            raise failure(path, [Problem(*_place(root), "expected `key: value` lines at the top")])
        document.value.update(_plain(root, (), document, problems))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        problems.append(Problem(*place, _yaml_message(error, text, mark)))
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        problems.append(Problem(line, 1, f"the character U+{error.character:04X} is not allowed"))
    except _TooDeepError:
        problems.append(Problem(1, 1, "values are nested too deeply"))
    if problems:
        raise failure(path, problems)
    return document


def _compose(text: str) -> yaml.Node | None:
    loader = _Loader(text)
    try:
        return loader.get_single_node()
    finally:
        loader.dispose()


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST_FILE + 1)
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from None
    if len(data) > LARGEST_FILE:
        raise UserError(f"{path}: is over {LARGEST_FILE >> 20} MiB; that is no recipe")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise failure(path, [Problem(line, 1, "is no text in UTF-8")]) from None


class _TooDeepError(Exception):
    """Nodes within nodes beyond `DEEPEST`."""


class _Loader(yaml.SafeLoader):
    """Composes nodes; no alias is followed."""

    yaml_implicit_resolvers: dict = {}  # noqa: RUF012 - PyYAML's own way
    depth = 0

    def compose_node(self, parent, index):
        event = self.peek_event()
        if getattr(event, "anchor", None) is not None:
            raise yaml.composer.ComposerError(None, None, "anchors and aliases (& and *) are not used here",
                                              event.start_mark)  # fmt: skip
        self.depth += 1
        if self.depth > DEEPEST:
            raise _TooDeepError
        try:
            return super().compose_node(parent, index)
        finally:
            self.depth -= 1


_TAG = "tag:yaml.org,2002:"
_CORE = {
    "null": (r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    "bool": (r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    "int": (r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", list("-+0123456789")),
    "float": (
        r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
        list("-+0123456789."),
    ),
}
for _name, (_pattern, _first) in _CORE.items():
    _Loader.add_implicit_resolver(_TAG + _name, re.compile(rf"^(?:{_pattern})$"), _first)

_KINDS = {*_CORE, "str", "map", "seq"}


def _plain(node: yaml.Node, way: Keys, document: Document, problems: list[Problem]) -> Any:
    """The node's value; its places go into ``document``, what is wrong with it into ``problems``."""
    document.values[way] = _place(node)
    if node.tag.removeprefix(_TAG) not in _KINDS:
        tag = _short(node.tag.replace(_TAG, "!!"))
        problems.append(document.problem(way, f"{show(way)}: tags such as {tag} are not used here"))
        return None
    if isinstance(node, yaml.MappingNode):
        return _mapping(node, way, document, problems)
    if isinstance(node, yaml.SequenceNode):
        return [_plain(item, (*way, i), document, problems) for i, item in enumerate(node.value)]
    try:
        return _scalar(node)
    except ValueError as error:
        problems.append(document.problem(way, f"{show(way)}: {error}"))
        return None


def _mapping(node: yaml.MappingNode, way: Keys, document: Document, problems: list[Problem]) -> dict[str, Any]:
    result = {}
    for key_node, value_node in node.value:
        key = key_node.value
        if not isinstance(key_node, yaml.ScalarNode):
            problems.append(Problem(*_place(key_node), "a key must be a plain word"))
            continue
        below = (*way, key)
        if key in result:
            line, _ = document.keys[below]
            problems.append(Problem(*_place(key_node), f"{show(below)}: given twice; first in line {line}"))
            continue
        document.keys[below] = _place(key_node)
        result[key] = _plain(value_node, below, document, problems)
    return result


def _scalar(node: yaml.ScalarNode) -> str | int | float | bool | None:
    text = node.value
    match node.tag.removeprefix(_TAG):
        case "str":
            return text
        case "null":
            return None
        case "bool":
            return text.lower() == "true"
        case "int":
            digits = text.lstrip("+-")
            base = {"0x": 16, "0o": 8}.get(digits[:2], 10)
            # Python refuses to read thousands of digits, so the length is looked at first.
            number = int(text, base) if len(text) <= 20 else LARGEST_INTEGER + 1
            if abs(number) > LARGEST_INTEGER:
                raise ValueError(f"{_short(text)} is too large a number")
            return number
        case "float":
            number = float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))
            if not math.isfinite(number):
                raise ValueError(f"{_short(text)} is no finite number")
            return number
    raise ValueError(f"a mapping or list that is written as {_short(text)!r}")


def show(way: Keys) -> str:
    """``("data", "anchors", 2)`` as ``data.anchors[2]``."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in way).lstrip(".")


def _place(node: yaml.Node) -> tuple[int, int]:
    return node.start_mark.line + 1, node.start_mark.column + 1


def _short(text: str, limit: int = 40) -> str:
    return text if len(text) <= limit else text[:limit] + "..."


def _yaml_message(error: yaml.MarkedYAMLError, text: str, mark: yaml.Mark | None) -> str:
    if mark is not None:
        lines = text.splitlines()
        line = lines[mark.line] if mark.line < len(lines) else ""
        if line[: len(line) - len(line.lstrip())].count("\t"):
            return "indented by a tab; YAML takes spaces only"
    return f"is no YAML: {error.problem or error.context}" + (f" ({error.context})" if error.problem and error.context
                                                               else "")  # fmt: skip
