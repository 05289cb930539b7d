"""FINN's RTL operators with estimates that hold for the part (`hwprune.accel.operators.finn_units`); the RTL is FINN's.

One thing is decided here that FINN leaves to the tool: which memories of thresholds are block RAM.
"""

from finn.custom_op.fpgadataflow.rtl.convolutioninputgenerator_rtl import ConvolutionInputGenerator_rtl as FinnWindow
from finn.custom_op.fpgadataflow.rtl.fmpadding_rtl import FMPadding_rtl as FinnPadding
from finn.custom_op.fpgadataflow.rtl.streamingfifo_rtl import StreamingFIFO_rtl as FinnFifo
from finn.custom_op.fpgadataflow.rtl.thresholding_rtl import Thresholding_rtl as FinnThresholding
from qonnx.core.modelwrapper import ModelWrapper

from hwprune.accel.fifo_storage import FifoSize, fifo_control_luts, fifo_memory, store_style
from hwprune.accel.operators.finn_units import ThresholdUnit, WindowUnit, padding_luts


class Thresholding_rtl(FinnThresholding):  # noqa: N801 - FINN's naming
    """Thresholds; ``depth_trigger_bram`` 0 puts those memories into block RAM that are better there."""

    @property
    def unit(self) -> ThresholdUnit:
        """The node in numbers."""
        return ThresholdUnit(
            folds=self.get_nodeattr("NumChannels") // self.get_nodeattr("PE"),
            pe=self.get_nodeattr("PE"),
            stages=self.get_nodeattr("numSteps").bit_length(),
            bits=self.get_input_datatype(1).bitwidth(),
            trigger=self.get_nodeattr("depth_trigger_bram"),
        )

    def prepare_codegen_rtl_values(self, model: ModelWrapper) -> dict[str, list[str]]:
        """FINN's, with the trigger."""
        trigger = str(self.unit.in_blocks_from)
        return super().prepare_codegen_rtl_values(model) | {"$DEPTH_TRIGGER_BRAM$": [trigger]}

    def lut_estimation(self, fpgapart: str) -> int:
        """LUTs."""
        return self.unit.luts

    def bram_estimation(self, fpgapart: str) -> int:
        """18-Kbit block RAMs."""
        return self.unit.bram18

    def uram_estimation(self, fpgapart: str) -> int:
        """UltraRAM has no contents at start."""
        return 0


class ConvolutionInputGenerator_rtl(FinnWindow):  # noqa: N801 - FINN's naming
    """A sliding window."""

    @property
    def unit(self) -> WindowUnit:
        """The node in numbers."""
        whole = self.select_impl_style() == "parallel"
        (rows, columns), (height, width) = self.get_nodeattr("ConvKernelDim"), self.get_nodeattr("IFMDim")
        down, across = self.get_nodeattr("Dilation")
        words, buffers = self.get_buffer_depth(), 1
        if whole:
            words = width - ((columns - 1) * across + 1) + width * (down - 1)
            buffers = 0 if 1 in (height, width) else rows - 1
        return WindowUnit(
            words=int(words),
            buffers=int(buffers),
            bits=self.get_instream_width(),
            beats=int(height * width * self.get_nodeattr("IFMChannels") // self.get_nodeattr("SIMD")),
            block=self.get_nodeattr("ram_style") in ("block", "auto"),
            whole=whole,
        )

    def lut_estimation(self, fpgapart: str) -> int:
        """LUTs."""
        return self.unit.luts

    def bram_estimation(self, fpgapart: str) -> int:
        """18-Kbit block RAMs."""
        return self.unit.bram18


class FMPadding_rtl(FinnPadding):  # noqa: N801 - FINN's naming
    """A border of zeros."""

    def lut_estimation(self, fpgapart: str) -> int:
        """LUTs."""
        folds = self.get_nodeattr("NumChannels") // self.get_nodeattr("SIMD")
        return padding_luts(*map(int, self.get_padded_odim()), folds, self.get_instream_width())


class StreamingFIFO_rtl(FinnFifo):  # noqa: N801 - FINN's naming
    """A FIFO; beats are stored with the bits that fill up their bytes. In UltraRAM it takes what FINN counts."""

    @property
    def size(self) -> FifoSize:
        """Depth and style."""
        return FifoSize(self.get_nodeattr("depth"), self.get_nodeattr("ram_style"))

    def _in_ultra_ram(self) -> bool:
        return store_style(int(self.size.depth), self.get_instream_width_padded(), self.size.ram_style) == "ultra"

    def lut_estimation(self, fpgapart: str) -> int:
        """LUTs."""
        if self._in_ultra_ram():
            return super().lut_estimation(fpgapart)
        bits = self.get_instream_width_padded()
        return fifo_memory(self.size, bits).luts + fifo_control_luts(self.size, bits)

    def bram_estimation(self, fpgapart: str) -> int:
        """18-Kbit block RAMs."""
        if self._in_ultra_ram():
            return super().bram_estimation(fpgapart)
        return fifo_memory(self.size, self.get_instream_width_padded()).bram18

    def uram_estimation(self, fpgapart: str) -> int:
        """UltraRAMs."""
        return super().uram_estimation(fpgapart) if self._in_ultra_ram() else 0
