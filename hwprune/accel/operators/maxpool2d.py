"""Max-pool that buffers rows of maxima, without the sliding window that FINN's Pool needs before it."""

import math
from collections.abc import Sequence

import numpy as np
from finn.custom_op.fpgadataflow.hwcustomop import HWCustomOp
from qonnx.core.datatype import BaseDataType, DataType

from hwprune.accel.operators.backend import StreamRTL
from hwprune.accel.operators.pooling import PoolStage, pool_stages
from hwprune.accel.operators.units import pool_memory


class MaxPool2d(HWCustomOp):
    """Max-pool of NHWC feature maps; a padded pixel never wins.

    Attributes of the node: ``ifm_dim`` [H, W], ``Channels``, ``PE`` (channels a beat, divides ``Channels``), ``kernel``
    (rows and columns of the window), ``stride`` (1 or 2), ``Padding`` [top, left, bottom, right], ``inputDataType``,
    ``numInputVectors`` (frames, default 1).
    """

    def get_nodeattr_types(self) -> dict:
        """Attributes as (type, required, default[, allowed values])."""
        return super().get_nodeattr_types() | {
            "ifm_dim": ("ints", True, []),
            "Channels": ("i", True, 0),
            "PE": ("i", True, 1),
            "kernel": ("i", False, 2),
            "stride": ("i", True, 2, {1, 2}),
            "Padding": ("ints", False, [0, 0, 0, 0]),
            "inputDataType": ("s", True, ""),
            "numInputVectors": ("i", False, 1),
        }

    def get_normal_input_shape(self, ind: int = 0) -> tuple[int, ...]:
        """(N, H, W, C)."""
        height, width = (int(d) for d in self.get_nodeattr("ifm_dim"))
        return (self.get_nodeattr("numInputVectors"), height, width, self.get_nodeattr("Channels"))

    def get_normal_output_shape(self, ind: int = 0) -> tuple[int, ...]:
        """(N, rows, columns, C) of windows; what is left over at the end is dropped."""
        frames, height, width, channels = self.get_normal_input_shape()
        kernel, stride = self.get_nodeattr("kernel"), self.get_nodeattr("stride")
        top, left, bottom, right = (int(pad) for pad in self.get_nodeattr("Padding"))
        rows, columns = ((d - kernel) // stride + 1 for d in (top + height + bottom, left + width + right))
        return (frames, rows, columns, channels)

    def get_folded_input_shape(self, ind: int = 0) -> tuple[int, ...]:
        """(N, H, W, C / PE, PE)."""
        return self._folded(self.get_normal_input_shape())

    def get_folded_output_shape(self, ind: int = 0) -> tuple[int, ...]:
        """(N, rows, columns, C / PE, PE)."""
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
        """Cycles between two frames: one a beat of the input, for any window."""
        return math.prod(self.get_folded_input_shape()[:-1])

    def execute_node(self, context, graph) -> None:
        """Compute with NumPy."""
        window = (self.get_nodeattr("kernel"), self.get_nodeattr("stride"), self.get_nodeattr("Padding"))
        context[self.onnx_node.output[0]] = max_pool(context[self.onnx_node.input[0]], *window)


class MaxPool2d_rtl(StreamRTL, MaxPool2d):  # noqa: N801 - SpecializeLayers looks for this suffix
    """`MaxPool2d` in ``maxpool2d.sv``."""

    rtl_module = "maxpool2d"
    rtl_sources = ("skid_buffer.sv", "row_buffer.sv", "pairwise_max.sv", "maxpool2d.sv")

    def check(self) -> None:
        """Refuse shapes, folds and data types without hardware."""
        self.require_fold("PE", self.get_nodeattr("Channels"))
        try:
            node_stages(self)
        except ValueError as error:
            size, pads = ([int(n) for n in self.get_nodeattr(name)] for name in ("ifm_dim", "Padding"))
            window = f"kernel={self.get_nodeattr('kernel')}, stride={self.get_nodeattr('stride')}, Padding={pads}"
            self.fail(f"{window} on ifm_dim={size} has no hardware: {error}")
        datatype = self.get_input_datatype()
        if not (datatype.is_integer() or datatype.is_fixed_point()):
            self.fail(f"inputDataType={datatype.name} is not compared as an integer; quantise the input")

    def rtl_parameters(self) -> dict[str, str | int]:
        """Parameters of ``maxpool2d``."""
        height, width = (int(d) for d in self.get_nodeattr("ifm_dim"))
        top, left, bottom, right = (int(pad) for pad in self.get_nodeattr("Padding"))
        datatype = self.get_input_datatype()
        return {
            "HEIGHT": height,
            "WIDTH": width,
            "CHANNELS": self.get_nodeattr("Channels"),
            "PE": self.get_nodeattr("PE"),
            "ELEM_BITS": datatype.bitwidth(),
            # A bipolar 1 is +1 and a 0 is -1: they order as they are.
            "SIGNED": f"1'b{int(datatype.signed() and datatype != DataType['BIPOLAR'])}",
            "KERNEL": self.get_nodeattr("kernel"),
            "STRIDE": self.get_nodeattr("stride"),
            "PAD_TOP": top,
            "PAD_LEFT": left,
            "PAD_BOTTOM": bottom,
            "PAD_RIGHT": right,
        }

    def _memory(self) -> tuple[int, int]:
        return pool_memory(node_stages(self), self.get_instream_width())

    def bram_estimation(self, fpgapart: str) -> int:
        """18-Kbit block RAMs."""
        return self._memory()[1]

    def lut_estimation(self, fpgapart: str) -> int:
        """LUTs."""
        return self._memory()[0]


def node_stages(node: MaxPool2d) -> tuple[PoolStage, ...]:
    """What the hardware of a node consists of; ValueError says why it has none."""
    _, height, width, folds, _ = node.get_folded_input_shape()
    window = (
        node.get_nodeattr("kernel"),
        node.get_nodeattr("stride"),
        [int(pad) for pad in node.get_nodeattr("Padding")],
    )
    return pool_stages((height, width), folds, *window)


def max_pool(values: np.ndarray, kernel: int, stride: int, pads: Sequence[int]) -> np.ndarray:
    """Maxima of the windows of ``values`` (N, H, W, C), padded (top, left, bottom, right) by pixels that never win."""
    top, left, bottom, right = pads
    padded = np.pad(values, ((0, 0), (top, bottom), (left, right), (0, 0)), constant_values=-np.inf)
    windows = np.lib.stride_tricks.sliding_window_view(padded, (kernel, kernel), axis=(1, 2))
    return windows[:, ::stride, ::stride].max((-2, -1))
