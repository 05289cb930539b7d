"""FINN operator for layers of SAM neurons, after FINN's MVAU: the same folds, streams and cycles.

The weights are distances (see `hwprune.sam.neuron`) and lie inside the unit, in a ROM that is written with its code.
"""

import math
from dataclasses import dataclass

import numpy as np
from finn.custom_op.fpgadataflow.hwcustomop import HWCustomOp
from numpy.typing import NDArray
from qonnx.core.datatype import BaseDataType, DataType
from qonnx.core.modelwrapper import ModelWrapper

from hwprune.accel.operators.backend import refuse
from hwprune.accel.thresholds import sum_type
from hwprune.sam.neuron import dead_distance, distances, sum_range
from hwprune.sam.settings import FORMS, Sam

CHUNK = 1 << 22
"""Connections that are computed at once in Python."""


@dataclass(frozen=True)
class Codes:
    """The weights of a unit, int64; rows are outputs, as in `hwprune.sam.neuron.distances`.

    Attributes
    ----------
    p, n
        Distances (MH, MW); ``n`` is None in the form ``signed``.
    sign
        (MH, MW / group) of 1 and -1; None if all are 1.
    """

    p: NDArray
    n: NDArray | None
    sign: NDArray | None

    @property
    def sets(self) -> list[NDArray]:
        """p, and n if there is one."""
        return [self.p] if self.n is None else [self.p, self.n]


