"""A run that is killed, at whatever moment, and started again ends as if it had never been stopped.

The first tests kill toy stages at every single step on the disk; the others kill `hwprune run` on a very small recipe,
with its whole process group, while it trains, compiles, builds the simulator and simulates.
"""

import fcntl
import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

import hwprune
from hwprune.flow import runner
from hwprune.flow.pipeline import stages
from hwprune.flow.run_folder import MARKER, RunFolder
from hwprune.report.render import render_report
from tests.flow import toys

STAGES = stages()
ROOT = Path(hwprune.__file__).parents[1]
CHANGES = ("os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.chmod")
CONV = """
[convolutional]
batch_normalize=1
filters={}
size=3
stride=2
pad=1
activation=leaky
"""
HEAD = """
[convolutional]
filters=30
size=1
stride=1
pad=1
activation=linear

[yolo]
mask={}
anchors=10,10, 16,16, 22,22, 30,30
classes=10
num=4
"""
# As tiny-YOLOv3, two heads at strides 32 and 16 with a fork and a concatenation, in half as many layers.
NETWORK = (
    "[net]\nheight=64\nwidth=64\nchannels=3\n"
    + "".join(map(CONV.format, (4, 8, 8, 8, 8)))
    + HEAD.format("2,3")
    + "\n[route]\nlayers=4\n\n[upsample]\nstride=2\n\n[route]\nlayers=-1,3\n"
    + HEAD.format("0,1")
)
TINY = """\
data: {source: digits, image_size: [64, 64], train: 32, val: 4}
model: {darknet_cfg: net.cfg}
train: {epochs: 4, batch_size: 8, accelerator: cpu}
sparsify: {epochs: 2, batch_size: 8, accelerator: cpu}
finetune: {epochs: 2, batch_size: 8, accelerator: cpu}
quantize: {epochs: 2, batch_size: 8, accelerator: cpu}
compile: {target_fps: 500}
simulate: {frames: 1, seeds: [1], validation_images: 2}
"""
OF_ITS_TIME = {"seconds", "finished", "peak_memory_bytes"}
"""What differs in the records of two equal runs."""


# ---- toys, at every step ----


def die_at_change(number: int) -> None:
    """End this process, as SIGKILL would, right before its ``number``-th change on the disk."""
    left = number

    def watch(event: str, arguments: tuple) -> None:
        nonlocal left
        if event in CHANGES or (event == "open" and arguments[2] & (os.O_WRONLY | os.O_RDWR)):
            left -= 1
            if left == 0:
                os._exit(9)

    sys.addaudithook(watch)


