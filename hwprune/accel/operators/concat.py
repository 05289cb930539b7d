"""RTL backend for FINN's StreamingConcat."""

from finn.custom_op.fpgadataflow.concat import StreamingConcat
from qonnx.core.datatype import DataType

from hwprune.accel.operators.backend import StreamRTL
from hwprune.accel.operators.units import concat_luts


class StreamingConcat_rtl(StreamRTL, StreamingConcat):  # noqa: N801 - FINN's naming
    """Concatenation over channels by taking turns, in ``stream_concat.sv``; inputs may differ in width and sign."""

    rtl_module = "stream_concat"
    rtl_sources = ("skid_buffer.sv", "stream_concat.sv")

    def check(self) -> None:
        """Refuse numbers of inputs, folds and data types without hardware."""
        channels, names = self.get_nodeattr("ChannelsPerStream"), self.get_nodeattr("inputDataTypes")
        inputs = len(self.onnx_node.input)
        if inputs < 2 or inputs != len(channels) or inputs != len(names):
            self.fail(
                f"{inputs} inputs, ChannelsPerStream={list(channels)}, inputDataTypes={list(names)}; "
                "give both for each of at least two inputs"
            )
        for count in channels:
            self.require_fold("SIMD", int(count))
        for i, name in enumerate(names):
            # A bipolar bit stands for -1 or +1, which no sign extension makes of it.
            if not DataType[name].is_integer() or DataType[name] == DataType["BIPOLAR"]:
                self.fail(f"inputDataTypes[{i}]={name} is no plain integer; quantise the input")

    def input_lane(self) -> int:
        """Every input has the output's width inside the module."""
        return self.get_outstream_width()

    def rtl_parameters(self) -> dict[str, str | int]:
        """Parameters of ``stream_concat``; packed ones have input 0 lowest."""
        inputs = range(len(self.onnx_node.input))
        types = [self.get_input_datatype(i) for i in inputs]
        folds = [self.get_folded_input_shape(i)[-2] for i in inputs]
        return {
            "INPUTS": len(types),
            "SIMD": self.get_nodeattr("SIMD"),
            "OUT_BITS": self.get_output_datatype().bitwidth(),
            "IN_BITS": _packed(32, [t.bitwidth() for t in types]),
            "IN_SIGNED": _packed(1, [int(t.signed()) for t in types]),
            "FOLDS": _packed(32, folds),
        }

    def lut_estimation(self, fpgapart: str) -> int:
        """LUTs."""
        inputs = len(self.onnx_node.input)
        folds = max(self.get_folded_input_shape(i)[-2] for i in range(inputs))
        return concat_luts(inputs, folds, self.get_outstream_width())


def _packed(bits: int, values: list[int]) -> str:
    return "{" + ", ".join(f"{bits}'d{value}" for value in reversed(values)) + "}"
