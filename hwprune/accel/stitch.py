"""One SystemVerilog top from a FINN graph whose nodes all have generated RTL; no vendor tool.

FINN leaves stitching to Vivado's block design. Here the streams become named wires of one module, which Verilator can
watch and every synthesis tool can read. Generated code and library files are copied beside the top, and the memory
files they name are rewritten from absolute paths (FINN's ReplaceVerilogRelPaths) to paths within the folder.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from hwprune.accel.design import Design, Operator, Stream
from hwprune.accel.module_header import defined_modules, module_ports
from hwprune.accel.outline import Node, outline, read_node
from hwprune.errors import UserError
from hwprune.files import atomic_folder, write_text

if TYPE_CHECKING:
    from onnx import NodeProto
    from qonnx.core.modelwrapper import ModelWrapper

SOURCES = "rtl"
"""Sub-folder with every source but FINN's own intermediate files."""
PUBLIC = "/* verilator public_flat_rd */"
MEMSTREAM = ("memstream/hdl/memstream_axi.sv", "memstream/hdl/memstream.sv", "axi/hdl/axilite.sv")
"""What FINN's weight memory needs of its RTL library."""
UNUSED_INPUTS = re.compile(r"s_axilite_\w+|s_axis_0_t(valid|data)|ap_clk2x|in1_V_T(VALID|DATA)")
"""Ports for writing parameters at run time, choosing among sets of weights, and a doubled clock: tied to zero."""
UNUSED_BY_OPERATOR = {"Thresholding_rtl": re.compile(r"in1_V_T(VALID|DATA)")}
"""Likewise, where the name alone does not tell: thresholds choose among their sets by a stream."""
GAUGE = "fifo_gauge.sv"
"""A FIFO without limit that FINN puts in its place under `FINN_SIMULATION`; not synthesisable, not used here."""
DSP_VERSION = re.compile(r"\bparameter\s+VERSION\s*=\s*(\d+)")
"""In the wrapper of FINN's MVAU: 1 for DSP48E1, 2 for DSP48E2, 3 for DSP58."""
COUNT_BITS = 32
"""Width of a FIFO's count and maxcount ports in FINN's template."""


def stitch(model: ModelWrapper, folder: Path | str, *, top: str = "accelerator") -> Design:
    """Write one SystemVerilog top that connects all nodes of a graph, and the sources it needs.

    Parameters
    ----------
    model
        FINN graph with only `*_rtl` nodes, width converters and FIFOs inserted, code generated (PrepareIP).
    folder
        Where the design comes to lie: sources in `rtl/`, the description in `design.json`.
    top
        Name of the top module. Its ports are `ap_clk`, `ap_rst_n`, and `inK_V_*`, `outK_V_*` in the order of the
        graph's inputs and outputs.

    Raises
    ------
    UserError
        A node without RTL or generated code, a stream with several readers or with two widths, a port nobody drives,
        or a file that is not there. The message names the node.
    """
    folder = Path(folder).expanduser().resolve()
    nodes = [_read_node(model, node) for node in model.graph.node]
    plan = outline(model, top)
    streams = plan.streams
    by_tensor = {stream.tensor: stream for stream in streams}
    folder.mkdir(parents=True, exist_ok=True)
    with atomic_folder(folder / SOURCES) as new:
        collected = _Sources(new)
        for node in nodes:
            collected.add(node)
        text = _top_text(top, nodes, streams, by_tensor, collected)
        write_text(new / f"{top}.sv", text)
    files = sorted(collected.files, key=lambda file: not Path(file).stem.endswith("_pkg"))
    operators = tuple(_with_core(operator, node) for operator, node in zip(plan.operators, nodes, strict=True))
    found = {"folder": folder, "files": (*files, f"{SOURCES}/{top}.sv"), "operators": operators}
    design = plan.model_copy(update=found)
    design.save()
    return design


@dataclass
class _Node(Node):
    """With the code that was generated for it."""

    module: str
    code: Path
    files: list[Path]


