"""The contract of every benchmark: progress on stderr, one JSON object as the last line of stdout."""

import json
import sys


def say(text: str) -> None:
    """Tell on stderr what is being done."""
    print(text, file=sys.stderr, flush=True)


def conclude(name: str, value: float, unit: str, versus: str, ratio: float, sizes: dict, **more) -> None:
    """Print the result as the last line."""
    result = {"name": name, "value": value, "unit": unit, "versus": versus, "ratio": ratio, "sizes": sizes, **more}
    print(json.dumps(result), flush=True)
