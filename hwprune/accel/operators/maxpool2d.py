"""2x2 max-pool that buffers one row of maxima, without the sliding window that FINN's Pool needs before it."""

import math

import numpy as np
from finn.custom_op.fpgadataflow.hwcustomop import HWCustomOp
from qonnx.core.datatype import BaseDataType, DataType

from hwprune.accel.operators.backend import StreamRTL
from hwprune.accel.operators.units import pool_memory


class MaxPool2d(HWCustomOp):
    """2x2 max-pool of NHWC feature maps.

    Stride 2 drops an odd last row or column. Stride 1 pads right and below with pixels that never win, so the output
    has the size of the input.

    Attributes of the node: ``ifm_dim`` [H, W], ``Channels``, ``PE`` (channels a beat, divides ``Channels``), ``stride``
    (1 or 2), ``inputDataType``, ``numInputVectors`` (frames, default 1).
    """

    def get_nodeattr_types(self) -> dict:
        """Attributes as (type, required, default[, allowed values])."""
        return super().get_nodeattr_types() | {
            "ifm_dim": ("ints", True, []),
            "Channels": ("i", True, 0),
            "PE": ("i", True, 1),
            "stride": ("i", True, 2, {1, 2}),
            "inputDataType": ("s", True, ""),
            "numInputVectors": ("i", False, 1),
        }

    def get_normal_input_shape(self, ind: int = 0) -> tuple[int, ...]:
        """(N, H, W, C)."""
        height, width = (int(d) for d in self.get_nodeattr("ifm_dim"))
        return (self.get_nodeattr("numInputVectors"), height, width, self.get_nodeattr("Channels"))

    def get_normal_output_shape(self, ind: int = 0) -> tuple[int, ...]:
        """(N, H / stride, W / stride, C), rounded down."""
        frames, height, width, channels = self.get_normal_input_shape()
        stride = self.get_nodeattr("stride")
        return (frames, height // stride, width // stride, channels)

    def get_folded_input_shape(self, ind: int = 0) -> tuple[int, ...]:
        """(N, H, W, C / PE, PE)."""
        return self._folded(self.get_normal_input_shape())

    def get_folded_output_shape(self, ind: int = 0) -> tuple[int, ...]:
        """(N, H / stride, W / stride, C / PE, PE)."""
        return self._folded(self.get_normal_output_shape())

    def _folded(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        pe = self.get_nodeattr("PE")
        return (*shape[:-1], shape[-1] // pe, pe)

    def get_input_datatype(self, ind: int = 0) -> BaseDataType:
        """The input's data type."""
        return DataType[self.get_nodeattr("inputDataType")]

    def get_output_datatype(self, ind: int = 0) -> BaseDataType:
        """The input's data type: a maximum is one of its operands."""
        return self.get_input_datatype()

    def get_instream_width(self, ind: int = 0) -> int:
        """Bits of a beat."""
        return self.get_input_datatype().bitwidth() * self.get_nodeattr("PE")

    def get_outstream_width(self, ind: int = 0) -> int:
        """Bits of a beat."""
        return self.get_instream_width()

    def infer_node_datatype(self, model) -> None:
        """Take the input tensor's data type over to the node and its output."""
        datatype = model.get_tensor_datatype(self.onnx_node.input[0])
        self.set_nodeattr("inputDataType", datatype.name)
        model.set_tensor_datatype(self.onnx_node.output[0], datatype)

    def get_exp_cycles(self) -> int:
        """Cycles between two frames: one a beat of the input, for either stride."""
        return math.prod(self.get_folded_input_shape()[:-1])

    def execute_node(self, context, graph) -> None:
        """Compute with NumPy."""
        context[self.onnx_node.output[0]] = max_pool_2x2(context[self.onnx_node.input[0]], self.get_nodeattr("stride"))


class MaxPool2d_rtl(StreamRTL, MaxPool2d):  # noqa: N801 - SpecializeLayers looks for this suffix
    """`MaxPool2d` in ``maxpool2d.sv``."""

    rtl_module = "maxpool2d"
    rtl_sources = ("skid_buffer.sv", "row_buffer.sv", "pairwise_max.sv", "maxpool2d.sv")

    def check(self) -> None:
        """Refuse shapes, folds and data types without hardware."""
        shape, stride = [int(d) for d in self.get_nodeattr("ifm_dim")], self.get_nodeattr("stride")
        if len(shape) != 2 or min(shape) < stride:
            self.fail(f"ifm_dim={shape} leaves no output with stride={stride}; it is [height, width]")
        self.require_fold("PE", self.get_nodeattr("Channels"))
        datatype = self.get_input_datatype()
        if not (datatype.is_integer() or datatype.is_fixed_point()):
            self.fail(f"inputDataType={datatype.name} is not compared as an integer; quantise the input")

    def rtl_parameters(self) -> dict[str, str | int]:
        """Parameters of ``maxpool2d``."""
        height, width = (int(d) for d in self.get_nodeattr("ifm_dim"))
        datatype = self.get_input_datatype()
        return {
            "HEIGHT": height,
            "WIDTH": width,
            "CHANNELS": self.get_nodeattr("Channels"),
            "PE": self.get_nodeattr("PE"),
            "ELEM_BITS": datatype.bitwidth(),
            # A bipolar 1 is +1 and a 0 is -1: they order as they are.
            "SIGNED": f"1'b{int(datatype.signed() and datatype != DataType['BIPOLAR'])}",
            "STRIDE": self.get_nodeattr("stride"),
        }

    def _memory(self) -> tuple[int, int]:
        _, height, width, folds, _ = self.get_folded_input_shape()
        return pool_memory(height, width, folds, self.get_instream_width(), self.get_nodeattr("stride"))

    def bram_estimation(self, fpgapart: str) -> int:
        """18-Kbit block RAMs."""
        return self._memory()[1]

    def lut_estimation(self, fpgapart: str) -> int:
        """LUTs."""
        return self._memory()[0]


def max_pool_2x2(values: np.ndarray, stride: int) -> np.ndarray:
    """2x2 maxima of ``values`` (N, H, W, C): stride 2 without padding, or stride 1 padded right and below."""
    if stride == 2:
        even = values[:, : values.shape[1] // 2 * 2, : values.shape[2] // 2 * 2]
        columns = np.maximum(even[:, 0::2], even[:, 1::2])
        return np.maximum(columns[:, :, 0::2], columns[:, :, 1::2])
    padded = np.pad(values, ((0, 0), (0, 1), (0, 1), (0, 0)), constant_values=-np.inf)
    columns = np.maximum(padded[:, :-1], padded[:, 1:])
    return np.maximum(columns[:, :, :-1], columns[:, :, 1:])
