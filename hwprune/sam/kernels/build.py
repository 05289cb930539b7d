"""Compile a C++ source of this folder for this processor, once, and load it."""

import ctypes
import functools
import hashlib
import os
import platform
import shutil
import subprocess
from pathlib import Path

from hwprune.errors import UserError
from hwprune.files import atomic_write, user_cache

FLAGS = ("-std=c++17", "-O3", "-march=native", "-fopenmp", "-shared", "-fPIC")
HEADERS = ("simd.hpp",)


def cache_folder() -> Path:
    """Where compiled kernels are kept."""
    return user_cache() / "kernels"


@functools.cache
def load(source: str, **macros: str | int) -> ctypes.CDLL:
    """The library of ``source`` compiled with ``macros``, from the cache or new.

    The cache's key holds the sources, the macros, the compiler and the processor. Several processes may build the same
    library at once: each writes a file of its own and renames it.

    Parameters
    ----------
    source
        Name of a source in this folder.
    macros
        Preprocessor macros and their values.

    Raises
    ------
    UserError
        If there is no g++, if it fails, or if the cache folder cannot be written.
    """
    compiler = shutil.which(os.environ.get("CXX") or "g++")
    if compiler is None:
        raise UserError(
            f"no C++ compiler: {os.environ.get('CXX') or 'g++'} is not on PATH, and SAM layers on a CPU are compiled "
            "at their first use; install g++ (Debian, Ubuntu: apt-get install g++), or name another in CXX"
        )
    here = Path(__file__).parent
    defines = [f"-D{name}={value}" for name, value in sorted(macros.items())]
    texts = [(here / name).read_text() for name in (source, *HEADERS)]
    key = hashlib.sha256("\0".join([*texts, *FLAGS, *defines, _version(compiler), _processor()]).encode()).hexdigest()
    library = cache_folder() / f"{Path(source).stem}-{key[:20]}.so"
    if not library.exists():
        _compile([compiler, *FLAGS, *defines, str(here / source)], library)
    return ctypes.CDLL(str(library))


def _compile(command: list[str], library: Path) -> None:
    try:
        with atomic_write(library) as temporary:
            done = subprocess.run([*command, "-o", str(temporary)], capture_output=True, text=True)
            if done.returncode:
                raise UserError(f"{command[0]} cannot compile {command[-1]}:\n{done.stderr.strip()[-2000:]}")
    except OSError as error:
        raise UserError(
            f"{library.parent}: cannot keep a compiled kernel there ({error.strerror}); "
            "set XDG_CACHE_HOME to a folder that can be written"
        ) from error


@functools.cache
def _version(compiler: str) -> str:
    return subprocess.run([compiler, "--version"], capture_output=True, text=True).stdout


def _processor() -> str:
    """What -march=native depends on: a cache may be shared by several machines."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    names = ("vendor_id", "cpu family", "model", "flags", "Features", "CPU part")
    return "\n".join(dict.fromkeys(line for line in lines if line.split("\t")[0].strip() in names))
