"""The RTL backend of `SAMVAU`."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from qonnx.core.modelwrapper import ModelWrapper

from hwprune.accel.operators import resources
from hwprune.accel.operators.backend import StreamRTL
from hwprune.accel.operators.literals import packed_literal, rom_text
from hwprune.accel.operators.samvau import SAMVAU, Codes
from hwprune.accel.operators.units import SamUnit
from hwprune.files import write_text


class SAMVAU_rtl(StreamRTL, SAMVAU):  # noqa: N801 - SpecializeLayers looks for this suffix
    """`SAMVAU` in ``samvau.sv``."""

    rtl_module = "samvau"
    rtl_sources = (
        "sam_pkg.sv",
        "skid_buffer.sv",
        "row_buffer.sv",
        "vector_replay.sv",
        "rom.sv",
        "delay_line.sv",
        "sam_extreme.sv",
        "adder_tree.sv",
        "samvau.sv",
    )
    check = SAMVAU.check
    loaded: Codes | None = None
    """The weights that the code is generated for."""

    def generate_hdl(self, model: ModelWrapper, fpgapart: str, clk: float) -> None:
        """Write the wrapper, and the ROM's words beside it."""
        self.check()
        self.loaded = self.codes(model)
        self.check_sums(self.loaded)
        folder, name = self.get_nodeattr("code_gen_dir_ipgen"), self.get_verilog_top_module_name()
        write_text(Path(folder) / f"{name}_codes.dat", self.rom_text(self.loaded))
        super().generate_hdl(model, fpgapart, clk)

    def rtl_parameters(self) -> dict[str, str | int]:
        """Parameters of ``samvau``; the file's name is completed by FINN and by stitching."""
        shift, x = self.get_nodeattr("shift"), self.get_input_datatype()
        return {
            "MW": self.get_nodeattr("MW"),
            "MH": self.get_nodeattr("MH"),
            "SIMD": self.get_nodeattr("SIMD"),
            "PE": self.get_nodeattr("PE"),
            "GROUP": self.get_nodeattr("group"),
            "SETS": self.sets,
            "MIN": f"1'b{int(self.get_nodeattr('form') == 'maxmin')}",
            "SIGNS": f"1'b{int(self.has_signs)}",
            "X_BITS": x.bitwidth(),
            "X_SIGNED": f"1'b{int(x.signed())}",
            "Q_BITS": self.get_input_datatype(1).bitwidth(),
            "X_SHIFT": max(0, -shift),
            "Q_SHIFT": max(0, shift),
            "OUT_BITS": self.get_output_datatype().bitwidth(),
            "CODES": f'"./{self.get_verilog_top_module_name()}_codes.dat"',
            "BLOCK": f"1'b{int(self.in_block_ram)}",
            "BIAS": packed_literal(self.bias(self.loaded), self.get_output_datatype().bitwidth()),
        }

    def bias(self, codes: Codes) -> NDArray:
        """What the unit adds to each sum, int64 (MH,): the constants that ``samvau.sv`` leaves out of its terms."""
        up, x = max(0, -self.get_nodeattr("shift")), self.get_input_datatype()
        top = (1 << x.bitwidth()) - 1
        least = -(top + 1) // 2 if x.signed() else 0
        inverse = (1 << x.bitwidth() + up) - 1  # ~A is inverse - A
        constant = {"signed": least, "difference": 0, "maxmin": top + 2 * least}[self.get_nodeattr("form")] << up
        sign = np.ones((len(codes.p), self.get_nodeattr("MW") // self.get_nodeattr("group")), np.int64)
        sign = sign if codes.sign is None else codes.sign
        return np.where(sign > 0, constant - (self.sets - 1) * inverse, -constant - inverse).sum(1)

    def rom_text(self, codes: Codes) -> str:
        """The ROM's words for ``$readmemh``: a line a word, in the order in which the unit reads them."""
        simd, pe = self.get_nodeattr("SIMD"), self.get_nodeattr("PE")
        beats, folds = self.folds
        ones = np.arange(self.get_input_datatype(1).bitwidth())
        fields = [
            (code.reshape(folds, pe, beats, simd, 1) >> ones & 1).reshape(folds, pe, beats, -1) for code in codes.sets
        ]
        if codes.sign is not None:
            group = self.get_nodeattr("group")
            repeated = np.repeat(codes.sign < 0, group, axis=1)[:, :: min(group, simd)]
            fields.append(repeated.reshape(folds, pe, beats, -1).astype(np.int64))
        return rom_text(np.concatenate(fields, axis=-1).transpose(0, 2, 1, 3).reshape(folds * beats, -1))

    @property
    def unit(self) -> SamUnit:
        """The node in numbers."""
        beats, folds = self.folds
        return SamUnit(
            pe=self.get_nodeattr("PE"),
            simd=self.get_nodeattr("SIMD"),
            beats=beats,
            folds=folds,
            group=self.get_nodeattr("group"),
            sets=self.sets,
            signs=self.has_signs,
            shift=self.get_nodeattr("shift"),
            input_bits=self.get_input_datatype().bitwidth(),
            weight_bits=self.get_input_datatype(1).bitwidth(),
            sum_bits=self.get_output_datatype().bitwidth(),
        )

    @property
    def rom_shape(self) -> tuple[int, int]:
        """Words, and bits of a word."""
        return self.unit.rom_shape

    @property
    def in_block_ram(self) -> bool:
        """Whether the ROM is in block RAM."""
        style = self.get_nodeattr("ram_style")
        return style == "block" or (style == "auto" and resources.is_block_rom(*self.rom_shape))

    def bram_estimation(self, fpgapart: str) -> int:
        """18-Kbit block RAMs of the ROM and of the replayed vector."""
        return self.unit.bram18(self.in_block_ram)

    def lut_estimation(self, fpgapart: str) -> int:
        """LUTs."""
        return self.unit.luts(self.in_block_ram)
