"""HLS backend of SAMVAU."""

import numpy as np
from qonnx.core.modelwrapper import ModelWrapper

from hwprune.accel.operators.backend_hls import StreamHLS, Table, cpp_type, folded_rows
from hwprune.accel.operators.samvau import SAMVAU, Codes

_IMPLEMENTATIONS = {"block": "bram", "distributed": "lutram"}


class SAMVAU_hls(StreamHLS, SAMVAU):  # noqa: N801 - FINN's naming
    """`SAMVAU` in ``samvau.hpp``."""

    hls_header = "samvau.hpp"

    def check(self) -> None:
        """Refuse shapes, folds and data types without hardware."""
        SAMVAU.check(self)

    def hls_parameters(self) -> dict[str, int | str]:
        """Parameters of ``samvau``."""
        attributes = ("MW", "MH", "SIMD", "PE", "group", "shift")
        return {
            "VECTORS": int(np.prod(self.leading)),
            **{name.upper(): self.get_nodeattr(name) for name in attributes},
            "CODE_BITS": self.get_input_datatype(1).bitwidth(),
            "TX": cpp_type(self.get_input_datatype()),
            "TO": cpp_type(self.get_output_datatype()),
        }

    def hls_tables(self, model: ModelWrapper) -> list[Table]:
        """Distances, signs, and the constant of each output."""
        codes = self.codes(model)
        self.check_sums(codes)
        simd, pe, bits = self.get_nodeattr("SIMD"), self.get_nodeattr("PE"), self.get_input_datatype(1).bitwidth()
        tables = [
            Table(name, folded_rows(code, pe, simd), bits)
            for name, code in zip(("distances_p", "distances_n"), codes.sets, strict=False)
        ]
        if codes.sign is not None:
            groups = max(1, simd // self.get_nodeattr("group"))
            tables.append(Table("minus", folded_rows(codes.sign < 0, pe, groups), 1))
        offset = self._offset(codes).reshape(-1, pe)
        widest = int(np.abs(offset).max()).bit_length() + 1
        return [*tables, Table("offset", offset, widest, signed=True)]

    def _offset(self, codes: Codes) -> np.ndarray:
        """What is left of `hwprune.sam.neuron.distances` beside the extremes of unsigned activations, int64 (MH,)."""
        x, up = self.get_input_datatype(), max(0, -self.get_nodeattr("shift"))
        least, most = int(x.min()) << up, int(x.max()) << up
        of_group = {"maxmin": least + most, "difference": 0, "signed": least}[self.get_nodeattr("form")]
        groups = self.get_nodeattr("MW") // self.get_nodeattr("group")
        plus = np.full(len(codes.p), groups) if codes.sign is None else codes.sign.sum(-1)
        return of_group * plus.astype(np.int64)

    def hls_call(self) -> str:
        """Tables that a form does not have are replaced by one that is not read."""
        second = "distances_n" if self.sets == 2 else "distances_p"
        signs = "minus" if self.has_signs else "distances_p"
        form = f"hwprune::SAM_{self.get_nodeattr('form').upper()}, {str(self.has_signs).lower()}"
        return (
            f"hwprune::samvau<{form}, VECTORS, MW, MH, SIMD, PE, GROUP, SHIFT, CODE_BITS, TX, TO>(in0_V, out0_V, "
            f"distances_p, {second}, {signs}, offset);"
        )

    def pragmas(self) -> None:
        """The ports, and the style of the ROMs."""
        super().pragmas()
        implementation = _IMPLEMENTATIONS.get(self.get_nodeattr("ram_style"))
        if implementation:
            self.code_gen_dict["$PRAGMAS$"] += [
                f"#pragma HLS BIND_STORAGE variable={name} type=ROM_1P impl={implementation}"
                for name in ("distances_p", "distances_n")[: self.sets]
            ]
