"""What is copied onto a board, in one zip: the same content gives the same bytes, wherever and whenever packed."""

import hashlib
import zipfile
from collections.abc import Mapping
from pathlib import Path

from hwprune.errors import UserError
from hwprune.files import atomic_write

CHECKSUMS = "SHA256SUMS"
_NO_TIME = (1980, 1, 1, 0, 0, 0)
"""The first that a zip can name."""
_MODE = 0o100644 << 16
_UNIX = 3


def write_package(path: Path, content: Mapping[str, bytes | Path]) -> dict[str, str]:
    """Write a zip with these files and their checksums.

    Parameters
    ----------
    path
        Of the zip; written whole.
    content
        Bytes, or a file to read them from, by name in the zip, with slashes.

    Returns
    -------
    dict
        SHA-256 by name; in the zip as `CHECKSUMS`, for ``sha256sum -c``.

    Raises
    ------
    UserError
        If a file cannot be read.
    """
    sums = {}
    with atomic_write(path) as temporary, zipfile.ZipFile(temporary, "w") as package:
        for name in sorted(content):
            data = _bytes(content[name])
            sums[name] = hashlib.sha256(data).hexdigest()
            _add(package, name, data)
        _add(package, CHECKSUMS, "".join(f"{total}  {name}\n" for name, total in sums.items()).encode())
    return sums


def _bytes(content: bytes | Path) -> bytes:
    if isinstance(content, bytes):
        return content
    try:
        return content.read_bytes()
    except OSError as error:
        raise UserError(f"{content}: cannot be read ({error.strerror}); run the stage that made it again") from error


def _add(package: zipfile.ZipFile, name: str, data: bytes) -> None:
    entry = zipfile.ZipInfo(name, _NO_TIME)
    entry.external_attr, entry.create_system = _MODE, _UNIX
    package.writestr(entry, data, zipfile.ZIP_DEFLATED, 9)
