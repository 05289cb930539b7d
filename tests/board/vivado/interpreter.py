"""A real Tcl interpreter in a process of its own: Python's, where tkinter is installed, or `tclsh`.

Each line that it says, and each that it is told, is a list of words in hexadecimal.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

BRIDGE = Path(__file__).with_name("bridge.tcl")
_PYTHON = "import sys, tkinter; tcl = tkinter.Tcl(); tcl.setvar('argv', tuple(sys.argv[2:])); tcl.evalfile(sys.argv[1])"
# Tests take PATH away from the programs that they look at; where the system keeps its own is looked at as well.
_PATH = os.pathsep.join([os.environ.get("PATH", ""), "/usr/local/bin", os.defpath])


class TclError(Exception):
    """What a script ended with."""


def interpreters() -> list[list[str]]:
    """Commands that run a file of Tcl, as far as they are installed."""
    python = [[sys.executable, "-c", _PYTHON]] if importlib.util.find_spec("_tkinter") else []
    shells = (shutil.which(name, path=_PATH) for name in ("tclsh", "tclsh8.6", "tclsh9.0"))
    return [*python, *([shell] for shell in shells if shell)]


class Tcl:
    """An interpreter with commands of ours.

    Parameters
    ----------
    commands
        By name; each is called with the words after its name, and what it returns is the command's result.
    error
        What `commands` raise where the script shall see an error; others end the interpreter.
    command
        That starts the interpreter.
    """

    def __init__(self, commands: Mapping[str, Callable[..., str]], error: type[Exception], command: list[str]):
        self._commands, self._error, self._command = commands, error, command

    def source(self, script: Path) -> None:
        """Run a script to its end; TclError with what it ended with."""
        words = [*self._command, str(BRIDGE), str(script), *self._commands]
        pipe = subprocess.PIPE
        with subprocess.Popen(
            words, stdin=pipe, stdout=pipe, stderr=pipe, text=True, encoding="ascii"
        ) as self._process:
            try:
                while (said := self._hear())[0] == "call":
                    name, *rest = said[1:]
                    try:
                        answer = ("result", self._commands[name](*rest))
                    except self._error as error:
                        answer = ("error", str(error))
                    self._tell(*answer)
            finally:
                self._process.kill()
        if said[0] == "failed":
            raise TclError(said[1])

    def split(self, text: str) -> list[str]:
        """The words of a list, as Tcl divides them; only while a command is answered."""
        self._tell("split", text)
        return self._hear()[1:]

    def _tell(self, *words: str) -> None:
        self._process.stdin.write(" ".join("x" + word.encode().hex() for word in words) + "\n")
        self._process.stdin.flush()

    def _hear(self) -> list[str]:
        line = self._process.stdout.readline()
        if not line.endswith("\n"):
            raise TclError(f"the interpreter is gone: {self._process.stderr.read()}")
        return [bytes.fromhex(word[1:]).decode() for word in line.split()]
