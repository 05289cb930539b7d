"""For the tests of the shell."""

import pytest


@pytest.fixture(scope="session")
def runtime(tmp_path_factory):
    """Keeps the objects of Verilator's own sources, which are the same for every design and most of what there is to
    compile."""
    return tmp_path_factory.mktemp("runtime")
