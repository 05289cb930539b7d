"""The HLS C++ of a graph as one program: each operator's top file, as Vitis HLS would get it, compiled by g++ against
Xilinx's open ap_types headers."""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from hwprune.data.progress import track_slow
from hwprune.errors import UserError
from hwprune.files import atomic_write, scratch_folder, write_text
from hwprune.sim.simulator import sift, started

if TYPE_CHECKING:
    from qonnx.core.modelwrapper import ModelWrapper

EXECUTABLE = "csim"
HARNESS = Path(__file__).with_name("csim_harness.cpp")
AP_TYPES_PACKAGE = "hls4ml"
AP_TYPES = Path("templates", "vivado", "ap_types")
"""Where that package has the headers; it is never imported."""
FLAGS = ("-std=c++14", "-O2", "-Wno-unknown-pragmas")
PREAMBLE = "#include <ap_int.h>\n#include <hls_stream.h>\n"


@dataclass(frozen=True)
class Channel:
    """A stream between two operators, or between one and the outside: the tensor it carries, and its beats a frame."""

    tensor: str
    bits: int
    beats: int

    @property
    def bytes(self) -> int:
        """Bytes of a beat in memory."""
        return -(-self.bits // 8)


@dataclass(frozen=True)
class Kernel:
    """An operator in C++.

    Attributes
    ----------
    name
        Of the node, and of its top function.
    files
        Name and text; one of them is ``top_<name>.cpp``.
    widest
        The least AP_INT_MAX_W.
    inputs, outputs
        In the order of the ports.
    """

    name: str
    files: Mapping[str, str]
    widest: int
    inputs: tuple[Channel, ...]
    outputs: tuple[Channel, ...]


@dataclass(frozen=True)
class Program:
    """A compiled graph; its inputs are the streams that no operator writes."""

    executable: Path
    kernels: tuple[Kernel, ...]

    @property
    def inputs(self) -> tuple[Channel, ...]:
        """Streams to feed."""
        written = {channel.tensor for kernel in self.kernels for channel in kernel.outputs}
        return tuple(c for kernel in self.kernels for c in kernel.inputs if c.tensor not in written)

    @property
    def streams(self) -> tuple[Channel, ...]:
        """Streams that come out, in the order of the data flow."""
        return tuple(channel for kernel in self.kernels for channel in kernel.outputs)

    def run(self, inputs: Mapping[str, np.ndarray], frames: int, *, progress: bool = True) -> dict[str, np.ndarray]:
        """Run whole frames.

        Parameters
        ----------
        inputs
            For each input's tensor its beats, uint8 (frames * beats, bytes), lowest byte first.
        frames
            How many.
        progress
            Show a bar if it takes long.

        Returns
        -------
        dict
            For each stream's tensor what was written to it, likewise. If an operator writes another number of beats
            than its stream has in a frame, the run ends behind it, and later streams are shorter.

        Raises
        ------
        UserError
            Beats that do not fit an input, an operator that reads too few or too many beats, or a program that breaks
            off.
        """
        names = {channel.tensor: f"s{i}" for i, channel in enumerate((*self.inputs, *self.streams))}
        with scratch_folder(self.executable.parent / "run") as folder:
            for channel in self.inputs:
                beats = inputs.get(channel.tensor)
                shape = (frames * channel.beats, channel.bytes)
                if beats is None or beats.dtype != np.uint8 or beats.shape != shape:
                    found = "none" if beats is None else f"{beats.dtype} {beats.shape}"
                    raise UserError(f"beats for {channel.tensor!r}: {found}, must be uint8 {shape}")
                beats.tofile(folder / f"{names[channel.tensor]}.in")
            self._execute(folder, frames, progress)
            return {
                channel.tensor: _beats(folder / f"{names[channel.tensor]}.out", channel.bytes)
                for channel in self.streams
            }

    def _execute(self, folder: Path, frames: int, progress: bool) -> None:
        messages: list[str] = []
        with started([str(self.executable), str(folder), str(frames)]) as process:
            steps = sift(process.stdout, messages, lambda line: line == ".\n")
            total = len(self.kernels) * frames
            for _ in track_slow(steps, "run the HLS C++", total) if progress else steps:
                pass
        # What hls_stream.h says when an operator reads more than it was given.
        empty = [line for line in messages if "is read while empty" in line]
        if process.returncode or empty:
            said = "".join(empty[:1] or messages[-20:]).strip() or "no message"
            raise UserError(f"{self.executable}: the HLS C++ broke off (exit status {process.returncode}): {said}")


def read_kernels(model: ModelWrapper) -> list[Kernel]:
    """The operators of a hardware graph in HLS C++, in the order of the data flow.

    Raises
    ------
    UserError
        If an operator has no HLS twin.
    """
    from hwprune.accel.operators.twins_hls import hls_twin

    made = []
    for node in model.graph.node:
        twin = hls_twin(node)
        files = twin.hls_files(model)
        read = [
            Channel(node.input[i], twin.get_instream_width(i), _count(twin.get_folded_input_shape(i)))
            for i in twin.stream_inputs
        ]
        written = [
            Channel(name, twin.get_outstream_width(i), _count(twin.get_folded_output_shape(i)))
            for i, name in enumerate(node.output)
        ]
        made.append(Kernel(twin.top_name, files, twin.get_ap_int_max_w(), tuple(read), tuple(written)))
    return _ordered(made)


def build_program(
    kernels: Sequence[Kernel], folder: Path | str, *, jobs: int | None = None, progress: bool = True
) -> Program:
    """Compile operators into one program.

    Parameters
    ----------
    kernels
        In the order of the data flow; several graphs may stand beside each other.
    folder
        Where the sources, objects and the program come to lie; an operator that is there already is not compiled anew.
    jobs
        Compilers at a time; default: one for each processor.
    progress
        Show a bar if it takes long.

    Raises
    ------
    UserError
        No g++, no ap_types headers, or C++ that does not compile.
    """
    from hwprune.accel.sources import hls_dir

    headers = ap_types_dir()
    compiler = _compiler()
    folder = Path(folder).expanduser().resolve()
    sources, objects = folder / "src", folder / "objects"
    for kept in (sources, objects):
        kept.mkdir(parents=True, exist_ok=True)
    widest = max(1024, *(kernel.widest for kernel in kernels))
    flags = [*FLAGS, f"-DAP_INT_MAX_W={widest}", f"-I{headers}", f"-I{hls_dir()}", f"-I{sources}"]
    common = [compiler, importlib.metadata.version(AP_TYPES_PACKAGE), " ".join(FLAGS), str(widest)]
    common += [path.read_text() for path in sorted(hls_dir().glob("*.hpp"))]

    graph = _graph_text(kernels)
    texts = {kernel.name: kernel.files for kernel in kernels}
    texts["csim_harness"] = {"graph.hpp": graph, "top_csim_harness.cpp": HARNESS.read_text()}
    wanted, missing = [], []
    for name, files in texts.items():
        for file, text in files.items():
            write_text(sources / file, text)
        known = hashlib.sha256("\0".join([*common, *files, *files.values()]).encode()).hexdigest()
        wanted.append(objects / f"{known}.o")
        if not wanted[-1].is_file():
            missing.append((sources / f"top_{name}.cpp", wanted[-1]))
    executable = folder / EXECUTABLE
    linked = folder / "linked.txt"
    of_these = "\n".join(path.name for path in wanted)
    if missing or not executable.is_file() or not linked.is_file() or linked.read_text() != of_these:
        _compile(missing, flags, folder, jobs or os.cpu_count() or 1, progress)
        linked.unlink(missing_ok=True)
        with atomic_write(executable) as temporary:
            _call(["g++", *map(str, wanted), "-o", str(temporary)], "the HLS C++ does not link")
        executable.chmod(0o755)
        write_text(linked, of_these)
        for old in set(objects.glob("*.o")) - set(wanted):
            old.unlink()
    return Program(executable, tuple(kernels))


def ap_types_dir() -> Path:
    """Folder with Xilinx's open ap_int.h and hls_stream.h.

    Raises
    ------
    UserError
        If the package that has them is not installed, or has them no longer.
    """
    found = importlib.util.find_spec(AP_TYPES_PACKAGE)
    way_out = "install it with: pip install 'hwprune[accel]'"
    if found is None or not found.submodule_search_locations:
        raise UserError(f"{AP_TYPES_PACKAGE}, which has Xilinx's ap_types headers, is not installed; {way_out}")
    folder = Path(found.submodule_search_locations[0]) / AP_TYPES
    for header in ("ap_int.h", "hls_stream.h"):
        if not (folder / header).is_file():
            raise UserError(f"{folder / header}: the header is not there; {way_out}")
    return folder


def _compiler() -> str:
    if shutil.which("g++") is None:
        raise UserError("the simulation of HLS C++ needs g++; install it with: sudo apt install g++")
    return _call(["g++", "--version"], "g++ does not run").splitlines()[0]


def _call(command: Sequence[str], trouble: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        errors = [line for line in done.stderr.splitlines() if "error" in line]
        raise UserError(f"{trouble}:\n" + "\n".join((errors or done.stderr.splitlines())[:10]))
    return done.stdout


def _compile(pairs: Sequence[tuple[Path, Path]], flags: Sequence[str], folder: Path, jobs: int, progress: bool) -> None:
    """Compile sources to objects, several at a time; the headers, which are large, are compiled once."""
    if not pairs:
        return
    with scratch_folder(folder / "compiling") as scratch, ThreadPoolExecutor(jobs) as pool:
        preamble = scratch / "preamble.hpp"
        preamble.write_text(PREAMBLE)
        _call(["g++", *flags, "-x", "c++-header", str(preamble), "-o", f"{preamble}.gch"], "ap_types do not compile")

        def compile_one(source: Path, target: Path) -> None:
            temporary = scratch / target.name
            _call(
                ["g++", *flags, "-include", str(preamble), "-c", str(source), "-o", str(temporary)],
                f"{source}: the HLS C++ does not compile",
            )
            temporary.replace(target)

        running = [pool.submit(compile_one, *pair) for pair in pairs]
        try:
            done: Iterator = as_completed(running)
            for finished in track_slow(done, "compile the HLS C++", len(pairs)) if progress else done:
                finished.result()
        finally:
            for waiting in running:
                waiting.cancel()


def _graph_text(kernels: Sequence[Kernel]) -> str:
    """The C++ that declares the operators and runs a frame through them."""
    program = Program(Path(), tuple(kernels))
    names = {channel.tensor: f"s{i}" for i, channel in enumerate((*program.inputs, *program.streams))}
    read = {channel.tensor for kernel in kernels for channel in kernel.inputs}
    declared, body = [], []
    for channel in (*program.inputs, *program.streams):
        name = names[channel.tensor]
        body.append(f'hls::stream<ap_uint<{channel.bits}> > {name}("{channel.tensor}");')
    body += [f'run.feed({names[c.tensor]}, "{names[c.tensor]}", {c.beats});' for c in program.inputs]
    body.append("bool whole = true;")
    for kernel in kernels:
        ports = (*kernel.inputs, *kernel.outputs)
        declared.append(f"void {kernel.name}({', '.join(f'hls::stream<ap_uint<{c.bits}> >&' for c in ports)});")
        body.append(f"{kernel.name}({', '.join(names[c.tensor] for c in ports)});")
        body += [f'run.emptied({names[c.tensor]}, "{kernel.name}");' for c in kernel.inputs]
        body += [f'whole &= run.record({names[c.tensor]}, "{names[c.tensor]}", {c.beats});' for c in kernel.outputs]
        body += [f"run.drop({names[c.tensor]});" for c in kernel.outputs if c.tensor not in read]
        body += ["ran();", "if (!whole) return false;"]
    return "\n".join([*declared, "static bool run_frame(Run& run) {", *(f"    {line}" for line in body),
                      "    return true;", "}", ""])  # fmt: skip


def _ordered(kernels: list[Kernel]) -> list[Kernel]:
    """Each operator behind those that write what it reads."""
    made = {channel.tensor for kernel in kernels for channel in kernel.outputs}
    waiting, ready, done = list(kernels), [], set()
    while waiting:
        able = [k for k in waiting if all(c.tensor not in made or c.tensor in done for c in k.inputs)]
        if not able:
            raise UserError(f"operators that wait for each other: {', '.join(kernel.name for kernel in waiting)}")
        ready += able
        done |= {channel.tensor for kernel in able for channel in kernel.outputs}
        waiting = [kernel for kernel in waiting if kernel not in able]
    return ready


def _count(folded_shape: Sequence[int]) -> int:
    return int(np.prod(folded_shape[:-1], dtype=np.int64))


def _beats(path: Path, width: int) -> np.ndarray:
    if not path.is_file():  # the run ended before
        return np.empty((0, width), np.uint8)
    return np.fromfile(path, np.uint8).reshape(-1, width)
