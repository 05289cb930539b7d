"""Where the SystemVerilog of hwprune's own operators lies."""

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
    candidates = (_PACKAGE / "rtl", _PACKAGE.parent / "hls" / "rtl")
    for folder in candidates:
        if (folder / "skid_buffer.sv").is_file():
            return folder
    places = " nor ".join(map(str, candidates))
    raise UserError(f"the operators' SystemVerilog is neither in {places}; install hwprune again")
