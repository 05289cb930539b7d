"""What Vivado's reports and its log say, read from their text."""

import re
from dataclasses import dataclass

from hwprune.board.report import Resource
from hwprune.errors import UserError

_ROWS: dict[Resource, tuple[str, int]] = {
    "lut": (r"(?:Slice|CLB) LUTs", 1),
    "ff": (r"(?:Slice|CLB) Registers", 1),
    "dsp": (r"DSPs", 1),
    "bram18": (r"Block RAM Tile", 2),  # of 36 Kb; half a tile is one of 18 Kb
    "uram": (r"URAM", 1),
}
_NUMBER = r"-?\d+\.\d+"


@dataclass(frozen=True)
class Timing:
    """What `report_timing_summary` found; nanoseconds, MHz.

    Attributes
    ----------
    setup_slack, hold_slack
        The worst; None where nothing was analysed.
    fmax_mhz
        Of the clock that is nearest to its limit.
    """

    setup_slack: float | None
    hold_slack: float | None
    fmax_mhz: float | None


def parse_utilisation(text: str) -> dict[Resource, int]:
    """Counts in a text of ``report_utilization``.

    Raises
    ------
    UserError
        If it is no such text, or it is cut off.
    """
    found = {}
    for kind, (row, factor) in _ROWS.items():
        # Used is the second column in all versions; after synthesis a star warns that counts are not final.
        if match := re.search(rf"^\|\s*{row}\*?\s*\|\s*(\d+(?:\.\d+)?)\s*\|", text, re.MULTILINE):
            found[kind] = round(float(match[1]) * factor)
    if missing := [kind for kind in ("lut", "ff", "dsp", "bram18") if kind not in found]:
        raise UserError(f"has no row for {', '.join(missing)}: it is no whole text of report_utilization")
    return found


def parse_timing(text: str) -> Timing:
    """Slacks and the highest clock in a text of ``report_timing_summary``.

    Raises
    ------
    UserError
        If it is no such text, or it is cut off.
    """
    summary = _section(text, "Design Timing Summary")
    slack = rf"({_NUMBER}|NA)"
    values = re.search(rf"^\s*{slack}\s+{slack}\s+\S+\s+\S+\s+{slack}\s", summary, re.MULTILINE)
    if not values or not summary.lstrip().startswith("WNS(ns)") or "| Clock Summary" not in text:
        raise UserError("has no table of slacks: it is no whole text of report_timing_summary")
    clock = rf"^\s*(\S+)\s+\{{[\d. ]+\}}\s+({_NUMBER})\s"
    periods = {name: float(period) for name, period in re.findall(clock, _section(text, "Clock Summary"), re.MULTILINE)}
    row = rf"^\s*(\S+)\s+({_NUMBER})\s+{_NUMBER}\s+\d+\s"
    table = re.findall(row, _section(text, "Intra Clock Table"), re.MULTILINE)
    slacks = {name: float(value) for name, value in table if name in periods}
    limits = [1e3 / (periods[name] - slack) for name, slack in slacks.items()]
    setup, _, hold = (None if value == "NA" else float(value) for value in values.groups())
    return Timing(setup, hold, round(min(limits), 3) if limits else None)


def _section(text: str, title: str) -> str:
    """What stands between a title, boxed in lines of dashes, and the next one; empty where there is none."""
    parts = re.split(r"^-{20,}\n\| ([^\n]+)\n\| -+\n-{20,}\n", text, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True)).get(title, "")


def parse_warnings(log: str) -> tuple[str, ...]:
    """Warnings of a log: each critical one, and the first of each other kind with how many there are."""
    critical, kinds = {}, {}
    for line in log.splitlines():
        if line.startswith("CRITICAL WARNING: "):
            critical[line.strip()] = None
        elif match := re.match(r"WARNING: (\[[^]]+\])", line):
            kinds.setdefault(match[1], []).append(line.strip())
    rest = [
        f"{found[0]} (and {len(found) - 1} more of this kind)" if found[1:] else found[0] for found in kinds.values()
    ]
    return (*critical, *rest)


def parse_errors(log: str) -> tuple[str, ...]:
    """Errors of a log, each once."""
    return tuple(dict.fromkeys(line.strip() for line in log.splitlines() if line.startswith("ERROR: ")))
