import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

import hwprune
from hwprune.cli import main
from hwprune.flow.pipeline import STAGES
from hwprune.recipes import ready_recipes
from tests.report import made_up

ROOT = Path(hwprune.__file__).parents[1]
TINY = """\
data: {source: digits, image_size: [64, 64], train: 8, val: 4}
model: {widths: [4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4]}
train: {epochs: 2, batch_size: 4, accelerator: cpu}
sparsify: {epochs: 2, batch_size: 4, accelerator: cpu}
finetune: {epochs: 2, batch_size: 4, accelerator: cpu}
"""


def call(*arguments: str | Path):
    return CliRunner().invoke(main, list(map(str, arguments)), prog_name="hwprune")


def refused(result, *words: str) -> None:
    """Ended as bad input does: status 2, a message on stderr, nothing that looks like a traceback."""
    assert result.exit_code == 2, result.output
    assert result.exception is None or isinstance(result.exception, SystemExit)
    assert result.stderr.startswith("Error")
    assert "Traceback" not in result.output
    for word in words:
        assert word in result.stderr


def test_help_loads_nothing_heavy():
    script = (
        "import sys\nfrom hwprune.cli import main\nmain(['--help'], standalone_mode=False)\n"
        "print([m for m in ('torch', 'numpy', 'pydantic', 'yaml', 'rich', 'matplotlib') if m in sys.modules])"
    )
    answer = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT, check=True)
    assert answer.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize("stage", [stage for stage in STAGES if stage.name != "report"], ids=lambda stage: stage.name)
def test_help_of_a_stage_teaches(stage):
    text = call(stage.name, "--help").output
    assert f"Makes:    {stage.name}/" in text
    for name in stage.reads:
        assert f"{name}/" in text
    assert f"hwprune {stage.name} my.yaml --out runs/first" in text


def test_version_and_commands():
    assert call("--version").output == f"hwprune {hwprune.__version__}\n"
    text = call("--help").output
    for command in ("run", *(stage.name for stage in STAGES), "recipe", "doctor"):
        assert f"\n  {command} " in text


def test_ready_recipes_are_listed_and_printed(tmp_path):
    assert {line.split()[0] for line in call("recipe").output.splitlines()} == {p.stem for p in ready_recipes()}
    for path in ready_recipes():
        assert call("recipe", path.stem).output == path.read_text(encoding="utf-8")
    refused(call("recipe", "nope"), "'nope'", "quickstart")


@pytest.mark.parametrize("command", ["run", "train", "finetune"])
def test_bad_recipes(tmp_path, command):
    bad = tmp_path / "bad.yaml"
    bad.write_text("data: {source: digits}\ntrain: {epoch: 1}\nsparsify: {l1: x}\n")
    result = call(command, bad, "--out", tmp_path / "run")
    refused(result, f"{bad}:2:9: train.epoch: unknown key; did you mean epochs?", f"{bad}:3:16: sparsify.l1")
    assert not (tmp_path / "run").exists()
    refused(call(command, tmp_path / "missing.yaml"), "missing.yaml: cannot be read")


def test_traces_need_their_level_before_anything_starts(tmp_path):
    recipe = tmp_path / "r.yaml"
    recipe.write_text(TINY + "simulate: {traces: {streams: ['*']}}\n")
    refused(
        call("simulate", recipe, "--level", "rtl", "--out", tmp_path / "run"),
        "Error: simulate.traces: the level cycle writes them, which is not among the levels (rtl); add it",
    )
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("command", ["build", "deploy"])
def test_a_bitstream_needs_a_board_before_anything_starts(tmp_path, command):
    recipe = tmp_path / "r.yaml"
    recipe.write_text(TINY)
    refused(call(command, recipe, "--out", tmp_path / "run"), "compile.board: a bitstream is for a board", "pynq-z2}")
    assert not (tmp_path / "run").exists()


def test_what_makes_a_run_build_is_taught():
    assert "{board: pynq-z2}" in call("run", "--help").output and "build: {}" in call("run", "--help").output
    assert "hwprune build my.yaml" in call("--help").output


@pytest.mark.parametrize(
    "arguments", [["fly"], ["run", "--fast"], ["report"], ["run", "a", "b"], ["simulate", "--level", "nonsense"]]
)
def test_wrong_use(arguments):
    result = call(*arguments)
    assert result.exit_code == 2
    assert "Usage: hwprune" in result.stderr


def test_data_that_is_missing(tmp_path):
    (tmp_path / "r.yaml").write_text("data: {source: voc, path: nowhere}\n")
    refused(call("train", tmp_path / "r.yaml", "--out", tmp_path / "run"), str(tmp_path / "nowhere"))


def test_out_that_is_not_ours(tmp_path):
    (tmp_path / "r.yaml").write_text(TINY)
    refused(call("train", tmp_path / "r.yaml", "--out", tmp_path), "neither empty nor a run folder")


def test_report(tmp_path):
    refused(call("report", tmp_path), "no run folder")
    made_up.make(tmp_path / "run", stages=made_up.ORDER[:3])
    result = call("report", tmp_path / "run")
    assert result.exit_code == 0
    assert result.output.strip() == str(tmp_path / "run" / "report.html")


@pytest.mark.skipif(not Path("/proc/self").exists() or os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "r.yaml").write_text(TINY)
    (tmp_path / "closed").mkdir(mode=0o555)
    refused(call("train", tmp_path / "r.yaml", "--out", tmp_path / "closed" / "run"), "cannot be written")


def test_stages_for_real_and_twice_the_same(tmp_path):
    """The whole float side on a very small recipe; a second folder gets the same bits."""
    recipe = tmp_path / "tiny.yaml"
    recipe.write_text(TINY)
    for run in ("a", "b"):
        result = call("finetune", recipe, "--out", tmp_path / run)
        assert result.exit_code == 0, result.output
    summary = json.loads((tmp_path / "a" / "summary.json").read_text())
    assert all(summary["map50"][level] is not None for level in ("float", "sparse", "pruned", "finetuned"))
    assert summary["params"]["after"] <= summary["params"]["before"]
    for stage in ("train", "sparsify", "prune", "finetune"):
        one, two = (json.loads((tmp_path / run / stage / "stage.json").read_text()) for run in ("a", "b"))
        assert one["fingerprint"] == two["fingerprint"]
        assert one["artefacts"] == two["artefacts"]
        assert one["results"] == two["results"]
    again = call("finetune", recipe, "--out", tmp_path / "a")
    assert again.output.count("kept, unchanged") == 4


def test_ctrl_c_says_what_is_kept_and_how_to_go_on(tmp_path):
    recipe = tmp_path / "tiny.yaml"
    recipe.write_text(TINY.replace("train: {epochs: 2", "train: {epochs: 2000"))
    command = [sys.executable, "-m", "hwprune.cli", "train", str(recipe), "--out", str(tmp_path / "run")]
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A shell's background jobs ignore Ctrl-C, and would hand that down.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    try:
        checkpoint = tmp_path / "run" / "train" / "last.ckpt"
        for _ in range(1200):
            if checkpoint.exists() or process.poll() is not None:
                break
            time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130, said
    assert "Interrupted in stage train" in said
    assert f"train {recipe} --out {tmp_path / 'run'}" in said
    assert "Traceback" not in said
    assert checkpoint.exists()
    assert not (tmp_path / "run" / "train" / "stage.json").exists()
