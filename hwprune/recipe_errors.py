"""What pydantic finds wrong with a recipe, in words and with its place in the file."""

import difflib
import json
import re
import types
from collections.abc import Iterator
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from hwprune.yaml_places import Document, Keys, Problem, show


def problems(error: ValidationError, document: Document, root: type[BaseModel]) -> Iterator[Problem]:
    told: dict[tuple[Keys, bool], list[str]] = {}
    for item in error.errors(include_url=False):
        if item["type"] == "default_factory_not_called":
            continue  # the field from which it takes its default is wrong, which is told
        if item["type"] == "clashes":
            for way, message in item["ctx"]["clashes"]:
                told.setdefault((way, False), []).append(message)
            continue
        way, model = _locate(item["loc"], document, root)
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
            return f"unknown key{did_you_mean(str(way[-1]), allowed)}; allowed here: {', '.join(allowed)}"
        case "missing":
            return f"is missing{_purpose(model, way)}"
        case "union_tag_not_found":
            return f"needs the key {item['ctx']['discriminator']}"
        case "union_tag_invalid":
            context = item["ctx"]
            tags = re.findall(r"'([^']*)'", context["expected_tags"])
            key = context["discriminator"].strip("'()")  # a field's name in quotes, or that of a function
            guess = did_you_mean(context["tag"], tags)
            return f"{key}: {context['tag']!r} is not known{guess}; allowed: {', '.join(tags)}"
        case "value_error":
            return text
        case "literal_error":
            given = str(item["input"])
            allowed = re.findall(r"'([^']*)'", item["ctx"]["expected"])
            return f"{text}, not {_given(item['input'])}{did_you_mean(given, allowed)}"
    return f"{text}, not {_given(item['input'])}"


def _given(value: Any) -> str:
    text = json.dumps(value, default=str)
    return text if len(text) <= 60 else text[:57] + "..."


def did_you_mean(word: str, allowed: list[str]) -> str:
    close = difflib.get_close_matches(word.lower(), allowed, n=1, cutoff=0.6)
    return f"; did you mean {close[0]}?" if close else ""


def _purpose(model: type[BaseModel] | None, way: Keys) -> str:
    field = model.model_fields.get(str(way[-1])) if model else None
    return f": {' '.join(field.description.split())}" if field and field.description else ""


def _locate(
    loc: tuple[str | int, ...], document: Document, root: type[BaseModel]
) -> tuple[Keys, type[BaseModel] | None]:
    """The way in the file to pydantic's ``loc``, and the model around its last part.

    Pydantic puts the tag of a union into ``loc``, where the file has nothing.
    """
    way: Keys = ()
    current: Any = root
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
