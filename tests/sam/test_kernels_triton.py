"""The GPU's kernels, without a GPU: in Triton's interpreter, and through its compiler."""

import os
import subprocess
import sys

import pytest

from hwprune.sam.settings import FORMS

triton = pytest.importorskip("triton", reason="Triton is not installed; the kernels of the GPU are not tested")


def test_they_compute_what_the_cpu_computes():
    done = subprocess.run(
        [sys.executable, "-m", "tests.sam.triton_interpreted"],
        env=os.environ | {"TRITON_INTERPRET": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) == 8


@pytest.mark.parametrize("kernel", ["_forward", "_backward_x", "_backward_w"])
def test_they_compile_for_a_gpu(kernel):
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    from hwprune.sam.kernels import triton_sam

    function = getattr(triton_sam, kernel)
    form = FORMS.index("difference")
    constants = dict(form=form, floor=True, has_sign=True, group=4, groups=18, sizes=(8, 9, 9, 3, 1, 1, 9, 9),
                     block_j=triton_sam.UNITS, block_t=triton_sam.PLACES)  # fmt: skip
    if kernel == "_backward_w":
        constants["steps"] = 3
    types = dict.fromkeys(constants, "constexpr") | dict.fromkeys(("total", "all_units", "weights"), "i32")
    source = ASTSource(function, {name: types.get(name, "*fp32") for name in function.arg_names}, constants)
    assert triton.compile(source, target=GPUTarget("cuda", 80, 32)).asm["cubin"]
