import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hwprune.errors import UserError
from hwprune.flow.run_folder import MARKER, RunFolder
from hwprune.flow.runner import InterruptedStageError, Runner, duration
from hwprune.flow.stage import Outcome, Stage
from tests.flow import toys


@pytest.fixture
def notes(tmp_path, monkeypatch):
    """Names of the work that the toy stages did since the last call."""
    path = tmp_path / "notes"
    path.touch()
    monkeypatch.setenv("NOTES", str(path))

    def take() -> list[str]:
        lines = path.read_text().splitlines()
        path.write_text("")
        return lines

    return take


@pytest.fixture
def folder(tmp_path) -> Path:
    return tmp_path / "run"


ALL = [*(f"epoch {i}" for i in range(toys.EPOCHS)), "prune", "finetune"]


def child(folder: Path, **environment) -> subprocess.Popen:
    root = Path(__file__).parents[2]
    return subprocess.Popen(
        [sys.executable, "-m", "tests.flow.toys", str(folder)],
        cwd=root,
        env=os.environ | {"PYTHONPATH": str(root)} | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def wait_until(condition, process: subprocess.Popen) -> None:
    for _ in range(600):
        if condition():
            return
        assert process.poll() is None, process.stdout.read()
        time.sleep(0.05)
    pytest.fail("the toy run never came so far")


def snapshot(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_a_whole_run_then_nothing_to_do(folder, notes, capsys):
    toys.run(folder)
    assert notes() == ALL
    before = snapshot(folder)
    toys.run(folder)
    assert notes() == []
    assert capsys.readouterr().out.count("kept, unchanged") == 3
    after = snapshot(folder)
    del before[MARKER], after[MARKER]  # says who held the lock last
    assert before == after


def test_summary_has_its_keys_at_every_moment(folder, notes):
    toys.run(folder, last="train")
    partial = json.loads((folder / "summary.json").read_text())
    toys.run(folder)
    whole = json.loads((folder / "summary.json").read_text())
    keys = [
        "params",
        "macs",
        "sam_ops",
        "map50",
        "rounds",
        "equivalence",
        "csim",
        "accelerator",
        "build",
        "seconds",
        "versions",
        "seed",
    ]
    assert list(partial) == list(whole) == keys
    assert partial["params"] == {"before": 100, "after": None}
    assert whole["params"] == {"before": 100, "after": 50}
    assert whole["macs"] == {"before": None, "after": 10}
    levels = ["float", "sparse", "pruned", "finetuned", "quantized", "accelerator"]
    assert list(whole["map50"].items()) == list(zip(levels, [0.5, None, 0.4, 0.45, None, None], strict=True))
    assert list(whole["seconds"]) == ["train", "prune", "finetune"]


def test_one_stage_brings_those_before_it(folder, notes):
    toys.run(folder, last="prune")
    assert notes() == ALL[:-1]
    toys.run(folder, last="finetune")
    assert notes() == ["finetune"]


def test_a_changed_section_runs_its_stage_and_those_on_it(folder, notes):
    toys.run(folder)
    notes()
    toys.run(folder, finetune={"epochs": 3})
    assert notes() == ["finetune"]
    toys.run(folder, finetune={"epochs": 3}, train={"epochs": 7})
    assert notes() == ALL
    toys.run(folder, seed=2)
    assert notes() == ALL
    toys.run(folder, seed=2, report={"images": 1})  # none of these stages looks at it
    assert notes() == []


def test_how_the_work_is_done_is_no_change(folder, notes):
    toys.run(folder)
    notes()
    toys.run(folder, train={"workers": 2, "accelerator": "cpu"})
    assert notes() == []


def test_what_gives_the_same_files_changes_nothing_further_down(folder, notes):
    toys.run(folder)
    notes()
    toys.run(folder, prune={"min_channels": 5})
    assert notes() == ["prune"]


def test_a_new_version_of_a_stage_runs_it_again(folder, notes):
    toys.run(folder)
    notes()
    first, second, third = toys.STAGES
    newer = Stage(second.name, second.about, second.makes, second.reads, second.sections, second.run, version=2)
    toys.run(folder, stages=(first, newer, third))
    assert notes() == ["prune"]


@pytest.mark.parametrize("harm", ["cut", "gone"])
def test_a_damaged_artefact_is_told_and_made_again(folder, notes, harm, capsys):
    toys.run(folder)
    notes()
    model = folder / "prune" / "model.txt"
    good = model.read_text()
    model.write_text(good[:-1]) if harm == "cut" else model.unlink()
    toys.run(folder)
    assert notes() == ["prune"]
    assert model.read_text() == good
    told = capsys.readouterr().out
    assert f"{model} {'has changed since' if harm == 'cut' else 'is missing'}" in told


@pytest.mark.parametrize("content", ["", "{", "[]", '{"stage": "prune"}'])
def test_a_damaged_record_counts_as_none(folder, notes, content):
    toys.run(folder)
    notes()
    (folder / "prune" / "stage.json").write_text(content)
    toys.run(folder)
    assert notes() == ["prune"]


def test_killed_in_the_middle_goes_on_from_there(folder, notes):
    process = child(folder, HANG_IN_EPOCH="3")
    wait_until(lambda: "epoch 3" in Path(os.environ["NOTES"]).read_text(), process)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert not (folder / "train" / "stage.json").exists()
    assert notes() == ["epoch 0", "epoch 1", "epoch 2", "epoch 3"]
    toys.run(folder)
    assert notes() == ["epoch 3", "epoch 4", "prune", "finetune"]
    assert not list(folder.rglob("started.json"))


def test_work_in_progress_of_another_recipe_is_cleared(folder, notes):
    process = child(folder, HANG_IN_EPOCH="3")
    wait_until(lambda: "epoch 3" in Path(os.environ["NOTES"]).read_text(), process)
    process.kill()
    process.communicate()
    notes()
    toys.run(folder, train={"epochs": 3})
    assert notes() == ALL


def test_two_runs_do_not_share_a_folder(folder, notes):
    process = child(folder, HANG_IN_EPOCH="0")
    try:
        wait_until(lambda: "epoch 0" in Path(os.environ["NOTES"]).read_text(), process)
        with pytest.raises(UserError, match=f"another run is at work here .process {process.pid} on "):
            toys.run(folder)
        assert notes() == ["epoch 0"]
    finally:
        process.kill()
        process.communicate()
    toys.run(folder)  # a lock does not outlive its process
    assert notes() == ALL


def test_one_process_does_not_share_a_folder_with_itself(folder, notes):
    with RunFolder(folder).lock(), pytest.raises(UserError, match="this process"):
        toys.run(folder)
    toys.run(folder)
    assert notes() == ALL


def test_ctrl_c_tells_the_stage(folder, notes):
    def interrupted(context):
        (context.folder / "last.ckpt").write_text("2")
        raise KeyboardInterrupt

    def ended_by_lightning(context):
        try:
            raise KeyboardInterrupt
        except KeyboardInterrupt:
            sys.exit(1)

    for run in (interrupted, ended_by_lightning):
        stage = Stage("train", "trains", "", (), ("data", "train"), run)
        with pytest.raises(InterruptedStageError) as caught:
            toys.run(folder, stages=(stage,))
        assert caught.value.stage == "train"
    toys.run(folder)
    assert notes() == ALL[2:]


def test_a_missing_package_names_the_way_out(folder, notes):
    def needs(context):
        import no_such_package_at_all.inside  # noqa: F401

    with pytest.raises(UserError, match=r"quantize: the Python package no_such_package_at_all .* `hwprune doctor`"):
        toys.run(folder, stages=(Stage("quantize", "", "", (), ("quantize",), needs),))


@pytest.mark.parametrize("name", ["recipe.yaml", "train/cat.jpg"])
def test_folders_that_are_not_ours_are_left_alone(folder, notes, name):
    precious = folder / name
    precious.parent.mkdir(parents=True)
    precious.write_text("precious")
    with pytest.raises(UserError, match="neither empty nor a run folder"):
        toys.run(folder)
    assert snapshot(folder) == {name: b"precious"}


def test_a_stage_folder_that_is_not_ours_is_left_alone(folder, notes):
    toys.run(folder, last="train")
    (folder / "prune").mkdir()
    (folder / "prune" / "cat.jpg").write_text("precious")
    with pytest.raises(UserError, match="not made by hwprune"):
        toys.run(folder)
    assert (folder / "prune" / "cat.jpg").read_text() == "precious"


def test_out_that_is_a_file(tmp_path, notes):
    (tmp_path / "file").touch()
    for path in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(UserError, match="--out"):
            toys.run(path)


def test_results_of_a_stale_stage_leave_the_summary(folder, notes):
    toys.run(folder)
    toys.run(folder, last="train", train={"epochs": 7})
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["map50"]["float"] == 0.5
    assert summary["map50"]["pruned"] is None
    assert list(summary["seconds"]) == ["train"]


def test_a_record_carries_what_it_was_made_of(folder, notes):
    toys.run(folder)
    record = RunFolder(folder).record("prune")
    assert list(record.inputs) == ["train"]
    assert list(record.artefacts) == ["model.txt"]
    assert record.seed == 1
    assert record.seconds >= 0
    assert record.peak_memory_bytes > 1 << 20
    assert record.versions["python"].startswith("3.")


def test_an_error_in_a_stage_leaves_no_record(folder, notes):
    def fails(context):
        raise UserError("no good")

    with pytest.raises(UserError, match="no good"):
        toys.run(folder, stages=(Stage("train", "", "", (), ("data", "train"), fails),))
    assert RunFolder(folder).record("train") is None


def test_the_fingerprint_does_not_depend_on_the_order_of_keys(folder, notes):
    def of(**sections):
        return Runner(toys.recipe(**sections), RunFolder(folder), toys.STAGES, None).fingerprint(toys.STAGES[0])

    assert of(train={"epochs": 3, "batch_size": 2}) == of(train={"batch_size": 2, "epochs": 3})
    assert of(train={"epochs": 3}) != of(train={"epochs": 4})


def test_an_artefact_outside_of_the_folder_is_a_mistake_of_the_stage(folder, tmp_path, notes):
    (tmp_path / "elsewhere").touch()
    stage = Stage("train", "", "", (), ("data",), lambda context: Outcome((tmp_path / "elsewhere",)))
    with pytest.raises(ValueError, match="outside of the run folder"):
        toys.run(folder, stages=(stage,))


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.04, "0.0 s"), (9.96, "10 s"), (59.4, "59 s"), (59.6, "1 min 00 s"), (192, "3 min 12 s"), (7500, "2 h 05 min")],
)
def test_duration(seconds, text):
    assert duration(seconds) == text
