"""Loops through a window or width converters hang where the RTL hangs: at what these take while they are stuck."""

from hwprune.accel import operators
from tests.sim.cycle.loops import check_loops


def window(kernel, size, windows, stride=1):
    attributes = {"ConvKernelDim": kernel, "IFMDim": size, "OFMDim": windows, "Stride": [1, stride], "Dilation": [1, 1],
                  "IFMChannels": 1, "SIMD": 1, "depthwise": 0, "inputDataType": "UINT4",
                  "outputDataType": "UINT4"}  # fmt: skip
    return [("ConvolutionInputGenerator_rtl", attributes)]


def converters(pixels):
    """To three pixels a beat and back."""
    shape = {"inShape": [1, pixels], "outShape": [1, pixels], "dataType": "UINT4"}
    return [
        ("StreamingDataWidthConverter_rtl", {**shape, "inWidth": bits_in, "outWidth": bits_out})
        for bits_in, bits_out in ((4, 12), (12, 4))
    ]


LOOPS = [
    # What the late copy goes through; beats of a frame, into it and out of it; whether the loop hangs. Two beats are
    # in the fork's skid buffer. Behind it there is room for a row and two pixels, and one in the output register;
    (window([2, 2], [2, 5], [1, 4]), 10, 16, False),
    (window([2, 2], [2, 6], [1, 5]), 12, 20, True),
    # for the four pixels that FINN gives to windows of two, five apart, and one in the output register;
    (window([1, 2], [1, 7], [1, 2], stride=5), 7, 4, False),
    (window([1, 2], [1, 8], [1, 2], stride=5), 8, 4, True),
    # for one pixel, which is the window;
    (window([1, 1], [1, 3], [1, 3]), 3, 3, False),
    (window([1, 1], [1, 4], [1, 4]), 4, 4, True),
    # for two pixels and for three that they were joined to, and for two times three on their way back.
    (converters(12), 12, 12, False),
    (converters(15), 15, 15, True),
]


def test_loops_hang_where_the_rtl_hangs(tmp_path):
    operators.register()
    check_loops(LOOPS, tmp_path)
