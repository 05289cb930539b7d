import importlib.metadata
import json
import os
import stat

import pytest
from click.testing import CliRunner

from hwprune import doctor
from hwprune.cli import main

PROGRAMS = ("perl", "make", "g++")


@pytest.fixture
def tools(tmp_path, monkeypatch):
    """A PATH that holds only the programs put there, each printing one line."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))

    def put(name: str, says: str, status: int = 0) -> None:
        path = folder / name
        path.write_text(f"#!/bin/sh\necho '{says}'\nexit {status}\n")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)

    return put


def by_name(findings):
    return {f.name: f for f in findings}


def call(*arguments):
    return CliRunner().invoke(main, ["doctor", *arguments])


def test_an_empty_path_misses_the_programs(tools):
    found = by_name(doctor.examine())
    for name in PROGRAMS:
        assert (found[name].version, found[name].ok, found[name].required) == (None, False, True)
    assert found["vivado"].version is None and not found["vivado"].required
    result = call()
    assert result.exit_code == 1
    assert "will not get through: perl, make, g++" in result.output
    assert "g++: apt-get install g++" in result.output


def test_json_agrees_with_the_exit_status(tools):
    result = call("--json")
    told = json.loads(result.stdout)
    assert result.exit_code == 1
    assert told["ok"] is False
    assert {tool["name"] for tool in told["tools"] if not tool["ok"] and tool["required"]} >= set(PROGRAMS)
    assert all(tool["remedy"] and tool["needed_for"] for tool in told["tools"])


def test_programs_are_found_with_their_versions(tools):
    tools("perl", "v5.36.0")
    tools("make", "GNU Make 4.3")
    tools("g++", "g++ (Debian 12.2.0-14) 12.2.0")
    found = by_name(doctor.examine())
    assert [found[name].version for name in PROGRAMS] == ["5.36.0", "4.3", "12.2.0"]
    assert all(found[name].ok for name in PROGRAMS)


def test_a_program_that_fails_is_told(tools):
    tools("make", "GNU Make 4.3", status=3)
    (make,) = [f for f in doctor.examine() if f.name == "make"]
    assert not make.ok
    assert "ends with status 3" in make.problem


def test_missing_and_old_packages(tools, monkeypatch):
    for name in PROGRAMS:
        tools(name, "1.0")
    real = importlib.metadata.version

    def version(name):
        if name == "brevitas":
            raise importlib.metadata.PackageNotFoundError(name)
        return "1.0.0" if name == "lightning" else real(name)

    monkeypatch.setattr(importlib.metadata, "version", version)
    found = by_name(doctor.examine())
    assert found["brevitas"].version is None
    assert found["brevitas"].remedy == "pip install 'hwprune[accel]'"
    assert "lightning>=" in found["lightning"].problem
    assert not doctor.runnable(list(found.values()))
    assert call().exit_code == 1


@pytest.mark.parametrize("missing", [set(), {"vivado"}, {"perl"}])
def test_only_what_is_required_counts(missing):
    findings = [
        doctor.Finding(name, None if name in missing else "1", name != "vivado", "x", "", "get it")
        for name in ("perl", "vivado")
    ]
    assert doctor.runnable(findings) == ("perl" not in missing)


def test_the_shell_environment_is_left_alone(tools):
    before = dict(os.environ)
    doctor.examine()
    assert dict(os.environ) == before
