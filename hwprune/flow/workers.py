"""Work in several processes that end with the one that started them."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from contextlib import contextmanager, suppress
from multiprocessing.process import BaseProcess
from typing import Any, Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

SPAWN = multiprocessing.get_context("spawn")  # a fork would copy torch's threads' locks
_work: Callable | None = None


class Workers(Generic[Item, Result]):
    """Calls a function that is costly to make, in ``jobs`` processes that each make it once.

    Parameters
    ----------
    jobs
        Processes; with one, this process does the work.
    make, arguments
        Makes the function.
    here
        The function, as this process has made it already.
    """

    def __init__(self, jobs: int, make: Callable[..., Callable], arguments: Sequence[Any], here: Callable):
        self._here, self._jobs, self._pool = here, jobs, None
        self._others = set(multiprocessing.active_children())
        if jobs > 1:
            self._pool = ProcessPoolExecutor(jobs, SPAWN, initializer=_begin, initargs=(jobs, make, arguments))

    def map(self, items: Sequence[Item]) -> Iterator[tuple[Item, Result]]:
        """The items with their results, in the order in which these come."""
        if self._pool is None:
            yield from ((item, self._here(item)) for item in items)
            return
        futures = {self._pool.submit(_call, item): item for item in items}
        while futures:
            for future in wait(futures, return_when=FIRST_COMPLETED).done:
                yield futures.pop(future), future.result()

    def __enter__(self) -> "Workers":
        return self

    def __exit__(self, *failure: object) -> None:
        if self._pool is not None:
            if failure[0] is not None:  # nobody waits for what is under way
                for child in set(multiprocessing.active_children()) - self._others:
                    child.terminate()
            self._pool.shutdown(cancel_futures=True)


@contextmanager
def spawned(jobs: int, work: Callable[..., None], arguments: Sequence[Any]) -> Iterator[list[BaseProcess]]:
    """Processes that call ``work(number, *arguments)``; those that still run when the block ends are ended."""
    processes = [SPAWN.Process(target=_alone, args=(work, number, *arguments)) for number in range(jobs)]
    try:
        for process in processes:
            process.start()
        yield processes
    finally:
        for process in processes:
            if process.is_alive():
                process.terminate()
        for process in processes:
            if process.pid is not None:
                process.join()


def _alone(work: Callable[..., None], *arguments: Any) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is answered by the process that started this one
    end_with_parent()
    work(*arguments)


def end_with_parent() -> None:
    """End this process as soon as the one that started it has ended, however that ended."""
    parent = multiprocessing.parent_process()

    def watch() -> None:
        with suppress(OSError):
            parent.join()
        os._exit(1)

    if parent is not None:
        threading.Thread(target=watch, daemon=True).start()


def share_processors(jobs: int) -> None:
    """Take this process's part of torch's threads where ``jobs`` processes work at once."""
    import torch

    torch.set_num_threads(max(1, torch.get_num_threads() // jobs))


def _begin(jobs: int, make: Callable[..., Callable], arguments: Sequence[Any]) -> None:
    global _work
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is answered by the process that started this one
    end_with_parent()
    share_processors(jobs)
    _work = make(*arguments)


def _call(item: Any) -> Any:
    return _work(item)
