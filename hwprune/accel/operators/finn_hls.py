"""HLS backends of FINN's operators that FINN has in RTL only, or on templates that its package does not contain."""

from math import prod

import numpy as np
from finn.custom_op.fpgadataflow.convolutioninputgenerator import ConvolutionInputGenerator
from finn.custom_op.fpgadataflow.fmpadding import FMPadding
from finn.custom_op.fpgadataflow.matrixvectoractivation import MVAU
from finn.custom_op.fpgadataflow.streamingdatawidthconverter import StreamingDataWidthConverter
from finn.custom_op.fpgadataflow.streamingfifo import StreamingFIFO
from finn.custom_op.fpgadataflow.thresholding import Thresholding
from numpy.typing import NDArray
from qonnx.core.modelwrapper import ModelWrapper

from hwprune.accel.operators.backend import refuse
from hwprune.accel.operators.backend_hls import StreamHLS, Table, cpp_type, folded_rows


class MVAU_hls(StreamHLS, MVAU):  # noqa: N801 - FINN's naming
    """FINN's matrix-vector unit without activation in ``mvau.hpp``, its weights inside."""

    hls_header = "mvau.hpp"

    def check(self) -> None:
        """Refuse what MVAU_rtl does not do either."""
        if not self.get_nodeattr("noActivation") or self.get_nodeattr("binaryXnorMode"):
            refuse(self, "an activation inside or XNOR weights have no HLS twin; set noActivation=1, binaryXnorMode=0")
        _require_folds(self, SIMD="MW", PE="MH")

    def hls_parameters(self) -> dict[str, int | str]:
        """Parameters of ``mvau``."""
        return {
            "VECTORS": _vectors(self),
            **{name: self.get_nodeattr(name) for name in ("MW", "MH", "SIMD", "PE")},
            "TX": cpp_type(self.get_input_datatype(0)),
            "TW": cpp_type(self.get_input_datatype(1)),
            "TO": cpp_type(self.get_output_datatype()),
        }

    def hls_tables(self, model: ModelWrapper) -> list[Table]:
        """Weights."""
        weights = _constant(self, model)
        folded = folded_rows(weights.T, self.get_nodeattr("PE"), self.get_nodeattr("SIMD"))
        datatype = self.get_input_datatype(1)
        return [Table("weights", folded, datatype.bitwidth(), bool(datatype.signed()))]

    def hls_call(self) -> str:
        """The call."""
        return "hwprune::mvau<VECTORS, MW, MH, SIMD, PE, TX, TW, TO>(in0_V, out0_V, weights);"


class Thresholding_hls(StreamHLS, Thresholding):  # noqa: N801 - FINN's naming
    """FINN's multi-step activation in ``thresholding.hpp``, its thresholds inside."""

    hls_header = "thresholding.hpp"

    def check(self) -> None:
        """Refuse folds that do not divide."""
        _require_folds(self, PE="NumChannels")

    def hls_parameters(self) -> dict[str, int | str]:
        """Parameters of ``thresholding``."""
        return {
            "VECTORS": _vectors(self),
            "FOLDS": self.calc_tmem(),
            "PE": self.get_nodeattr("PE"),
            "STEPS": self.get_nodeattr("numSteps"),
            "FIRST": self.get_nodeattr("ActVal"),
            "TX": cpp_type(self.get_input_datatype(0)),
            "TT": cpp_type(self.get_input_datatype(1)),
            "TO": cpp_type(self.get_output_datatype()),
        }

    def hls_tables(self, model: ModelWrapper) -> list[Table]:
        """Thresholds; one row serves all channels."""
        steps = _constant(self, model)
        steps = np.broadcast_to(steps, (self.get_nodeattr("NumChannels"), steps.shape[-1]))
        datatype = self.get_input_datatype(1)
        folded = steps.reshape(self.calc_tmem(), self.get_nodeattr("PE"), -1)
        return [Table("thresholds", folded, datatype.bitwidth(), bool(datatype.signed()))]

    def hls_call(self) -> str:
        """The call."""
        return "hwprune::thresholding<VECTORS, FOLDS, PE, STEPS, FIRST, TX, TT, TO>(in0_V, out0_V, thresholds);"


class FMPadding_hls(StreamHLS, FMPadding):  # noqa: N801 - FINN's naming
    """FINN's padding in ``fmpadding.hpp``."""

    hls_header = "fmpadding.hpp"

    def check(self) -> None:
        """Refuse folds that do not divide."""
        _require_folds(self, SIMD="NumChannels")

    def hls_parameters(self) -> dict[str, int | str]:
        """Parameters of ``fmpadding``."""
        height, width = self.get_nodeattr("ImgDim")
        sides = ("TOP", "LEFT", "BOTTOM", "RIGHT")
        return {
            "HEIGHT": int(height),
            "WIDTH": int(width),
            **{side: int(pad) for side, pad in zip(sides, self.get_nodeattr("Padding"), strict=True)},
            "FOLDS": self.get_folded_input_shape()[-2],
            "BITS": self.get_instream_width(),
        }

    def hls_call(self) -> str:
        """The call."""
        return "hwprune::fmpadding<HEIGHT, WIDTH, TOP, LEFT, BOTTOM, RIGHT, FOLDS, BITS>(in0_V, out0_V);"


