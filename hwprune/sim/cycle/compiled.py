"""Numba's compiled code, kept between runs and made anew whenever a source of the model changes.

Numba looks at the time stamp of the file of the function that is kept, but not at the files of the functions that it
calls. So the folder of the kept code is named after all of them.
"""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import numba
from numba import njit

from hwprune.files import user_cache

kernel = njit(_nrt=False)
"""``njit`` for what allocates nothing: counting references to the machine's arrays takes more time than the kernels."""
inlined = njit(_nrt=False, forceinline=True)
"""For what is called for every beat: handing the machine's arrays over takes as long as what is done with them."""


def kept(function: Callable) -> Callable:
    """``njit`` whose machine code is kept in the user's cache folder."""
    sources = sorted(Path(__file__).parent.rglob("*.py"))
    state = hashlib.sha256(numba.__version__.encode())
    for source in sources:
        state.update(source.read_bytes())
    before = numba.config.CACHE_DIR
    numba.config.CACHE_DIR = os.fspath(user_cache() / "cycle" / state.hexdigest()[:16])
    try:
        return njit(cache=True, nogil=True)(function)
    finally:
        numba.config.CACHE_DIR = before
