"""Processes that work for another one."""

import multiprocessing
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

import hwprune
from hwprune.errors import UserError
from hwprune.flow.workers import Workers, spawned

ROOT = Path(hwprune.__file__).parents[1]


class Adder:
    """Costly to make."""

    def __init__(self, addend: int):
        self.addend = addend

    def __call__(self, item: int) -> tuple[int, int]:
        if item < 0:
            raise UserError(f"item {item} is negative")
        return item + self.addend, os.getpid()


@pytest.mark.parametrize("jobs", [1, 2])
def test_every_item_comes_back_with_its_result(jobs):
    with Workers(jobs, Adder, (10,), Adder(10)) as workers:
        found = dict(workers.map(range(12)))
    assert {item: total for item, (total, _) in found.items()} == {i: i + 10 for i in range(12)}
    processes = {process for _, process in found.values()}
    assert (processes == {os.getpid()}) == (jobs == 1)


def test_what_goes_wrong_in_a_process_is_told_and_ends_the_others():
    with pytest.raises(UserError, match="item -1"), Workers(2, Adder, (0,), Adder(0)) as workers:
        list(workers.map([1, -1, *range(100)]))
    assert not multiprocessing.active_children()


def sleep(number: int, folder: str) -> None:
    (Path(folder) / str(os.getpid())).touch()
    time.sleep(600)


def test_processes_end_with_the_block(tmp_path):
    with spawned(2, sleep, (str(tmp_path),)) as processes:
        while len(list(tmp_path.iterdir())) < 2:
            time.sleep(0.05)
    assert not any(process.is_alive() for process in processes)


def test_processes_end_with_a_parent_that_is_killed(tmp_path):
    script = (
        "import time\nfrom tests.flow.test_workers import sleep\nfrom hwprune.flow.workers import spawned\n"
        "if __name__ == '__main__':\n"
        f"    with spawned(2, sleep, ({str(tmp_path)!r},)):\n        time.sleep(600)\n"
    )
    (tmp_path.parent / "parent.py").write_text(script)
    parent = subprocess.Popen(
        [sys.executable, str(tmp_path.parent / "parent.py")], env=os.environ | {"PYTHONPATH": str(ROOT)}
    )
    try:
        while len(list(tmp_path.iterdir())) < 2:
            assert parent.poll() is None
            time.sleep(0.05)
    finally:
        parent.kill()
        parent.wait()
    left = [int(path.name) for path in tmp_path.iterdir()]
    for _ in range(200):
        left = [process for process in left if runs(process)]
        if not left:
            return
        time.sleep(0.05)
    pytest.fail(f"processes {left} have outlived the one that started them")


def runs(process: int) -> bool:
    """Whether it does anything; a zombie does not."""
    try:
        os.kill(process, 0)
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (ProcessLookupError, FileNotFoundError):
        return False
