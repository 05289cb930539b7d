"""What the operators share: FINN's RTLBackend around one of our SystemVerilog modules."""

from pathlib import Path
from typing import ClassVar, NoReturn

from finn.custom_op.fpgadataflow.hwcustomop import HWCustomOp
from finn.custom_op.fpgadataflow.rtlbackend import RTLBackend

from hwprune.accel.operators.wrapper import verilog_wrapper
from hwprune.accel.sources import rtl_dir
from hwprune.errors import UserError
from hwprune.files import write_text


def refuse(operator: HWCustomOp, message: str) -> NoReturn:
    """Raise UserError with the node's name before ``message``."""
    raise UserError(f"node {operator.onnx_node.name!r} ({operator.onnx_node.op_type}): {message}")


class StreamRTL(RTLBackend):
    """RTL backend of a streaming operator; comes before the operator's base class among the bases.

    A subclass names its module and sources, gives the module's parameters, and refuses attributes without hardware.
    """

    rtl_module: ClassVar[str]
    rtl_sources: ClassVar[tuple[str, ...]]

    def rtl_parameters(self) -> dict[str, str | int]:
        """Parameters of the module as Verilog constant expressions."""
        raise NotImplementedError

    def check(self) -> None:
        """Raise UserError if the node's attributes have no hardware."""

    def fail(self, message: str) -> NoReturn:
        """Raise UserError with the node's name before ``message``."""
        refuse(self, message)

    def require_fold(self, attribute: str, channels: int) -> None:
        """Raise UserError unless the fold ``attribute`` divides ``channels``."""
        fold = self.get_nodeattr(attribute)
        if fold < 1 or channels % fold:
            self.fail(f"{attribute}={fold} does not divide {channels} channels; choose a divisor")

    def generate_hdl(self, model, fpgapart: str, clk: float) -> None:
        """Write the wrapper into ``code_gen_dir_ipgen``; part and clock do not matter here."""
        self.check()
        name = self.get_verilog_top_module_name()
        # The node may be renamed later; the module may not.
        self.set_nodeattr("gen_top_module", name)
        folder = self.get_nodeattr("code_gen_dir_ipgen")
        write_text(Path(folder) / f"{name}.v", self.wrapper(name))
        self.set_nodeattr("ipgen_path", folder)
        self.set_nodeattr("ip_path", folder)

    def wrapper(self, name: str) -> str:
        """Verilog text of the module that FINN stitches, called ``name``."""
        return verilog_wrapper(
            name,
            self.rtl_module,
            self.rtl_parameters(),
            # Weights have no stream.
            [width for i in range(len(self.onnx_node.input)) if (width := self.get_instream_width(i))],
            [self.get_outstream_width(i) for i in range(len(self.onnx_node.output))],
            lane=self.input_lane(),
        )

    def input_lane(self) -> int | None:
        """Bits of each input inside the module, where they differ from the stream's own."""
        return None

    def get_rtl_file_list(self, abspath: bool = False) -> list[str]:
        """Operator sources, then the wrapper; with ``abspath`` as absolute paths."""
        sources, folder = "", ""
        if abspath:
            sources, folder = f"{rtl_dir()}/", f"{self.get_nodeattr('code_gen_dir_ipgen')}/"
        return [f"{sources}{file}" for file in self.rtl_sources] + [f"{folder}{self.get_nodeattr('gen_top_module')}.v"]

    def code_generation_ipi(self) -> list[str]:
        """Tcl that puts the node into a Vivado block design."""
        commands = [f"add_files -norecurse {file}" for file in self.get_rtl_file_list(abspath=True)]
        top = self.get_nodeattr("gen_top_module")
        return [*commands, f"create_bd_cell -type module -reference {top} {self.onnx_node.name}"]

    def execute_node(self, context, graph) -> None:
        """Simulate the RTL with ``exec_mode`` "rtlsim", else compute with NumPy."""
        if self.get_nodeattr("exec_mode") == "rtlsim":
            super().execute_node(context, graph)
        else:
            super(RTLBackend, self).execute_node(context, graph)
