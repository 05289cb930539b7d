"""RTL backend for FINN's MVAU, in the place of FINN's own, which it still has as the ``core`` "finn"."""

from pathlib import Path

import numpy as np
from finn.custom_op.fpgadataflow.hwcustomop import HWCustomOp
from finn.custom_op.fpgadataflow.rtl.matrixvectoractivation_rtl import MVAU_rtl as FinnMvau
from finn.custom_op.fpgadataflow.rtlbackend import RTLBackend
from finn.util.basic import get_dsp_block
from numpy.typing import NDArray
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.custom_op.registry import getCustomOp

from hwprune.accel.operators import resources
from hwprune.accel.operators.backend import StreamRTL
from hwprune.accel.operators.literals import packed_literal, rom_text
from hwprune.accel.operators.mac_unit import MacUnit
from hwprune.accel.operators.packing import FACTOR_BITS, MOST_BITS
from hwprune.files import write_text

VERSIONS = {"DSP48E1": 1, "DSP48E2": 2, "DSP58": 3}
"""Numbers of DSP slices, as FINN's core counts them."""


class MVAU_rtl(StreamRTL, FinnMvau):  # noqa: N801 - FINN's naming
    """A matrix-vector unit in ``mvau.sv``, its weights in a ROM.

    Attributes of the node beside FINN's: ``core``: "dsp", products in DSP slices; "lut", in LUTs; "finn", FINN's core
    and its weight memory, for parts with other slices than DSP48. ``dsp_version``: of the part, as in FINN's core; set
    when code is generated.
    """

    rtl_module = "mvau"
    rtl_sources = (
        "skid_buffer.sv",
        "row_buffer.sv",
        "vector_replay.sv",
        "rom.sv",
        "delay_line.sv",
        "adder_tree.sv",
        "dsp_chain.sv",
        "lut_products.sv",
        "mvau.sv",
    )
    loaded: NDArray | None = None
    """The weights that the code is generated for, (MH, MW)."""

    def get_nodeattr_types(self) -> dict:
        """Attributes as (type, required, default[, allowed values])."""
        return super().get_nodeattr_types() | {
            "core": ("s", False, "dsp", {"dsp", "lut", "finn"}),
            "dsp_version": ("i", False, 0),
        }

    @property
    def own(self) -> bool:
        """Whether the core is ours."""
        return self.get_nodeattr("core") != "finn"

    def check(self) -> None:
        """Refuse what the core does not do."""
        for fold, size in (("SIMD", "MW"), ("PE", "MH")):
            parts, whole = self.get_nodeattr(fold), self.get_nodeattr(size)
            if parts < 1 or whole % parts:
                self.fail(f"{fold}={parts} does not divide {size}={whole}; choose a divisor")
        for attribute in ("runtime_writeable_weights", "pumpedMemory", "pumpedCompute", "binaryXnorMode"):
            if attribute in self.get_nodeattr_types() and self.get_nodeattr(attribute):
                self.fail(f"{attribute}={self.get_nodeattr(attribute)} is not supported; set it to 0")
        if not self.get_nodeattr("noActivation") or self.get_nodeattr("TH") != 1:
            self.fail("an activation inside and TH over 1 are not supported; set noActivation=1 and TH=1")
        if self.get_nodeattr("ram_style") == "ultra":
            self.fail("ram_style=ultra: UltraRAM has no contents at start; choose block or distributed")
        x, w = self.get_input_datatype(), self.get_input_datatype(1)
        if not (x.is_integer() and w.is_integer() and w.signed()) or w.bitwidth() < 2 or "BIPOLAR" in (x.name, w.name):
            self.fail(f"inputDataType={x.name}, weightDataType={w.name}; integers, weights signed, of 2 bits at least")
        if x.bitwidth() > MOST_BITS or w.bitwidth() > FACTOR_BITS[1]:
            self.fail(f"{x.bitwidth()} by {w.bitwidth()} bits do not fit a DSP slice: {MOST_BITS} by {FACTOR_BITS[1]}")

    def generate_hdl(self, model: ModelWrapper, fpgapart: str, clk: float) -> None:
        """Write the wrapper, and the ROM's words beside it."""
        self.set_nodeattr("dsp_version", VERSIONS[get_dsp_block(fpgapart)])
        if not self.own:
            FinnMvau.generate_hdl(self, model, fpgapart, clk)
            return
        if self.get_nodeattr("dsp_version") not in FACTOR_BITS:
            self.fail(f"core={self.get_nodeattr('core')} is for DSP48 slices, {fpgapart} has others; set core=finn")
        self.check()
        self.loaded = self._weights(model)
        folder, name = self.get_nodeattr("code_gen_dir_ipgen"), self.get_verilog_top_module_name()
        write_text(Path(folder) / f"{name}_weights.dat", self._rom_text(self.loaded))
        super().generate_hdl(model, fpgapart, clk)

    def _weights(self, model: ModelWrapper) -> NDArray:
        """(MH, MW), int64."""
        tensor, datatype = self.onnx_node.input[1], self.get_input_datatype(1)
        values = model.get_initializer(tensor)
        shape = self.get_nodeattr("MW"), self.get_nodeattr("MH")
        if values is None or values.shape != shape:
            found = "no initialiser" if values is None else f"shape {values.shape}"
            self.fail(f"weights {tensor!r} have {found}; give one of shape {shape}")
        whole = values.astype(np.int64)
        if (whole != values).any() or whole.min() < datatype.min() or whole.max() > datatype.max():
            self.fail(f"weights {tensor!r} have values that are not of their type {datatype.name}")
        return whole.T

    def _rom_text(self, weights: NDArray) -> str:
        unit, bits = self.unit, self.get_input_datatype(1).bitwidth()
        parts = weights.reshape(unit.folds, unit.pe, unit.beats, unit.simd).transpose(0, 2, 1, 3)
        return rom_text((parts[..., None] >> np.arange(bits) & 1).reshape(unit.beats * unit.folds, -1))

    def rtl_parameters(self) -> dict[str, str | int]:
        """Parameters of ``mvau``; the file's name is completed by FINN and by stitching."""
        x, packing = self.get_input_datatype(), self.unit.packing
        return {
            **{name: self.get_nodeattr(name) for name in ("MW", "MH", "SIMD", "PE")},
            "X_BITS": x.bitwidth(),
            "X_SIGNED": f"1'b{int(x.signed())}",
            "W_BITS": self.get_input_datatype(1).bitwidth(),
            "OUT_BITS": self.get_output_datatype().bitwidth(),
            "WEIGHTS": f'"./{self.get_verilog_top_module_name()}_weights.dat"',
            "BLOCK": f"1'b{int(self.in_block_ram)}",
            "DSP": f"1'b{int(self.unit.dsp)}",
            "LANES": packing.lanes,
            "STEP": packing.step,
            "CHAIN": packing.chain,
            "BIAS": packed_literal(self.bias(self.loaded), self.get_output_datatype().bitwidth()),
        }

    def bias(self, weights: NDArray) -> NDArray:
        """What the unit adds to each sum, int64 (MH,): the constants that its unsigned numbers bring in, taken away."""
        x = self.get_input_datatype()
        shifted = (weights.sum(1) << x.bitwidth() - 1) if x.signed() else np.zeros(len(weights), np.int64)
        return -shifted - self.unit.surplus

    @property
    def unit(self) -> MacUnit:
        """The node in numbers."""
        return MacUnit(
            pe=self.get_nodeattr("PE"),
            simd=self.get_nodeattr("SIMD"),
            beats=self.get_nodeattr("MW") // self.get_nodeattr("SIMD"),
            folds=self.get_nodeattr("MH") // self.get_nodeattr("PE"),
            input_bits=self.get_input_datatype().bitwidth(),
            weight_bits=self.get_input_datatype(1).bitwidth(),
            sum_bits=self.get_output_datatype().bitwidth(),
            dsp=self.get_nodeattr("core") == "dsp",
            version=self.get_nodeattr("dsp_version") or 1,
        )

    @property
    def in_block_ram(self) -> bool:
        """Whether the weights are in block RAM."""
        style = self.get_nodeattr("ram_style")
        return style == "block" or (style == "auto" and resources.is_block_rom(*self.unit.rom_shape))

    def get_instream_width(self, ind: int = 0) -> int:
        """Bits of a beat; 0 for weights in a ROM."""
        return 0 if ind and self.own else super().get_instream_width(ind)

    def get_verilog_top_module_intf_names(self) -> dict:
        """Of the wrapper."""
        return (HWCustomOp if self.own else FinnMvau).get_verilog_top_module_intf_names(self)

    def get_rtl_file_list(self, abspath: bool = False) -> list[str]:
        """Operator sources, then the wrapper."""
        return (super() if self.own else super(StreamRTL, self)).get_rtl_file_list(abspath)

    def code_generation_ipi(self) -> list[str]:
        """Tcl that puts the node into a Vivado block design."""
        return (super() if self.own else super(StreamRTL, self)).code_generation_ipi()

    def execute_node(self, context, graph) -> None:
        """Simulate the RTL with ``exec_mode`` "rtlsim", else compute with NumPy."""
        if not self.own:
            FinnMvau.execute_node(self, context, graph)
        elif self.get_nodeattr("exec_mode") == "rtlsim":
            RTLBackend.execute_node(self, context, graph)
        else:
            super(FinnMvau, self).execute_node(context, graph)

    def lut_estimation(self, fpgapart: str) -> int:
        """LUTs; FINN counts none for its own core."""
        return self.unit.luts(self.in_block_ram) if self.own else super().lut_estimation(fpgapart)

    def dsp_estimation(self, fpgapart: str) -> int:
        """DSP slices."""
        return self.unit.dsps if self.own else super().dsp_estimation(fpgapart)

    def bram_estimation(self, fpgapart: str) -> int:
        """18-Kbit block RAMs of the weights and of the replayed vector."""
        return self.unit.bram18(self.in_block_ram) if self.own else super().bram_estimation(fpgapart)

    def uram_estimation(self, fpgapart: str) -> int:
        """UltraRAM, which a ROM cannot be in."""
        return 0 if self.own else super().uram_estimation(fpgapart)


def choose_cores(model: ModelWrapper, part: str) -> None:
    """FINN's core where the part's DSP slices are none that ours is for, in place."""
    if VERSIONS[get_dsp_block(part)] not in FACTOR_BITS:
        for node in model.get_nodes_by_op_type("MVAU_rtl"):
            getCustomOp(node).set_nodeattr("core", "finn")
