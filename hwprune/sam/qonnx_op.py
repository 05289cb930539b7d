"""The QONNX operator of a SAM layer; QONNX finds it by its domain, which is the name of this module."""

from typing import Any

import numpy as np
from onnx import NodeProto
from qonnx.core.datatype import DataType
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.custom_op.base import CustomOp

from hwprune.sam.neuron import connections, distances, scaled_inputs, sum_range, windows
from hwprune.sam.settings import Sam

__all__ = ["SamConv"]

DOMAIN = __name__


class SamConv(CustomOp):
    """Integer SAM layer on (N, C, H, W): inputs x, p, then n and sign as `SamConv.operands` says.

    p and n are codes of distances (J, C, k, k), sign is (J, groups); the output is `hwprune.sam.neuron.distances`.
    """

    def get_nodeattr_types(self) -> dict[str, tuple]:
        """Attributes: form, connections of a group, shift, floor, stride, padding (all sides alike)."""
        return {
            "form": ("s", True, "", {"maxmin", "difference", "signed"}),
            "group": ("i", True, 0),
            "shift": ("i", False, 0),
            "floor": ("i", False, 0, {0, 1}),
            "stride": ("i", False, 1),
            "padding": ("i", False, 0),
        }

    def settings(self) -> Sam:
        """Of the layer; its group counts connections, not channels."""
        return Sam(
            form=self.get_nodeattr("form"),
            group=self.get_nodeattr("group"),
            shift=self.get_nodeattr("shift"),
            floor=bool(self.get_nodeattr("floor")),
        )

    def operands(self) -> tuple[str, str | None, str | None]:
        """Tensor names of p, n and sign."""
        names = list(self.onnx_node.input)[1:]
        p, n = names.pop(0), names.pop(0) if self.settings().two_sets else None
        return p, n, names.pop(0) if names else None

    def values(self, model: ModelWrapper) -> tuple[np.ndarray, np.ndarray | None, np.ndarray | None]:
        """p and n as (J, connections), and sign, from the graph's initialisers."""
        p, n, sign = (None if name is None else model.get_initializer(name) for name in self.operands())
        return connections(p), None if n is None else connections(n), sign

    def make_shape_compatible_op(self, model: ModelWrapper) -> NodeProto:
        """A convolution's shape."""
        (n, _, h, w), (units, _, kernel, _) = (model.get_tensor_shape(name) for name in self.onnx_node.input[:2])
        stride, padding = self.get_nodeattr("stride"), self.get_nodeattr("padding")
        height, width = ((d + 2 * padding - kernel) // stride + 1 for d in (h, w))
        return super().make_const_shape_op([n, units, height, width])

    def infer_node_datatype(self, model: ModelWrapper) -> None:
        """The smallest integer type for all sums that can occur."""
        values = model.get_tensor_datatype(self.onnx_node.input[0])
        low, high = self.range(model, int(values.min()), int(values.max()))
        bits = max(high.bit_length(), (-low - 1).bit_length() if low < 0 else 0)
        model.set_tensor_datatype(
            self.onnx_node.output[0], DataType[f"INT{bits + 1}" if low < 0 else f"UINT{max(bits, 1)}"]
        )

    def range(self, model: ModelWrapper, least: int, most: int) -> tuple[int, int]:
        """Least and greatest sum for inputs of this range."""
        sam = self.settings()
        p, n, sign = self.values(model)
        step = 1 << max(0, sam.shift)
        ends = (int(scaled_inputs(np.int64(end), sam.shift)) for end in (least, most))
        n = None if n is None else step * n
        low, high = sum_range(sam.form, self.get_nodeattr("group"), step * p, n, sign, *ends, sam.floor)
        return int(low.min()), int(high.max())

    def execute_node(self, context: dict[str, Any], graph: Any) -> None:
        """Compute row by row with NumPy, from the definition."""
        x = context[self.onnx_node.input[0]]
        p, n, sign = (None if name is None else context[name] for name in self.operands())
        p, n, kernel = connections(p), None if n is None else connections(n), p.shape[2]
        seen = windows(x, kernel, self.get_nodeattr("stride"), self.get_nodeattr("padding"))
        rows = [
            distances(seen[:, row], self.settings(), self.get_nodeattr("group"), p, n, sign)
            for row in range(seen.shape[1])
        ]
        context[self.onnx_node.output[0]] = np.stack(rows, 1).transpose(0, 3, 1, 2).astype(np.float32)

    def verify_node(self) -> list[str]:
        """Nothing beyond what execution checks."""
        return []
