"""The run folder: one folder a stage, each with a ``stage.json`` that is written last.

::

    run/
      .hwprune-run     marks the folder as ours, and is locked while a run is at work
      recipe.yaml      the recipe with all defaults spelt out
      train/
        started.json   fingerprint of the run that is under way or was interrupted
        ...            work in progress, then artefacts
        stage.json     the record of the finished stage
      ...
      summary.json
"""

import fcntl
import json
import os
import shutil
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from hwprune.errors import UserError
from hwprune.files import remove_left_overs, sha256, write_json, write_text

MARKER = ".hwprune-run"
RECORD = "stage.json"
STARTED = "started.json"

_locked_here: set[Path] = set()  # a POSIX lock does not hold off its own process


class StageRecord(BaseModel):
    """``stage.json``: what a finished stage made, and of what.

    Attributes
    ----------
    stage
        Its name.
    fingerprint
        Hash of all that the result depends on.
    inputs
        `digest` of the record of each stage that it read.
    artefacts
        SHA-256 of each artefact by its path, seen from the stage's folder.
    results
        JSON values for the summary and the report.
    seed
        Of the recipe.
    seconds
        Wall time, without that of interrupted attempts.
    peak_memory_bytes
        Largest resident size of the process while the stage ran; None where the system does not tell.
    versions
        Of Python and the packages that shape results.
    finished
        Local time, ISO 8601.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    stage: str
    fingerprint: str
    inputs: dict[str, str]
    artefacts: dict[str, str]
    results: dict[str, Any]
    seed: int
    seconds: float
    peak_memory_bytes: int | None
    versions: dict[str, str]
    finished: str

    @property
    def digest(self) -> str:
        """Hash of what the stage made: equal for equal files and results, whichever run wrote them."""
        return json_hash({"artefacts": self.artefacts, "results": self.results})


def json_hash(value: Any) -> str:
    """SHA-256 of a JSON value, whatever the order of its keys."""
    import hashlib

    return hashlib.sha256(json.dumps(value, sort_keys=True, allow_nan=False).encode()).hexdigest()


class RunFolder:
    """A run folder on disk.

    Parameters
    ----------
    root
        May be missing; it is made by `lock`.
    """

    def __init__(self, root: str | Path):
        self.root = Path(root)

    def stage(self, name: str) -> Path:
        """The folder of a stage."""
        return self.root / name

    def record(self, name: str) -> StageRecord | None:
        """The record of a finished stage; None where it is not finished, or its record cannot be read."""
        try:
            return StageRecord.model_validate_json((self.stage(name) / RECORD).read_bytes())
        except (FileNotFoundError, NotADirectoryError, ValidationError):
            return None

    def records(self, names: Sequence[str]) -> dict[str, StageRecord]:
        """Records that belong together, in the order of ``names``.

        A record is left out when a stage that it read has since changed or gone.
        """
        kept: dict[str, StageRecord] = {}
        for name in names:
            record = self.record(name)
            if record and all(kept[i].digest == d if i in kept else False for i, d in record.inputs.items()):
                kept[name] = record
        return kept

    def damage(self, record: StageRecord) -> list[str]:
        """What has happened to a stage's artefacts since, one line for each; empty where all are whole."""
        found = []
        for name, checksum in record.artefacts.items():
            path = self.stage(record.stage) / name
            if not path.is_file():
                found.append(f"{path} is missing")
            elif sha256(path) != checksum:
                found.append(f"{path} has changed since the stage wrote it")
        return found

    def begin(self, name: str, fingerprint: str) -> bool:
        """Make a stage's folder ready to work in.

        Returns
        -------
        bool
            Whether it holds work in progress of the same fingerprint; if not, it is empty.

        Raises
        ------
        UserError
            If there is a folder of that name that no run of hwprune has made.
        """
        folder = self.stage(name)
        if folder.exists():
            started = self._started(folder)
            if started is None and not (folder / RECORD).is_file() and (not folder.is_dir() or any(folder.iterdir())):
                raise UserError(f"{folder}: was not made by hwprune, so it is not overwritten; choose another --out")
            if started == fingerprint and not (folder / RECORD).is_file():
                return True
            # One of mark and record is there at any moment, so that the rest is known as ours were this cut short.
            write_json(folder / STARTED, {"stage": name, "fingerprint": "cleared"})
            (folder / RECORD).unlink(missing_ok=True)
            for entry in folder.iterdir():
                if entry.name != STARTED:
                    shutil.rmtree(entry) if entry.is_dir() and not entry.is_symlink() else entry.unlink()
        write_json(folder / STARTED, {"stage": name, "fingerprint": fingerprint})
        return False

    def reopen(self, name: str, fingerprint: str) -> None:
        """Take up a finished stage again, with all that lies in its folder."""
        write_json(self.stage(name) / STARTED, {"stage": name, "fingerprint": fingerprint})
        (self.stage(name) / RECORD).unlink()

    def finish(self, record: StageRecord) -> None:
        """Write a stage's record; from here on it is finished."""
        folder = self.stage(record.stage)
        write_text(folder / RECORD, record.model_dump_json(indent=2) + "\n")
        (folder / STARTED).unlink(missing_ok=True)

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the folder for this process; a lock dies with the process that held it, however it ends.

        What killed writers have left is removed.

        Raises
        ------
        UserError
            If another run is at work here, or the folder has content that is not ours, or cannot be written.
        """
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            ours = (self.root / MARKER).is_file()
            if not ours and any(self.root.iterdir()):
                raise UserError(f"{self.root}: is neither empty nor a run folder; choose another --out")
            # A POSIX record lock, because forked helpers (data loaders) do not inherit it: it goes with this process.
            file = (self.root / MARKER).open("r+" if ours else "x+", encoding="utf-8")
        except FileExistsError:  # made by another run since we looked, or no folder at all
            if not self.root.is_dir():
                raise UserError(f"{self.root}: is a file; --out names a folder") from None
            raise UserError(
                f"{self.root}: another run has just begun here; wait for it or choose another --out"
            ) from None
        except OSError as error:
            raise UserError(f"{self.root}: cannot be written ({error.strerror}); choose another --out") from None
        key = self.root.resolve()
        if key in _locked_here:
            file.close()
            raise UserError(f"{self.root}: this process already runs in it")
        try:
            try:
                fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise UserError(
                    f"{self.root}: another run is at work here ({file.read().strip() or 'just begun'}); "
                    "wait for it, end it, or choose another --out"
                ) from None
            _locked_here.add(key)
            file.seek(0)
            file.truncate()
            now = datetime.now().isoformat(" ", "seconds")
            file.write(f"process {os.getpid()} on {socket.gethostname()}, since {now}\n")
            file.flush()
            remove_left_overs(self.root)
            for record in self.root.glob(f"*/{RECORD}"):
                record.with_name(STARTED).unlink(missing_ok=True)
            yield
        finally:
            _locked_here.discard(key)
            file.close()

    @staticmethod
    def _started(folder: Path) -> str | None:
        try:
            return str(json.loads((folder / STARTED).read_bytes())["fingerprint"])
        except (OSError, ValueError, KeyError, TypeError):
            return None
