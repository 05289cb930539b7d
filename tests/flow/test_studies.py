"""Whose trials are taken for dead."""

import subprocess
import sys
import time

import pytest

from hwprune.flow.studies import PATIENCE, SHARE, bring_back_the_dead, fill_queue, machine, open_study, share_of


@pytest.fixture
def study(tmp_path):
    return open_study(str(tmp_path / "trials.journal"), "study", 1)


def under_way(study, process: int, of: str | None = None, alive: float | None = None, share: float = 0.5) -> None:
    """A trial that this process has begun."""
    fill_queue(study, [share])
    trial = study.ask()
    trial.suggest_float(SHARE, 0.0, 1.0)
    for key, value in (("machine", of or machine()), ("process", process), ("alive", alive or time.time())):
        trial.set_user_attr(key, value)


def waiting(study) -> list[float]:
    bring_back_the_dead(study)
    return [share_of(trial) for trial in study.get_trials() if trial.state.name == "WAITING"]


def test_a_process_that_runs_keeps_its_trial(study):
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        under_way(study, process.pid)
        assert waiting(study) == []


def test_killed_and_not_yet_reaped(study):
    """As it is for a while after a kill where the parent is slow to reap, or never does (process 1 of a container)."""
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    under_way(study, process.pid)
    process.kill()
    with open(f"/proc/{process.pid}/stat") as state:
        while state.seek(0) == 0 and ") Z " not in state.read():
            time.sleep(0.01)
    assert waiting(study) == [0.5]
    process.communicate()
    assert waiting(study) == [0.5]  # once


def test_gone(study):
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    under_way(study, process.pid)
    assert waiting(study) == [0.5]


def test_on_another_machine_silence_tells(study):
    under_way(study, 1, "another machine", time.time() - PATIENCE / 2)
    assert waiting(study) == []
    under_way(study, 1, "another machine", time.time() - 2 * PATIENCE, share=0.25)
    assert waiting(study) == [0.25]