def _read_node(model: ModelWrapper, node: NodeProto) -> _Node:
    known = read_node(model, node)
    op = known.op
    code = op.get_nodeattr("code_gen_dir_ipgen")
    if not code or not Path(code).is_dir():
        raise UserError(f"{node.name}: no generated code ({code or 'code_gen_dir_ipgen is empty'}); run PrepareIP")
    for attribute in ("pumpedCompute", "pumpedMemory", "runtime_writeable_weights", "dynamic_mode"):
        if known.attribute(attribute, 0):
            raise UserError(f"{node.name}: {attribute}={op.get_nodeattr(attribute)} is not supported; set it to 0")
    made = _Node(
        **vars(known),
        module=op.get_verilog_top_module_name(),
        code=Path(code).resolve(),
        files=[file for path in op.get_rtl_file_list(abspath=True) if (file := Path(path).resolve()).name != GAUGE],
    )
    if made.has_weight_memory:
        if made.attribute("mem_mode", "") != "internal_decoupled":
            raise UserError(f"{node.name}: mem_mode={made.attribute('mem_mode', '')}; set it to internal_decoupled")
        made.files.append(made.code / f"{made.module}_memstream_wrapper.v")
        made.files += [_rtllib() / file for file in MEMSTREAM]
    if made.is_fifo and made.attribute("impl_style", "rtl") != "rtl":
        raise UserError(f"{node.name}: impl_style={made.attribute('impl_style', 'rtl')}; set it to rtl")
    for file in made.files:
        if not file.is_file():
            raise UserError(f"{node.name}: {file} is not there; run PrepareIP")
    return made


def _with_core(operator: Operator, node: _Node) -> Operator:
    """With the DSP slice that a core was generated for, which no node attribute tells: ``dsp_version``."""
    if node.op_type != "MVAU_rtl" or not node.has_weight_memory:
        return operator
    version = DSP_VERSION.search((node.code / f"{node.module}_wrapper.v").read_text())
    known = {**operator.attributes, "dsp_version": int(version[1]) if version else 0}
    return operator.model_copy(update={"attributes": known})


def _rtllib() -> Path:
    from finn.util.settings import get_settings

    return Path(get_settings().finn_rtllib).resolve()


@dataclass
class _Sources:
    """The sources of a design, copied into one folder; equal files once."""

    folder: Path
    files: list[str] = field(default_factory=list)
    _known: dict[tuple[str, str], str] = field(default_factory=dict)
    _modules: dict[str, str] = field(default_factory=dict)

    def add(self, node: _Node) -> None:
        """Copy the sources of a node and the memory files that they name."""
        for file in node.files:
            text = file.read_text()
            if file.is_relative_to(node.code):
                text = self._localise(node, text)
            if (file.name, text) in self._known:
                continue
            place = f"{self._home(node, file)}/{file.name}"
            for module in defined_modules(text):
                if module in self._modules:
                    raise UserError(
                        f"{node.name}: module {module} of {file} is also defined in {self._modules[module]}"
                    )
                self._modules[module] = place
            write_text(self.folder / place, text)
            self._known[file.name, text] = place
            self.files.append(f"{SOURCES}/{place}")

    def ports(self, node: _Node, module: str) -> dict[str, str]:
        """Ports of a module of a node."""
        if module not in self._modules:
            raise UserError(f"{node.name}: module {module} is in none of its sources")
        return module_ports((self.folder / self._modules[module]).read_text(), module)

    def _home(self, node: _Node, file: Path) -> str:
        if file.is_relative_to(node.code):
            return node.name
        if file.is_relative_to(_rtllib()):
            return f"finn-rtllib/{file.parent.relative_to(_rtllib())}"
        return "operators"

    def _localise(self, node: _Node, text: str) -> str:
        """Make the names of a node's memory files relative to the design's folder, and copy the files.

        A name may be the beginning of several (`NAME_0.dat`, `NAME_1.dat`): FINN's thresholds do that.
        """

        def replace(found: re.Match) -> str:
            prefix = found[1]
            files = [path for path in node.code.iterdir() if path.name.startswith(prefix)]
            if not files or not prefix:
                raise UserError(f"{node.name}: memory file {node.code / prefix} is not there; run PrepareIP")
            (self.folder / node.name).mkdir(exist_ok=True)
            for path in files:
                shutil.copyfile(path, self.folder / node.name / path.name)
            return f'"{SOURCES}/{node.name}/{prefix}"'

        return re.sub(rf'"(?:\./|{re.escape(str(node.code))}/)([^"/]*)"', replace, text)