class ConvolutionInputGenerator_hls(StreamHLS, ConvolutionInputGenerator):  # noqa: N801 - FINN's naming
    """FINN's sliding window in ``sliding_window.hpp``."""

    hls_header = "sliding_window.hpp"

    def use_parallel_window_output(self) -> int:
        """Whether a beat is a whole window."""
        return self.get_nodeattr("parallel_window")

    def check(self) -> None:
        """Refuse depthwise order, and whole windows of some channels only."""
        if self.get_nodeattr("depthwise"):
            refuse(self, "windows in depthwise order have no HLS twin; set depthwise=0")
        if self.get_nodeattr("dynamic_mode"):
            refuse(self, "a window that changes at run time has no HLS twin; set dynamic_mode=0")
        _require_folds(self, SIMD="IFMChannels")
        if self.use_parallel_window_output() and self.get_nodeattr("SIMD") != self.get_nodeattr("IFMChannels"):
            refuse(self, "parallel_window=1 has an HLS twin with SIMD=IFMChannels only")

    def hls_parameters(self) -> dict[str, int | str]:
        """Parameters of ``sliding_window``."""
        pairs = {
            "IFMDim": ("HEIGHT", "WIDTH"),
            "ConvKernelDim": ("KERNEL_H", "KERNEL_W"),
            "Stride": ("STRIDE_H", "STRIDE_W"),
            "Dilation": ("DILATION_H", "DILATION_W"),
        }
        sizes = {
            name: int(value)
            for attribute, names in pairs.items()
            for name, value in zip(names, self.get_nodeattr(attribute), strict=True)
        }
        return {**sizes, "FOLDS": self.get_folded_input_shape()[-2], "BITS": self.get_instream_width()}

    def hls_call(self) -> str:
        """The call."""
        shape = "HEIGHT, WIDTH, KERNEL_H, KERNEL_W, STRIDE_H, STRIDE_W, DILATION_H, DILATION_W"
        if self.use_parallel_window_output():
            return f"hwprune::sliding_window_parallel<{shape}, BITS>(in0_V, out0_V);"
        return f"hwprune::sliding_window<{shape}, FOLDS, BITS>(in0_V, out0_V);"


class StreamingDataWidthConverter_hls(StreamHLS, StreamingDataWidthConverter):  # noqa: N801 - FINN's naming
    """FINN's width converter in ``width_converter.hpp``."""

    hls_header = "width_converter.hpp"

    def hls_parameters(self) -> dict[str, int | str]:
        """Parameters of ``width_converter``."""
        return {
            "IN_BITS": self.get_instream_width(),
            "OUT_BITS": self.get_outstream_width(),
            "BEATS": prod(self.get_folded_input_shape()[:-1]),
        }

    def get_ap_int_max_w(self) -> int:
        """The word between both widths counts as well."""
        joined = int(np.lcm(self.get_instream_width(), self.get_outstream_width()))
        return max(super().get_ap_int_max_w(), joined)

    def hls_call(self) -> str:
        """The call."""
        return "hwprune::width_converter<IN_BITS, OUT_BITS, BEATS>(in0_V, out0_V);"


class StreamingFIFO_hls(StreamHLS, StreamingFIFO):  # noqa: N801 - FINN's naming
    """FINN's queue in ``fifo.hpp``."""

    hls_header = "fifo.hpp"

    def hls_parameters(self) -> dict[str, int | str]:
        """Parameters of ``fifo``."""
        return {
            "BITS": self.get_instream_width(),
            "BEATS": prod(map(int, self.get_folded_input_shape()[:-1])),
            "DEPTH": self.get_nodeattr("depth"),
        }

    def hls_call(self) -> str:
        """The call."""
        return "hwprune::fifo<BITS, BEATS, DEPTH>(in0_V, out0_V);"


def _vectors(operator) -> int:
    return prod(int(extent) for extent in operator.get_nodeattr("numInputVectors"))


def _require_folds(operator, **folds: str) -> None:
    for fold, size in folds.items():
        parts, whole = operator.get_nodeattr(fold), operator.get_nodeattr(size)
        if parts < 1 or whole % parts:
            refuse(operator, f"{fold}={parts} does not divide {size}={whole}; choose a divisor")


def _constant(operator, model: ModelWrapper) -> NDArray:
    """The initialiser of the second input, int64."""
    tensor, datatype = operator.onnx_node.input[1], operator.get_input_datatype(1)
    values = model.get_initializer(tensor)
    if values is None:
        refuse(operator, f"tensor {tensor!r} has no initialiser; only constants have an HLS twin")
    whole = values.astype(np.int64)
    if (whole != values).any() or whole.min() < datatype.min() or whole.max() > datatype.max():
        refuse(operator, f"tensor {tensor!r} has values that are not of its type {datatype.name}")
    return whole
