"""Small data sets on disk, and the real packs where they are."""

import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

PACKS = Path(__file__).resolve().parents[3] / "shared" / "data"


@pytest.fixture
def picture():
    """Write an image of noise, (height, width) pixels."""

    def write(path: Path, height: int = 48, width: int = 64) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(path)
        return path

    return write


@pytest.fixture(scope="session")
def pack(tmp_path_factory):
    """Unpack a real data set once a session; skip the test where it is absent."""
    unpacked = {}

    def unpack(name: str) -> Path:
        source = PACKS / f"{name}.tar.xz"
        if not source.is_file():
            pytest.skip(f"real data pack {name}.tar.xz is not beside this checkout (shared/data)")
        if name not in unpacked:
            unpacked[name] = tmp_path_factory.mktemp(name)
            with tarfile.open(source) as archive:
                archive.extractall(unpacked[name], filter="data")
        (folder,) = unpacked[name].iterdir()
        return folder

    return unpack
