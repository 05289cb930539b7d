"""RTL backend for FINN's StreamingDataWidthConverter, in the place of FINN's own."""

from math import prod

from finn.custom_op.fpgadataflow.streamingdatawidthconverter import StreamingDataWidthConverter

from hwprune.accel.operators.backend import StreamRTL
from hwprune.accel.operators.units import width_converter_luts


class StreamingDataWidthConverter_rtl(StreamRTL, StreamingDataWidthConverter):  # noqa: N801 - FINN's naming
    """Beats of another width, in ``width_converter.sv``: never slower than the side with more beats, where FINN's
    needs 12 cycles for 9 inputs of 16 bits to 36, and of the least common multiple where FINN's is of the product."""

    rtl_module = "width_converter"
    rtl_sources = ("width_converter.sv",)

    def check(self) -> None:
        """Refuse widths of parts of an element, frames that are no whole number of beats, and equal widths."""
        bits, elements = self.get_input_datatype().bitwidth(), prod(self.get_normal_input_shape())
        for attribute in ("inWidth", "outWidth"):
            width = self.get_nodeattr(attribute)
            if width < 1 or width % bits or elements * bits % width:
                self.fail(
                    f"{attribute}={width} bits: a frame of {elements} elements of {bits} bits is no whole number of "
                    "such beats of whole elements"
                )

        if self.get_nodeattr("inWidth") == self.get_nodeattr("outWidth"):
            self.fail(f"inWidth and outWidth are both {self.get_nodeattr('inWidth')}; leave the converter out")

    def rtl_parameters(self) -> dict[str, str | int]:
        """Parameters of ``width_converter``."""
        return {"IN_BITS": self.get_instream_width(), "OUT_BITS": self.get_outstream_width()}

    def get_exp_cycles(self) -> int:
        """Cycles a frame."""
        return max(prod(self.get_folded_input_shape()[:-1]), prod(self.get_folded_output_shape()[:-1]))

    def lut_estimation(self, fpgapart: str) -> int:
        """LUTs."""
        return width_converter_luts(self.get_instream_width(), self.get_outstream_width())
