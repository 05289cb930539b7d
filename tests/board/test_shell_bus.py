"""The shell against cocotbext-axi's models of memory and bus."""

from dataclasses import asdict

import pytest

from hwprune.board.shell import REGISTERS, write_shell
from tests.board.shell_standin import StandIn, board_with

pytest.importorskip("cocotbext.axi", reason="cocotb and cocotbext-axi are not installed")
from tests.board.shell_runner import Settings, simulate

TESTS = (
    *("registers", "one_frame", "random_frames", "frames_overlap", "soft_reset", "hard_reset", "bus_errors"),
    *("refused_commands", "counters_of_64_bits"),
)
CASES = {
    # As a detector has them: bytes in, heads of different sizes out; no frame is a whole number of words.
    "64 bits": (64, 32, 16, StandIn(1, 1003, ((3, 17), (5, 4))), (*TESTS, "no_event_is_lost")),
    "32 bits, beats wider than words": (32, 32, 16, StandIn(6, 301, ((9, 3),), stall_percent=10), TESTS),
    "128 bits, long bursts, 40 address bits": (128, 40, 256, StandIn(24, 301, ((1, 2), (16, 1), (5, 100))), TESTS),
    "late memory": (64, 32, 16, StandIn(8, 512, ((8, 2), (8, 4))), ("bandwidth",)),
}


@pytest.mark.parametrize("case", CASES)
def test_bus(case, tmp_path, runtime):
    data_bits, address_bits, max_burst, standin, tests = CASES[case]
    design = standin.design(tmp_path / "design")
    shell = write_shell(design, board_with(data_bits, address_bits), tmp_path / "shell", max_burst=max_burst)
    settings = Settings(
        registers=str(shell.folder / REGISTERS),
        data_bits=data_bits,
        address_bits=address_bits,
        max_burst=max_burst,
        latency=24 if "bandwidth" in tests else 0,
        seed=list(CASES).index(case),
        standin=asdict(standin),
    )
    simulate(shell, settings, tmp_path / "run", runtime, "tests.board.shell_cocotb", list(tests))
