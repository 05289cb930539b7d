"""The Triton kernels against the CPU's, in Triton's interpreter; a program of its own, for the interpreter is chosen by
an environment variable before Triton is imported. Prints the number of cases."""

import torch

from hwprune.sam.geometry import Geometry
from hwprune.sam.kernels import cpu, triton_sam
from hwprune.sam.settings import FORMS

CASES = [  # channels, kernel, group, stride, padding, floor, sign, integers (full of ties)
    (4, 2, 2, 1, 1, False, True, False),
    (2, 2, 8, 2, 0, False, False, True),
    (3, 1, 3, 1, 0, True, True, True),
]
triton_sam.UNITS, triton_sam.PLACES = 4, 16  # several programs of each kind


def compare(form, channels, kernel, group, stride, padding, floor, has_sign, integers) -> None:
    def values(*shape):
        return torch.randint(-2, 3, shape).double() if integers else torch.randn(shape, dtype=torch.float64)

    x, positive, negative = values(2, channels, 4, 3), *(values(5, channels, kernel, kernel) for _ in range(2))
    negative = None if form == "signed" else negative
    sign = torch.randint(0, 2, (5, channels * kernel**2 // group)).double() * 2 - 1 if has_sign else None
    operands = x, positive, negative, sign
    g = Geometry.of(*operands, form, group, stride, padding, floor)
    go = values(2, 5, g.out_height, g.out_width)
    results = [
        (kernels.forward(*operands, form, g, floor), *kernels.backward(*operands, go, form, g, floor, True))
        for kernels in (triton_sam, cpu)
    ]
    for ours, theirs in zip(*results, strict=True):
        if ours is not None or theirs is not None:
            tolerance = 0 if integers else 1e-12
            torch.testing.assert_close(ours, theirs, rtol=tolerance, atol=tolerance)


if __name__ == "__main__":
    torch.manual_seed(0)
    cases = [(form, *case) for form in FORMS for case in CASES if not (form == "maxmin" and case[5])]
    for case in cases:
        compare(*case)
    print(len(cases))
