"""What a reader could not use: told once, then skipped."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

SHOWN = 10

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Problem:
    """Something in a data set that was skipped or mended; ``line`` counts from 1, and is None for a whole file."""

    file: Path
    line: int | None
    message: str

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else f"{self.file}"
        return f"{place}: {self.message}"


def log_problems(problems: Sequence[Problem], source: str | Path) -> None:
    """Warn, through `logging`, of the first ten problems of ``source`` and of how many there are."""
    if not problems:
        return
    lines = [f"{source}: {len(problems)} problem{'s' if len(problems) > 1 else ''}"]
    lines += [f"  {problem}" for problem in problems[:SHOWN]]
    if len(problems) > SHOWN:
        lines.append(f"  ... and {len(problems) - SHOWN} more")
    _log.warning("%s", "\n".join(lines))
