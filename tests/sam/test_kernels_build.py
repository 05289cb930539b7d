"""Compiling the CPU's kernel: other processors, several processes at once, no compiler."""

import concurrent.futures
import functools
import platform
import subprocess
import sys

import pytest
import torch

from hwprune.errors import UserError
from hwprune.sam.functional import sam_conv2d
from hwprune.sam.kernels import build
from tests.sam.test_kernels import gradients, tensors

LAYER = dict(shape=(2, 8, 6, 21), units=5, kernel=3, stride=1, padding=1, form="difference", floor=False, has_sign=True,
             integers=True, seed=5)  # fmt: skip


@pytest.fixture
def fresh(tmp_path, monkeypatch):
    """An empty cache, nothing loaded."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(build, "load", build.load.__wrapped__)
    return tmp_path


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="these are processors of one family")
@pytest.mark.parametrize("processor", ["x86-64", "x86-64-v3"])
def test_older_processors_compute_the_same(fresh, monkeypatch, processor):
    """None of them has AVX-512; sums of integers are exact, so every bit must agree."""
    wanted = []
    for group in (1, 2, 3, 4, 8, 9, 72):
        channels = group if group < 72 else 8
        layer = LAYER | dict(group=group, shape=(2, channels, 6, 21))
        inputs, options = tensors(layer, torch.float32)
        wanted.append((inputs, options, gradients(sam_conv2d, inputs, options, 5, True)))
    monkeypatch.setattr(build, "FLAGS", tuple(f"-march={processor}" if "march" in f else f for f in build.FLAGS))
    monkeypatch.setattr(build, "load", functools.cache(build.load))
    for inputs, options, want in wanted:
        got = gradients(sam_conv2d, inputs, options, 5, True)
        assert all(torch.equal(a, b) for a, b in zip(got, want, strict=True))
    assert len(list((fresh / "hwprune" / "kernels").glob("*.so"))) == 2


def test_several_processes_may_build_at_once(fresh):
    program = "from hwprune.sam.kernels.build import load; load('sam.cpp', SAM_TYPE='float', SAM_FORM=2, SAM_FLOOR=0)"

    def run(_):
        return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)

    with concurrent.futures.ThreadPoolExecutor() as pool:
        for done in pool.map(run, range(3)):
            assert done.returncode == 0, done.stderr
    assert [path.suffix for path in (fresh / "hwprune" / "kernels").iterdir()] == [".so"]


def test_no_compiler(fresh, monkeypatch):
    monkeypatch.setenv("PATH", str(fresh))
    x, weight = torch.zeros(1, 2, 3, 3), torch.zeros(1, 2, 1, 1)
    with pytest.raises(UserError, match=r"g\+\+ is not on PATH.*apt-get install g\+\+"):
        sam_conv2d(x, weight, weight, form="difference", group=2)


def test_a_compiler_that_fails_leaves_nothing(fresh):
    with pytest.raises(UserError, match=r"cannot compile .*sam\.cpp"):
        build.load("sam.cpp", SAM_TYPE="no_such_type", SAM_FORM=1, SAM_FLOOR=0)
    assert not list((fresh / "hwprune" / "kernels").iterdir())


def test_a_cache_that_cannot_be_written(fresh, monkeypatch):
    (fresh / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(fresh / "file"))
    with pytest.raises(UserError, match="XDG_CACHE_HOME"):
        build.load("sam.cpp", SAM_TYPE="float", SAM_FORM=1, SAM_FLOOR=0)
