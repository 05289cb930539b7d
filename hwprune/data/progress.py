"""A progress bar that appears only where there is something to wait for."""

import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from typing import TypeVar

from rich.console import Console
from rich.progress import Progress

PATIENCE = 2.0
"""Seconds before the bar appears."""

Item = TypeVar("Item")


def track_slow(items: Iterable[Item], description: str, total: int) -> Iterator[Item]:
    """Pass ``items`` on; from the third second on, show on stderr, if it is a terminal, how many of ``total`` have
    passed."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield from items
        return
    start = time.monotonic()
    with ExitStack() as stack:
        bar = task = None
        for done, item in enumerate(items):
            if bar is None and time.monotonic() - start > PATIENCE:
                bar = stack.enter_context(Progress(console=console, transient=True))
                task = bar.add_task(description, total=total)
            if bar is not None:
                bar.update(task, completed=done)
            yield item
