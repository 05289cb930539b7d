"""FINN operators with RTL of our own: SAM; pool, upsampling, concat and fork, which FINN has in HLS only; width
converters and matrix-vector units, for which FINN takes many more LUTs. Of FINN's others the estimates are ours."""

from hwprune.errors import UserError


def register() -> None:
    """Add the operators to FINN's own dictionaries, under FINN's domains; a second call changes nothing.

    FINN's transformations compare domain strings exactly, so an operator in a domain of its own would not be seen.
    Once registered, ``SpecializeLayers`` chooses the RTL variants by itself, for it prefers RTL wherever there is one.

    Raises
    ------
    UserError
        If FINN is not installed.
    """
    try:
        from finn.custom_op import fpgadataflow
        from finn.custom_op.fpgadataflow import hls, rtl
        from qonnx.custom_op.registry import add_op_to_domain
    except ImportError as error:
        raise UserError(f"FINN is missing ({error}); install it with: pip install 'hwprune[accel]'") from error
    from hwprune.accel.operators.concat import StreamingConcat_rtl
    from hwprune.accel.operators.duplicate import DuplicateStreams_rtl
    from hwprune.accel.operators.finn_counted import (
        ConvolutionInputGenerator_rtl,
        FMPadding_rtl,
        StreamingFIFO_rtl,
        Thresholding_rtl,
    )
    from hwprune.accel.operators.maxpool2d import MaxPool2d, MaxPool2d_rtl
    from hwprune.accel.operators.mvau import MVAU_rtl
    from hwprune.accel.operators.samvau import SAMVAU
    from hwprune.accel.operators.samvau_hls import SAMVAU_hls
    from hwprune.accel.operators.samvau_rtl import SAMVAU_rtl
    from hwprune.accel.operators.streams_hls import MaxPool2d_hls
    from hwprune.accel.operators.upsample import UpsampleNearestNeighbour_rtl
    from hwprune.accel.operators.width_converter import StreamingDataWidthConverter_rtl

    for operator in (MaxPool2d, SAMVAU):
        fpgadataflow.register_custom_op(operator)
    for operator in (MaxPool2d_hls, SAMVAU_hls):
        hls.register_custom_op(operator)
    for operator in (
        MaxPool2d_rtl,
        UpsampleNearestNeighbour_rtl,
        StreamingConcat_rtl,
        DuplicateStreams_rtl,
        SAMVAU_rtl,
        StreamingDataWidthConverter_rtl,
        MVAU_rtl,
        ConvolutionInputGenerator_rtl,
        FMPadding_rtl,
        StreamingFIFO_rtl,
        Thresholding_rtl,
    ):
        rtl.register_custom_op(operator)
        # Where FINN has an operator of the name, QONNX may have looked it up already, and keeps what it found.
        add_op_to_domain("finn.custom_op.fpgadataflow.rtl", operator)
