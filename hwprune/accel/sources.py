"""Where the hardware sources of hwprune's own operators lie."""

from pathlib import Path

from hwprune.errors import UserError

_PACKAGE = Path(__file__).resolve().parents[1]


def rtl_dir() -> Path:
    """Folder with the operators' ``.sv`` files: ``hwprune/rtl`` in an installed package, ``hls/rtl`` in a checkout.

    Raises
    ------
    UserError
        If neither is there.
    """
    return _source_dir("rtl", "skid_buffer.sv", "SystemVerilog")


def hls_dir() -> Path:
    """Folder with the operators' HLS templates: ``hwprune/include`` in an installed package, ``hls/include`` in a
    checkout.

    Raises
    ------
    UserError
        If neither is there.
    """
    return _source_dir("include", "stream.hpp", "HLS templates")


def _source_dir(name: str, member: str, what: str) -> Path:
    candidates = (_PACKAGE / name, _PACKAGE.parent / "hls" / name)
    for folder in candidates:
        if (folder / member).is_file():
            return folder
    places = " nor ".join(map(str, candidates))
    raise UserError(f"the operators' {what} lie neither in {places}; install hwprune again")
