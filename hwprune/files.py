"""Files written whole: a reader sees the old content or the new, never a half."""

import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

_LEFT_OVER = re.compile(r"\..+\.tmp-[a-z0-9_]{8}(\.\w+)?")
"""A temporary name of this module, with the eight random characters of `tempfile`."""


@contextmanager
def atomic_write(path: str | os.PathLike) -> Iterator[Path]:
    """Give a temporary path beside ``path``; what is written there replaces ``path`` when the block ends well.

    After an exception the temporary file is removed and ``path`` is as before. Missing parent folders are made. The
    temporary name ends with the suffix of ``path``, for writers that choose a format by it.

    Parameters
    ----------
    path
        The file to write or replace.

    Yields
    ------
    Path
        An empty file to overwrite, by name or by `open`.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.tmp-", suffix=path.suffix)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        # mkstemp makes files that only their owner reads; a result is as readable as any other new file.
        os.chmod(temporary, 0o666 & ~_umask())
        _sync(temporary)
        os.replace(temporary, path)
    except BaseException:
        with suppress(FileNotFoundError):
            temporary.unlink()
        raise
    _sync(path.parent)


@contextmanager
def atomic_folder(path: str | os.PathLike) -> Iterator[Path]:
    """Give an empty folder beside ``path`` that takes the place of ``path`` when the block ends well.

    After an exception the temporary folder is removed and ``path`` is as before. A process that is killed leaves at
    most a hidden folder beside ``path``, never half of ``path``. Missing parent folders are made.

    Parameters
    ----------
    path
        The folder to make or replace, with everything in it.

    Yields
    ------
    Path
        An empty folder to fill.
    """
    path = Path(path)
    with scratch_folder(path) as scratch:
        (scratch / "new").mkdir()
        yield scratch / "new"
        # A folder that is not empty cannot be replaced in one step: between these two there is none.
        if path.exists():
            path.rename(scratch / "old")
        (scratch / "new").rename(path)


@contextmanager
def scratch_folder(path: str | os.PathLike) -> Iterator[Path]:
    """Give an empty hidden folder beside ``path``, gone with the block; missing parent folders are made."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}.tmp-"))
    try:
        yield scratch
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def remove_left_overs(folder: str | os.PathLike) -> None:
    """Remove what writers of this module left in ``folder`` and below when they were killed.

    Nobody may be writing there.
    """
    for path in list(Path(folder).rglob(".*")):
        if _LEFT_OVER.fullmatch(path.name) and path.exists():
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink()


def write_text(path: str | os.PathLike, text: str) -> None:
    """Write ``text`` in UTF-8, whole."""
    with atomic_write(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: str | os.PathLike, value: Any) -> None:
    """Write ``value`` as indented JSON, whole; NaN and infinity are refused, for JSON has no word for them."""
    write_text(path, json.dumps(value, indent=2, allow_nan=False) + "\n")


def user_cache() -> Path:
    """Where code that is compiled at first use is kept: ``hwprune`` in the user's cache folder."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "hwprune"


def sha256(path: str | os.PathLike) -> str:
    """The file's SHA-256 in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current


def _sync(path: Path) -> None:
    """Ask that a file's content, or a folder's entries, be on disk."""
    try:
        handle = os.open(path, os.O_RDONLY)
    except OSError:  # some systems cannot open a folder
        return
    try:
        with suppress(OSError):  # nor every file system sync one
            os.fsync(handle)
    finally:
        os.close(handle)
