"""HLS backends of hwprune's other operators: pool, upsampling, concatenation, fork."""

from math import prod

from finn.custom_op.fpgadataflow.concat import StreamingConcat
from finn.custom_op.fpgadataflow.duplicatestreams import DuplicateStreams
from finn.custom_op.fpgadataflow.upsampler import UpsampleNearestNeighbour

from hwprune.accel.operators.backend_hls import StreamHLS, cpp_type
from hwprune.accel.operators.concat import StreamingConcat_rtl
from hwprune.accel.operators.duplicate import DuplicateStreams_rtl
from hwprune.accel.operators.maxpool2d import MaxPool2d, MaxPool2d_rtl
from hwprune.accel.operators.upsample import UpsampleNearestNeighbour_rtl


class MaxPool2d_hls(StreamHLS, MaxPool2d):  # noqa: N801 - FINN's naming
    """`MaxPool2d` in ``maxpool2d.hpp``."""

    hls_header = "maxpool2d.hpp"
    check, require_fold, fail = MaxPool2d_rtl.check, MaxPool2d_rtl.require_fold, MaxPool2d_rtl.fail

    def hls_parameters(self) -> dict[str, int | str]:
        """Parameters of ``maxpool2d``."""
        _, height, width, folds, pe = self.get_folded_input_shape()
        sides = ("TOP", "LEFT", "BOTTOM", "RIGHT")
        return {
            "HEIGHT": height,
            "WIDTH": width,
            "KERNEL": self.get_nodeattr("kernel"),
            "STRIDE": self.get_nodeattr("stride"),
            **{side: int(pad) for side, pad in zip(sides, self.get_nodeattr("Padding"), strict=True)},
            "FOLDS": folds,
            "PE": pe,
            "TX": cpp_type(self.get_input_datatype()),
        }

    def hls_call(self) -> str:
        """The call."""
        window = "HEIGHT, WIDTH, KERNEL, STRIDE, TOP, LEFT, BOTTOM, RIGHT"
        return f"hwprune::maxpool2d<{window}, FOLDS, PE, TX>(in0_V, out0_V);"


class UpsampleNearestNeighbour_hls(StreamHLS, UpsampleNearestNeighbour):  # noqa: N801 - FINN's naming
    """Nearest upsampling in ``upsample_nearest.hpp``."""

    hls_header = "upsample_nearest.hpp"
    check, fail = UpsampleNearestNeighbour_rtl.check, UpsampleNearestNeighbour_rtl.fail
    require_fold, factor = UpsampleNearestNeighbour_rtl.require_fold, UpsampleNearestNeighbour_rtl.factor

    def hls_parameters(self) -> dict[str, int | str]:
        """Parameters of ``upsample_nearest``."""
        *_, width, folds, _ = self.get_folded_input_shape()
        sizes = {"HEIGHT": self.get_nodeattr("HI"), "WIDTH": width, "FOLDS": folds, "FACTOR": self.factor}
        return {**sizes, "BITS": self.get_instream_width()}

    def hls_call(self) -> str:
        """The call."""
        return "hwprune::upsample_nearest<HEIGHT, WIDTH, FOLDS, FACTOR, BITS>(in0_V, out0_V);"


class StreamingConcat_hls(StreamHLS, StreamingConcat):  # noqa: N801 - FINN's naming
    """Concatenation over channels in ``stream_concat.hpp``."""

    hls_header = "stream_concat.hpp"
    check, fail, require_fold = StreamingConcat_rtl.check, StreamingConcat_rtl.fail, StreamingConcat_rtl.require_fold

    @property
    def stream_inputs(self) -> range:
        """All inputs."""
        return range(len(self.onnx_node.input))

    def hls_parameters(self) -> dict[str, int | str]:
        """Parameters of ``stream_concat``."""
        parts = {
            f"PART{i}": f"hwprune::Part<{cpp_type(self.get_input_datatype(i))}, {self.get_folded_input_shape(i)[-2]}>"
            for i in self.stream_inputs
        }
        return {
            "PIXELS": prod(self.get_folded_output_shape()[:-2]),
            "SIMD": self.get_nodeattr("SIMD"),
            "TO": cpp_type(self.get_output_datatype()),
            **parts,
        }

    def hls_call(self) -> str:
        """The call."""
        parts = ", ".join(f"PART{i}" for i in self.stream_inputs)
        ports = ", ".join(f"in{i}_V" for i in self.stream_inputs)
        return f"hwprune::stream_concat<PIXELS>(out0_V, hwprune::Turn<TO, SIMD, {parts}>(), {ports});"

    def _parameters_text(self) -> str:
        return super()._parameters_text().replace("#include <ap_int.h>", f'#include "{self.hls_header}"')


class DuplicateStreams_hls(StreamHLS, DuplicateStreams):  # noqa: N801 - FINN's naming
    """One stream to several consumers in ``stream_duplicate.hpp``."""

    hls_header = "stream_duplicate.hpp"
    check, fail = DuplicateStreams_rtl.check, DuplicateStreams_rtl.fail
    require_fold = DuplicateStreams_rtl.require_fold

    def hls_parameters(self) -> dict[str, int | str]:
        """Parameters of ``stream_duplicate``."""
        return {"BEATS": prod(self.get_folded_input_shape()[:-1])}

    def hls_call(self) -> str:
        """The call."""
        ports = ", ".join(f"out{i}_V" for i in range(len(self.onnx_node.output)))
        return f"hwprune::stream_duplicate<BEATS>(in0_V, {ports});"
