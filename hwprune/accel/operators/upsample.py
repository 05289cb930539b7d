"""RTL backend for FINN's UpsampleNearestNeighbour."""

from finn.custom_op.fpgadataflow.upsampler import UpsampleNearestNeighbour

from hwprune.accel.operators.backend import StreamRTL
from hwprune.accel.operators.units import upsample_memory


class UpsampleNearestNeighbour_rtl(StreamRTL, UpsampleNearestNeighbour):  # noqa: N801 - FINN's naming
    """Nearest upsampling by one integer factor for both directions, in ``upsample_nearest.sv``."""

    rtl_module = "upsample_nearest"
    rtl_sources = ("skid_buffer.sv", "row_buffer.sv", "upsample_nearest.sv")

    @property
    def factor(self) -> int:
        """Output rows for an input row."""
        return self.get_nodeattr("HO") // self.get_nodeattr("HI")

    def check(self) -> None:
        """Refuse factors, folds and data types without hardware."""
        height, width, out_height, out_width = (self.get_nodeattr(name) for name in ("HI", "WI", "HO", "WO"))
        factor = out_height // height if height > 0 else 0
        if factor < 2 or width < 1 or (height * factor, width * factor) != (out_height, out_width):
            self.fail(
                f"{height}x{width} (HI x WI) to {out_height}x{out_width} (HO x WO) is no integer factor of at least 2 "
                "that is the same for both directions"
            )
        self.require_fold("SIMD", self.get_nodeattr("NumChannels"))

    def rtl_parameters(self) -> dict[str, str | int]:
        """Parameters of ``upsample_nearest``."""
        return {
            "WIDTH": self.get_nodeattr("WI"),
            "CHANNELS": self.get_nodeattr("NumChannels"),
            "SIMD": self.get_nodeattr("SIMD"),
            "ELEM_BITS": self.get_input_datatype().bitwidth(),
            "FACTOR": self.factor,
        }

    def _memory(self) -> tuple[int, int]:
        _, _, width, folds, _ = self.get_folded_input_shape()
        return upsample_memory(width, folds, self.get_instream_width())

    def bram_estimation(self, fpgapart: str) -> int:
        """18-Kbit block RAMs."""
        return self._memory()[1]

    def lut_estimation(self, fpgapart: str) -> int:
        """LUTs."""
        return self._memory()[0]