def _top_text(
    top: str, nodes: Sequence[_Node], streams: Sequence[Stream], by_tensor: dict[str, Stream], sources: _Sources
) -> str:
    ports = ["input ap_clk", "input ap_rst_n"]
    wires, body = [], []
    for stream in streams:
        data = f"[{stream.bits - 1}:0]"
        if stream.role == "inner":
            wires += [f"    wire {data} {stream.name}_tdata {PUBLIC};"]
            wires += [f"    wire {stream.name}_{wire} {PUBLIC};" for wire in ("tvalid", "tready")]
    for stream in sorted(streams, key=lambda stream: (len(stream.name), stream.name)):
        if stream.role != "inner":
            ahead, back = ("input", "output") if stream.role == "input" else ("output", "input")
            ports.append(f"{ahead} [{stream.bits - 1}:0] {stream.name}_TDATA")
            ports += [f"{ahead} {stream.name}_TVALID", f"{back} {stream.name}_TREADY"]
    for node in nodes:
        if node.is_fifo:
            wires += [f"    wire [{COUNT_BITS - 1}:0] {node.name}_{which} {PUBLIC};" for which in ("count", "maxcount")]
        body += _node_text(node, by_tensor, sources)
    lines = [
        "// Made by hwprune: FINN's operators, one instance a node, one wire triple a stream.",
        "/* verilator lint_off PINCONNECTEMPTY */",  # AXI-Lite ports of memories that are never written
        f"module {top} (",
        ",\n".join(f"    {port}" for port in ports),
        ");",
        *wires,
        "",
        *body,
        f"endmodule : {top}",
        "/* verilator lint_on PINCONNECTEMPTY */",
        "",
    ]
    return "\n".join(lines)


def _node_text(node: _Node, by_tensor: dict[str, Stream], sources: _Sources) -> list[str]:
    """The instance of a node, and of its weight memory if it has one."""
    lines = []
    connected: dict[str, str] = {}
    for port, tensor in (*node.inputs.items(), *node.outputs.items()):
        stream = by_tensor[tensor]
        for wire in ("tdata", "tvalid", "tready"):
            connected[f"{port}_{wire.upper()}"] = f"{stream.name}_{wire if stream.role == 'inner' else wire.upper()}"
    if node.is_fifo:
        connected |= {which: f"{node.name}_{which}" for which in ("count", "maxcount")}
    if node.has_weight_memory:
        bits = int(node.op.get_instream_width_padded(1)) or -(-int(node.op.get_instream_width(1)) // 8) * 8
        lines.append(f"    wire [{bits - 1}:0] {node.name}_weights_tdata;")
        lines.append(f"    wire {node.name}_weights_tvalid, {node.name}_weights_tready;")
        weights = {wire: f"{node.name}_weights_{wire}" for wire in ("tdata", "tvalid", "tready")}
        memory = f"{node.module}_memstream_wrapper"
        outer = {f"m_axis_0_{wire}": name for wire, name in weights.items()}
        lines += _instance(node, memory, f"u_{node.name}_weights", outer, sources)
        connected |= {f"in1_V_{wire.upper()}": name for wire, name in weights.items()}
    return lines + _instance(node, node.module, f"u_{node.name}", connected, sources)


def _instance(node: _Node, module: str, name: str, connected: dict[str, str], sources: _Sources) -> list[str]:
    ports = sources.ports(node, module)
    connected = {"ap_clk": "ap_clk", "ap_rst_n": "ap_rst_n", **connected}
    lacking = [port for port in connected if port not in ports]
    if lacking:
        raise UserError(f"{node.name}: module {module} has no port {', '.join(lacking)}")
    lines, by_operator = [], UNUSED_BY_OPERATOR.get(node.op_type)
    for port, direction in ports.items():
        if port in connected:
            lines.append(f"        .{port}({connected[port]})")
        elif direction == "output":
            lines.append(f"        .{port}()")
        elif UNUSED_INPUTS.fullmatch(port) or (by_operator and by_operator.fullmatch(port)):
            lines.append(f"        .{port}('0)")
        else:
            raise UserError(f"{node.name}: nothing drives {direction} {port} of module {module}")
    return [f"    {module} {name} (", ",\n".join(lines), "    );"]
