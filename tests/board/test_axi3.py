"""The bridge from the processor's AXI3 port to the shell's registers, against cocotbext-axi's models."""

import os
from pathlib import Path
from unittest.mock import patch

import pytest

from hwprune.accel.sources import rtl_dir

pytest.importorskip("cocotbext.axi", reason="cocotb and cocotbext-axi are not installed")
from tests.board.shell_runner import simulator_programs

TESTS = (
    *("at_full_speed", "with_stalls", "reads_and_writes_at_once", "fixed_bursts", "wrapping_bursts"),
    *("errors_come_back", "reset_in_a_burst"),
)


def test_bridge(tmp_path, runtime):
    from cocotb_tools.check_results import get_results
    from cocotb_tools.runner import get_runner

    programs = simulator_programs(tmp_path, runtime)
    options = "CXX=g++ LINK=g++ CFG_CXXFLAGS_PCH_I=-include OPT_FAST=-O1 OPT_SLOW=-O0 OPT_GLOBAL=-O1"
    tools = {
        "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
        "MAKEFLAGS": f"{options} OBJCACHE={programs / 'once'}",
    }
    runner = get_runner("verilator")
    bench = Path(__file__).with_name("axi3_bench.sv")
    with patch.dict(os.environ, tools):
        runner.build(
            sources=[rtl_dir() / "axi3_lite.sv", bench],
            hdl_toplevel="axi3_bench",
            build_dir=tmp_path / "build",
            build_args=["--assert", "--no-timing", "--x-initial", "unique", "-CFLAGS", "-std=c++20"],
            always=True,
            log_file=tmp_path / "build.log",
        )
    environment = {"COCOTB_LOG_LEVEL": "WARNING", "PYTHONWARNINGS": "ignore::DeprecationWarning"}
    try:
        results = runner.test(
            hdl_toplevel="axi3_bench",
            test_module="tests.board.axi3_cocotb",
            extra_env={**environment, "PYTHONPATH": str(Path(__file__).resolve().parents[2])},
            build_dir=tmp_path / "build",
            test_dir=tmp_path,
            results_xml=str(tmp_path / "results.xml"),
            log_file=tmp_path / "test.log",
            seed=1,
        )
    except SystemExit:
        pytest.fail((tmp_path / "test.log").read_text()[-3000:])
    assert get_results(results) == (len(TESTS), 0), (tmp_path / "test.log").read_text()[-3000:]
