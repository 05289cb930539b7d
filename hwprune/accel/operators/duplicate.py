"""RTL backend for FINN's DuplicateStreams."""

from finn.custom_op.fpgadataflow.duplicatestreams import DuplicateStreams

from hwprune.accel.operators.backend import StreamRTL
from hwprune.accel.operators.units import duplicate_luts


class DuplicateStreams_rtl(StreamRTL, DuplicateStreams):  # noqa: N801 - FINN's naming
    """One stream to several consumers, in ``stream_duplicate.sv``."""

    rtl_module = "stream_duplicate"
    rtl_sources = ("skid_buffer.sv", "stream_duplicate.sv")

    def check(self) -> None:
        """Refuse numbers of outputs and folds without hardware."""
        outputs, declared = len(self.onnx_node.output), self.get_nodeattr("NumOutputStreams")
        if outputs < 2 or outputs != declared:
            self.fail(f"{outputs} outputs with NumOutputStreams={declared}; both have to be the same and at least 2")
        self.require_fold("PE", self.get_nodeattr("NumChannels"))

    def rtl_parameters(self) -> dict[str, str | int]:
        """Parameters of ``stream_duplicate``."""
        return {"OUTPUTS": len(self.onnx_node.output), "WIDTH": self.get_instream_width()}

    def lut_estimation(self, fpgapart: str) -> int:
        """LUTs."""
        return duplicate_luts(len(self.onnx_node.output), self.get_instream_width())
