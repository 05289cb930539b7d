"""FINN in a folder of its own: nothing beside it, and another folder in the same process."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("finn", reason="finn-plus is not installed")

from hwprune.accel.finn_env import prepare_finn
from hwprune.errors import UserError


def test_folder_can_be_changed_in_one_process(tmp_path):
    from finn.util.basic import fifo_rtl_files, make_build_dir

    for name in ("first", "second", "first"):
        build = prepare_finn(tmp_path / name)
        made = make_build_dir("node_", return_as_path=True)
        assert made.parent == build == tmp_path / name / "build"
        (fifo,) = fifo_rtl_files()
        assert Path(fifo).is_relative_to(tmp_path / name)


def test_home_is_left_alone_and_builder_imports_without_vivado(tmp_path):
    home, run = tmp_path / "home", tmp_path / "run"
    home.mkdir()
    code = (
        "import sys; from hwprune.accel.finn_env import prepare_finn; prepare_finn(sys.argv[1]);"
        "import finn.builder.build_dataflow_steps;"
        "from finn.util.settings import get_settings; print(get_settings().finn_build_dir)"
    )
    hidden = ("FINN_", "XILINX_")
    env = {key: value for key, value in os.environ.items() if not key.startswith(hidden)} | {"HOME": str(home)}
    done = subprocess.run([sys.executable, "-c", code, str(run)], env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert Path(done.stdout.splitlines()[-1]) == run / "build"
    assert not (home / ".finn").exists()


def test_child_process_finds_the_same_folder(tmp_path):
    build = prepare_finn(tmp_path / "run")
    code = "from finn.util.settings import get_settings; print(get_settings().finn_build_dir)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert Path(done.stdout.splitlines()[-1]) == build


def test_stand_in_for_vivado_refuses_work(tmp_path):
    prepare_finn(tmp_path)
    from finn import xsi

    with pytest.raises(UserError, match="Verilator"):
        xsi.SimEngine("top")


def test_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UserError, match="file"):
        prepare_finn(tmp_path / "file")
