"""The header of a Verilog module: which modules a file defines, and their ports."""

from __future__ import annotations

import re

from hwprune.errors import UserError

_TEXT_OR_COMMENT = re.compile(r'("(?:\\.|[^"\\\n])*")|//[^\n]*|/\*.*?\*/', re.S)
_ATTRIBUTE = re.compile(r"\(\*(?!\)).*?\*\)", re.S)
_MODULE = re.compile(r"\bmodule\s+(?:automatic\s+|static\s+)?(\w+)")
_OPENING, _CLOSING = "([{", ")]}"


def defined_modules(text: str) -> list[str]:
    """Names of the modules that a Verilog text defines, in order."""
    return _MODULE.findall(_bare(text))


def module_ports(text: str, module: str) -> dict[str, str]:
    """Ports of a module with an ANSI header, in order.

    Parameters
    ----------
    text
        Verilog or SystemVerilog.
    module
        Name of the module.

    Returns
    -------
    dict
        Port name to ``"input"``, ``"output"`` or ``"inout"``.

    Raises
    ------
    UserError
        The text has no such module, or a port without a direction.
    """
    text = _bare(text)
    found = re.search(rf"\bmodule\s+(?:automatic\s+|static\s+)?{re.escape(module)}\b", text)
    if found is None:
        raise UserError(f"no module {module} in its source")
    groups = _groups(text[found.end() : _header_end(text, found.end(), module)])
    if not groups:
        raise UserError(f"module {module}: no port list")
    ports, direction = {}, ""
    for declaration in _split(groups[-1]):
        words = re.findall(r"\w+", re.sub(r"\[[^\]]*\]", " ", declaration.split("=")[0]))
        if not words:
            continue
        if words[0] in ("input", "output", "inout"):
            direction = words[0]
        if not direction:
            raise UserError(f"module {module}: port {words[-1]} has no direction in the header")
        ports[words[-1]] = direction
    return ports


def _bare(text: str) -> str:
    """The text without comments, strings and attributes."""
    # Both in one pattern: a string may hold what looks like a comment, and the other way round.
    return _ATTRIBUTE.sub(" ", _TEXT_OR_COMMENT.sub(lambda found: '""' if found[1] else " ", text))


def _header_end(text: str, start: int, module: str) -> int:
    """Where the header's last bracket closes: the first semicolon outside brackets follows it."""
    depth = 0
    for position in range(start, len(text)):
        character = text[position]
        if character in _OPENING:
            depth += 1
        elif character in _CLOSING:
            depth -= 1
        elif character == ";" and depth == 0:
            return position
    raise UserError(f"module {module}: its header does not end")


def _groups(header: str) -> list[str]:
    """Contents of the outermost round brackets."""
    groups, depth, start = [], 0, 0
    for position, character in enumerate(header):
        if character in _OPENING:
            if depth == 0:
                start = position + 1
            depth += 1
        elif character in _CLOSING:
            depth -= 1
            if depth == 0 and character == ")":
                groups.append(header[start:position])
    return groups


def _split(ports: str) -> list[str]:
    """Split at the commas outside brackets."""
    parts, depth, start = [], 0, 0
    for position, character in enumerate(ports):
        if character in _OPENING:
            depth += 1
        elif character in _CLOSING:
            depth -= 1
        elif character == "," and depth == 0:
            parts.append(ports[start:position])
            start = position + 1
    return [*parts, ports[start:]]