class SAMVAU(HWCustomOp):
    """SAM neurons on vectors of MW integers, MH sums each: `hwprune.sam.neuron.distances`.

    Inputs of the node: x (..., MW); distances p (MW, MH); n (MW, MH), but in the form ``signed``; sign (MW / group, MH)
    of 1 and -1, always in the form ``signed``, and in ``maxmin`` if some sign is -1.

    Attributes of the node: ``MW``, ``MH``, ``SIMD`` (divides MW), ``PE`` (divides MH), ``form``, ``group`` (connections
    that share an extreme; divides MW, and is a multiple or a divisor of SIMD), ``shift``, ``floor`` (of unsigned x),
    ``inputDataType``, ``weightDataType`` (unsigned), ``outputDataType``, ``numInputVectors``, ``ram_style`` of the
    weights' ROM.
    """

    def get_nodeattr_types(self) -> dict:
        """Attributes as (type, required, default[, allowed values])."""
        return super().get_nodeattr_types() | {
            "MW": ("i", True, 0),
            "MH": ("i", True, 0),
            "SIMD": ("i", True, 0),
            "PE": ("i", True, 0),
            "form": ("s", True, "", set(FORMS)),
            "group": ("i", True, 0),
            "shift": ("i", False, 0),
            "floor": ("i", False, 0, {0, 1}),
            "inputDataType": ("s", True, ""),
            "weightDataType": ("s", True, ""),
            "outputDataType": ("s", True, ""),
            "numInputVectors": ("ints", False, [1]),
            "ram_style": ("s", False, "auto", {"auto", "block", "distributed"}),
        }

    @property
    def sam(self) -> Sam:
        """Of the layer, for `hwprune.sam.neuron`; its group counts connections, not channels."""
        return Sam(
            form=self.get_nodeattr("form"),
            group=self.get_nodeattr("group"),
            shift=self.get_nodeattr("shift"),
            floor=bool(self.get_nodeattr("floor")),
        )

    @property
    def has_signs(self) -> bool:
        """Whether groups have signs."""
        return len(self.onnx_node.input) > 1 + self.sets

    @property
    def sets(self) -> int:
        """Distances of a connection."""
        return 1 if self.get_nodeattr("form") == "signed" else 2

    @property
    def folds(self) -> tuple[int, int]:
        """Beats of a vector, and of its sums."""
        return (
            self.get_nodeattr("MW") // self.get_nodeattr("SIMD"),
            self.get_nodeattr("MH") // self.get_nodeattr("PE"),
        )

    @property
    def leading(self) -> tuple[int, ...]:
        """Extents of the tensors before the last one."""
        return tuple(int(extent) for extent in self.get_nodeattr("numInputVectors"))

    def get_normal_input_shape(self, ind: int = 0) -> tuple[int, ...]:
        """(..., MW); (MW, MH) of distances, (MW / group, MH) of signs."""
        width, height = self.get_nodeattr("MW"), self.get_nodeattr("MH")
        if ind == 0:
            return (*self.leading, width)
        return (width if ind <= self.sets else width // self.get_nodeattr("group"), height)

    def get_normal_output_shape(self, ind: int = 0) -> tuple[int, ...]:
        """(..., MH)."""
        return (*self.leading, self.get_nodeattr("MH"))

    def get_folded_input_shape(self, ind: int = 0) -> tuple[int, ...]:
        """(..., MW / SIMD, SIMD); weights do not stream."""
        return (*self.leading, self.folds[0], self.get_nodeattr("SIMD")) if ind == 0 else ()

    def get_folded_output_shape(self, ind: int = 0) -> tuple[int, ...]:
        """(..., MH / PE, PE)."""
        return (*self.leading, self.folds[1], self.get_nodeattr("PE"))

    def get_input_datatype(self, ind: int = 0) -> BaseDataType:
        """Type of x, of the distances, or of the signs."""
        if ind == 0:
            return DataType[self.get_nodeattr("inputDataType")]
        return DataType[self.get_nodeattr("weightDataType") if ind <= self.sets else "BIPOLAR"]

    def get_output_datatype(self, ind: int = 0) -> BaseDataType:
        """Type of the sums."""
        return DataType[self.get_nodeattr("outputDataType")]

    def get_instream_width(self, ind: int = 0) -> int:
        """Bits of a beat; 0 for the weights."""
        return self.get_input_datatype().bitwidth() * self.get_nodeattr("SIMD") if ind == 0 else 0

    def get_outstream_width(self, ind: int = 0) -> int:
        """Bits of a beat."""
        return self.get_output_datatype().bitwidth() * self.get_nodeattr("PE")

    def infer_node_datatype(self, model: ModelWrapper) -> None:
        """Take the type of x over from its tensor, and give the sums theirs."""
        self.set_nodeattr("inputDataType", model.get_tensor_datatype(self.onnx_node.input[0]).name)
        model.set_tensor_datatype(self.onnx_node.output[0], self.get_output_datatype())

    def get_exp_cycles(self) -> int:
        """Cycles between two frames: MW / SIMD * MH / PE a vector."""
        return math.prod(self.leading) * math.prod(self.folds)

    def execute_node(self, context, graph) -> None:
        """Compute with NumPy, by the definition."""
        codes = self._codes([context[name] for name in self.onnx_node.input[1:]])
        seen = context[self.onnx_node.input[0]].reshape(-1, self.get_nodeattr("MW")).astype(np.int64)
        step = max(1, CHUNK // codes.p.size)
        sums = [
            distances(seen[at : at + step], self.sam, self.get_nodeattr("group"), codes.p, codes.n, codes.sign)
            for at in range(0, len(seen), step)
        ]
        context[self.onnx_node.output[0]] = (
            np.concatenate(sums).reshape(self.get_normal_output_shape()).astype(np.float32)
        )

    def codes(self, model: ModelWrapper) -> Codes:
        """The node's weights.

        Raises
        ------
        UserError
            If one is missing, or has another shape or value than hardware takes.
        """
        names = list(self.onnx_node.input[1:])
        values = [model.get_initializer(name) for name in names]
        for i, (name, value) in enumerate(zip(names, values, strict=True), start=1):
            shape = self.get_normal_input_shape(i)
            if value is None or value.shape != shape:
                found = "no initialiser" if value is None else f"shape {value.shape}"
                refuse(self, f"weights {name!r} have {found}; give one of shape {shape}")
            if np.any(value != np.round(value)):
                refuse(self, f"weights {name!r} are not whole numbers; quantise them")
        codes = self._codes(values)
        self._check_codes(codes, names)
        return codes

    def _codes(self, values: list[NDArray]) -> Codes:
        turned = [np.ascontiguousarray(value.T).astype(np.int64) for value in values]
        return Codes(
            p=turned[0],
            n=turned[1] if self.sets == 2 else None,
            sign=turned[self.sets] if self.has_signs else None,
        )

    def _check_codes(self, codes: Codes, names: list[str]) -> None:
        datatype, group = self.get_input_datatype(1), self.get_nodeattr("group")
        for name, code in zip(names, codes.sets, strict=False):
            if code.min() < 0 or code.max() > datatype.max():
                refuse(
                    self,
                    f"weights {name!r} are {code.min()} to {code.max()}; {datatype.name} takes 0 to "
                    f"{int(datatype.max())}",
                )
            lowest = code.reshape(len(code), -1, group).min(-1)
            if lowest.any() and not self.get_nodeattr("floor"):
                unit, which = np.argwhere(lowest)[0]
                refuse(
                    self,
                    f"weights {name!r}: the least distance of group {which} of output {unit} is "
                    f"{lowest[unit, which]}; distances are counted from a group's greatest weight, so one is 0",
                )
        if codes.sign is not None and not np.isin(codes.sign, (-1, 1)).all():
            refuse(self, f"weights {names[-1]!r}: signs are 1 or -1")

    def check_sums(self, codes: Codes) -> None:
        """Refuse a type of the sums that does not hold them all."""
        least, most = self.sum_range(codes)
        datatype = self.get_output_datatype()
        if least < datatype.min() or most > datatype.max():
            refuse(
                self,
                f"sums from {least} to {most} do not fit outputDataType={datatype.name}; "
                f"{_sum_type(least, most).name} takes them",
            )

    def sum_range(self, codes: Codes) -> tuple[int, int]:
        """The least and the greatest sum that any input can cause."""
        up, down = max(0, -self.get_nodeattr("shift")), max(0, self.get_nodeattr("shift"))
        p, n = (None if code is None else code << down for code in (codes.p, codes.n))
        x = self.get_input_datatype()
        low, high = sum_range(
            self.get_nodeattr("form"),
            self.get_nodeattr("group"),
            *(p, n, codes.sign),
            *(int(x.min()) << up, int(x.max()) << up),
            floor=bool(self.get_nodeattr("floor")),
        )
        return int(low.min()), int(high.max())

    def dead_distance(self) -> int:
        """The least distance with which a connection never wins: one that spans the range of x."""
        x = self.get_input_datatype()
        return dead_distance(int(x.max() - x.min()), self.get_nodeattr("shift"))

    def minimize_weight_bit_width(self, model: ModelWrapper, datatype_only: bool = False) -> BaseDataType:
        """Clamp distances to the least dead one, in ``model``, and take the smallest type that holds them."""
        if not datatype_only:
            codes = self.codes(model)
            clamped = [np.minimum(code, self.dead_distance()) for code in codes.sets]
            datatype = DataType[f"UINT{max(1, int(max(code.max() for code in clamped)).bit_length())}"]
            for name, code in zip(self.onnx_node.input[1:], clamped, strict=False):
                model.set_initializer(name, np.ascontiguousarray(code.T).astype(np.float32))
                model.set_tensor_datatype(name, datatype)
            self.set_nodeattr("weightDataType", datatype.name)
        return self.get_input_datatype(1)

    def minimize_accumulator_width(self, model: ModelWrapper, datatype_only: bool = False) -> BaseDataType:
        """Take the smallest type for the sums that these very distances can cause, and for a threshold above them."""
        if not datatype_only:
            datatype = _sum_type(*self.sum_range(self.codes(model)))
            self.set_nodeattr("outputDataType", datatype.name)
            model.set_tensor_datatype(self.onnx_node.output[0], datatype)
        return self.get_output_datatype()

    def check(self) -> None:
        """Refuse shapes, folds and data types without hardware."""
        width, height, simd, pe, group = (self.get_nodeattr(name) for name in ("MW", "MH", "SIMD", "PE", "group"))
        if width < 1 or height < 1:
            refuse(self, f"MW={width}, MH={height}; both are at least 1")
        if group < 1 or width % group:
            refuse(self, f"group={group} does not divide MW={width}; groups that do: {_listed(_divisors(width))}")
        fits = [d for d in _divisors(width) if d % group == 0 or group % d == 0]
        if simd not in fits:
            refuse(
                self,
                f"SIMD={simd} has to divide MW={width}, and to be a multiple or a divisor of group={group}; values "
                f"that do: {_listed(fits)}",
            )
        if pe not in _divisors(height):
            refuse(self, f"PE={pe} does not divide MH={height}; values that do: {_listed(_divisors(height))}")
        form, weights = self.get_nodeattr("form"), len(self.onnx_node.input) - 1
        fits = {"difference": ["p, n"], "maxmin": ["p, n", "p, n, sign"], "signed": ["p, sign"]}[form]
        if all(weights != len(names.split(", ")) for names in fits):
            refuse(self, f"form={form} with {weights} weights; it takes {' or '.join(fits)}")
        if not -3 <= self.get_nodeattr("shift") <= 3:
            refuse(self, f"shift={self.get_nodeattr('shift')} is not within -3 to 3")
        if self.get_nodeattr("floor") and (form == "maxmin" or self.get_input_datatype().signed()):
            refuse(
                self,
                f"floor with form={form} and inputDataType={self.get_nodeattr('inputDataType')}; maxima start at zero "
                "in the forms difference and signed, on unsigned inputs",
            )
        for attribute, unsigned in (("inputDataType", False), ("weightDataType", True), ("outputDataType", False)):
            datatype = DataType[self.get_nodeattr(attribute)]
            # A bipolar bit stands for -1 or 1.
            if not datatype.is_integer() or datatype == DataType["BIPOLAR"] or (unsigned and datatype.signed()):
                kind = "unsigned integer, such as UINT4" if unsigned else "plain integer, such as UINT4 or INT4"
                refuse(self, f"{attribute}={datatype.name} is no {kind}")


def _sum_type(low: int, high: int) -> BaseDataType:
    """The smallest type for sums from ``low`` to ``high`` that also holds the threshold ``high + 1``."""
    return sum_type(low, high) if low < 0 else DataType[f"UINT{(high + 1).bit_length()}"]


def _divisors(number: int) -> list[int]:
    return [d for d in range(1, number + 1) if number % d == 0]


def _listed(numbers: list[int]) -> str:
    return ", ".join(map(str, numbers))