def killed(run: Callable[[], None], number: int) -> bool:
    """Whether a child process that does ``run`` was killed at its ``number``-th change; False if it had fewer."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            die_at_change(number)
            run()
            code = 0
        finally:
            os._exit(code)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code in (0, 9)
    return code == 9


def contents(folder: Path) -> dict[str, bytes | dict]:
    """All files of a run folder with what they hold, less what is of its time."""
    found: dict = {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    del found[MARKER]
    for name in found:
        if name == "summary.json" or name.endswith("stage.json"):
            found[name] = {key: value for key, value in json.loads(found[name]).items() if key not in OF_ITS_TIME}
    return found


@pytest.mark.parametrize("before", [None, {"train": {"epochs": 7}}], ids=["new", "over an older run"])
def test_killed_at_every_change_on_the_disk(tmp_path, monkeypatch, before, capfd):
    monkeypatch.setenv("NOTES", str(tmp_path / "notes"))
    monkeypatch.setattr(os, "fsync", lambda handle: None)  # a process that is killed takes no written file with it
    monkeypatch.setattr(runner, "versions", dict)
    toys.run(tmp_path / "whole")
    whole = contents(tmp_path / "whole")
    if before:
        toys.run(tmp_path / "before", **before)
    for number in range(1, 1000):
        folder = tmp_path / f"run{number}"
        if before:
            shutil.copytree(tmp_path / "before", folder)
        was_killed = killed(lambda folder=folder: toys.run(folder), number)
        toys.run(folder)
        assert contents(folder) == whole, f"killed at change {number}"
        if not was_killed:
            break
    assert 60 < number < 999


# ---- hwprune run, with its process group ----


@contextmanager
def started(recipe: Path, out: Path | str, command: str = "run", *more: str) -> Iterator[subprocess.Popen]:
    """`hwprune COMMAND RECIPE --out OUT ...` in a process group of its own, which is gone when the block ends."""
    process = subprocess.Popen(
        [sys.executable, "-m", "hwprune.cli", command, str(recipe), "--out", str(out), *more],
        cwd=recipe.parent,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def finish(recipe: Path, out: Path | str, command: str = "run") -> tuple[int, str, str]:
    """Status, stdout and stderr of a run that nobody disturbs."""
    with started(recipe, out, command) as process:
        said, errors = process.communicate()
        return process.returncode, said, errors


def kill_when(seen: Callable[[], bool], recipe: Path, out: Path, command: str = "run", *more: str) -> str:
    """Start a run, kill it as soon as ``seen``, and give what it had printed until then."""
    with started(recipe, out, command, *more) as process:
        while not seen():
            assert process.poll() is None, "the run ended before it could be killed:\n" + "".join(process.communicate())
            time.sleep(0.002)
        os.killpg(process.pid, signal.SIGKILL)
        return process.communicate()[0]


@pytest.fixture(scope="session")
def whole(tmp_path_factory) -> Path:
    """The run folder of a run that was never stopped, named by a relative path; made once for all of xdist's workers.
    To be copied by tests that write to it."""
    base = tmp_path_factory.getbasetemp()
    place = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "whole-run"
    place.mkdir(exist_ok=True)
    with (place / "lock").open("w") as lock:
        fcntl.lockf(lock, fcntl.LOCK_EX)
        if not (place / "said.json").exists():
            (place / "net.cfg").write_text(NETWORK)
            (place / "tiny.yaml").write_text(TINY)
            (place / "said.json").write_text(json.dumps(finish(place / "tiny.yaml", "run")))
    status, said, errors = json.loads((place / "said.json").read_text())
    assert status == 0, errors
    assert said.splitlines()[-1] == "run"
    return place / "run"


def test_killed_again_and_again(whole, tmp_path):
    recipe, out = whole.parent / "tiny.yaml", tmp_path / "deep" / "run"
    simulator = out / "simulate" / "verilator"

    def files(pattern: str) -> bool:
        return any(path.stat().st_size for path in out.glob(pattern))

    kill_when(lambda: files("train/last.ckpt"), recipe, out)
    said = kill_when(lambda: files("quantize/last.ckpt"), recipe, out)
    assert "train     goes on where it was interrupted" in said
    assert "train 1/4" not in said and "train 4/4" in said
    said = kill_when(lambda: files("compile/build/*/*"), recipe, out)
    assert "quantize  goes on where it was interrupted" in said and "quantize 1/2" not in said
    said = kill_when(lambda: files("simulate/.verilator.*/new/objects/Vdesign*.o"), recipe, out)
    assert "compile   goes on where it was interrupted" in said
    assert not simulator.exists()
    said = kill_when(lambda: files("simulate/verilator/.run.*/*.out"), recipe, out)
    assert "simulate  goes on where it was interrupted" in said
    built = (simulator / "simulator").stat()
    status, said, errors = finish(recipe, out)
    assert (status, errors.count("mismatches")) == (0, 2), errors  # a table for csim, one for the RTL
    assert said.count("kept, unchanged") == len(STAGES) - 2
    now = (simulator / "simulator").stat()
    assert (now.st_ino, now.st_mtime_ns) == (built.st_ino, built.st_mtime_ns)  # a finished build is used again

    assert_same(out, whole)


def assert_same(one: Path, other: Path) -> None:
    """Two run folders have the same artefacts to the byte, the same records and summary, and nothing besides."""
    for stage in STAGES[:-1]:
        records = [RunFolder(folder).record(stage.name) for folder in (one, other)]
        assert records[0].artefacts == records[1].artefacts
        assert records[0].model_dump(exclude=OF_ITS_TIME) == records[1].model_dump(exclude=OF_ITS_TIME)
        assert RunFolder(one).damage(records[0]) == RunFolder(other).damage(records[1]) == []
    found = [contents(folder) for folder in (one, other)]
    assert found[0]["summary.json"] == found[1]["summary.json"]
    assert found[0]["recipe.yaml"] == found[1]["recipe.yaml"]
    names = [{name for name in files if "/tensorboard/" not in name} for files in found]
    assert names[0] == names[1]
    # The report draws the seconds as well; with the same ones it is the same.
    assert drawn_in_no_time(one) == drawn_in_no_time(other)


def drawn_in_no_time(folder: Path) -> bytes:
    """The report of a run, had each stage taken one second."""
    copy = folder.with_name(f"{folder.name}-in-no-time")
    shutil.copytree(folder, copy)
    for path in copy.glob("*/stage.json"):
        none = {"seconds": 1.0, "peak_memory_bytes": None, "finished": "2025-01-01T00:00:00+00:00"}
        path.write_text(json.dumps(json.loads(path.read_text()) | none))
    return render_report(copy).read_bytes()


def test_artefacts_name_no_place_on_this_machine(whole):
    # The report shows the recipe, which names the user's own files.
    places = [str(place).encode() for place in (whole.parent, ROOT, Path(torch_folder()).parent, Path.home())]
    for stage in STAGES[:-1]:
        for name in RunFolder(whole).record(stage.name).artefacts:
            content = (whole / stage.name / name).read_bytes()
            assert not [place for place in places if place in content], name


def torch_folder() -> str:
    return importlib.util.find_spec("torch").submodule_search_locations[0]


def test_nothing_but_the_stages_is_heard(whole):
    """No warning of a library reaches the user; stderr has the tables of the checks and nothing else."""
    _, said, errors = json.loads((whole.parent / "said.json").read_text())
    lines = [line for line in said.splitlines()[:-1] if " loss " not in line]
    assert {line.split()[0] for line in lines} == {stage.name for stage in STAGES}
    assert len(lines) == 2 * len(STAGES)
    titles = [line.strip() for line in errors.strip().splitlines() if line[0] not in "┏┃┡│├└"]
    tables = [f"network and {level}, stream by stream" for level in ("csim", "rtl")]
    assert titles[0].startswith("cycle model: ") and titles[1:3] == tables
    assert titles[3].startswith("cycles against the cycle model: ") and titles[3].endswith(" beats, 0 differ")
    assert len(titles) == 4


def test_a_finished_run_does_nothing_and_loads_nothing_heavy(whole, tmp_path):
    folder = tmp_path / "moved"
    shutil.copytree(whole, folder)
    before = snapshot(folder)
    script = (
        "import sys\nfrom hwprune.cli import main\n"
        "main(['run', *sys.argv[1:]], standalone_mode=False)\n"
        "print([m for m in ('torch', 'lightning', 'brevitas', 'finn', 'onnx') if m in sys.modules])"
    )
    command = [sys.executable, "-c", script, str(whole.parent / "tiny.yaml"), "--out", str(folder)]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    said = subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout.splitlines()
    assert ["kept, unchanged" in line for line in said] == [True] * len(STAGES) + [False] * 2
    assert said[-1] == "[]"
    assert snapshot(folder) == before


def snapshot(folder: Path) -> dict[str, tuple[int, bytes]]:
    """All files but the mark, which says who was here last, and the summary, which is written anew."""
    files = (p for p in folder.rglob("*") if p.is_file() and p.name not in (MARKER, "summary.json", "recipe.yaml"))
    return {p.relative_to(folder).as_posix(): (p.stat().st_mtime_ns, p.read_bytes()) for p in files}


def test_other_simulate_settings_touch_no_other_stage(whole, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(whole, folder)
    recipe = whole.parent / "other.yaml"
    recipe.write_text(
        "name: tiny\n" + TINY.replace("seeds: [1], validation_images: 2", "stall_percent: 0, validation_images: 0")
    )
    status, said, errors = finish(recipe, folder)
    assert status == 0, errors
    kept = {line.split()[0] for line in said.splitlines() if "kept, unchanged" in line}
    assert kept == {stage.name for stage in STAGES} - {"simulate", "report"}
    results = [RunFolder(run).record("simulate").results for run in (folder, whole)]
    assert len(results[0]["equivalence"]["rows"]) * 2 == len(results[1]["equivalence"]["rows"])
    assert results[0]["cycles_per_frame"] == results[1]["cycles_per_frame"]


def test_a_cut_checkpoint_of_an_interrupted_training(whole, tmp_path):
    recipe, out = whole.parent / "tiny.yaml", tmp_path / "run"
    checkpoint = out / "train" / "last.ckpt"
    kill_when(checkpoint.exists, recipe, out, "train")
    with checkpoint.open("r+b") as file:
        file.truncate(checkpoint.stat().st_size // 2)
    status, _, errors = finish(recipe, out, "train")
    assert status == 2
    assert errors.startswith(f"Error: {checkpoint}: damaged") and "Delete it to train from the start" in errors
    assert "Traceback" not in errors
    checkpoint.unlink()
    status, said, errors = finish(recipe, out, "train")
    assert status == 0, errors
    assert "train 1/4" in said
    assert RunFolder(out).record("train").digest == RunFolder(whole).record("train").digest
