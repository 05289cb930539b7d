"""What the operators' HLS backends share: FINN's HLSBackend around one of our C++ templates.

A node becomes three files: its parameters, its tables (weights, thresholds) and the top function for Vitis HLS. The
simulation level `csim` compiles the same files with g++.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
from finn.custom_op.fpgadataflow import templates
from finn.custom_op.fpgadataflow.hlsbackend import HLSBackend
from numpy.typing import NDArray
from qonnx.core.datatype import BaseDataType, DataType
from qonnx.core.modelwrapper import ModelWrapper

from hwprune.accel.operators.backend import refuse
from hwprune.accel.sources import hls_dir
from hwprune.files import write_text

WIDEST = 1 << 15
"""Bits of the widest integer of ap_int.h."""


@dataclass(frozen=True)
class Table:
    """Constants of a node: a static array, a ROM in hardware.

    Attributes
    ----------
    name
        Of the array.
    values
        Integers, of the array's shape.
    bits, signed
        Of an entry.
    """

    name: str
    values: NDArray
    bits: int
    signed: bool = False

    def cpp(self) -> str:
        """The definition in C++."""
        extents = "".join(f"[{extent}]" for extent in self.values.shape)
        kind = f"hwprune::Constant<{self.bits}, {str(self.signed).lower()}>::type"
        return f"static const {kind} {self.name}{extents} = {_braced(self.values.tolist())};\n"


class StreamHLS(HLSBackend):
    """HLS backend of a streaming operator; comes before the operator's base class among the bases.

    A subclass names the header with its template, gives parameters, tables and the call, and refuses attributes
    without hardware.
    """

    hls_header: ClassVar[str]

    def hls_parameters(self) -> dict[str, int | str]:
        """Constants (int) and types (C++ type) of the node, by name."""
        raise NotImplementedError

    def hls_tables(self, model: ModelWrapper) -> list[Table]:
        """The node's constants."""
        return []

    def hls_call(self) -> str:
        """The statement that runs the template on the ports."""
        raise NotImplementedError

    def check(self) -> None:
        """Raise UserError if the node's attributes have no HLS twin."""

    def hls_files(self, model: ModelWrapper) -> dict[str, str]:
        """Name and text of the node's files; the one called ``top_<node>.cpp`` includes the others.

        Raises
        ------
        UserError
            If the node has no HLS twin with these attributes.
        """
        self.check()
        name = self.top_name
        files = {self._header("parameters"): self._parameters_text()}
        tables = self.hls_tables(model)
        if tables:
            files[self._header("tables")] = _guarded(
                f"{name}_tables", f'#include "{self.hls_header}"\n\n' + "\n".join(table.cpp() for table in tables)
            )
        self.global_includes()
        self.code_gen_dict["$GLOBALS$"] += [f'#include "{file}"' for file in files]
        self.blackboxfunction()
        self.pragmas()
        self.docompute()
        files[f"top_{name}.cpp"] = self._filled(TOP, AP_INT_MAX_W=[str(self.get_ap_int_max_w())])
        return files

    @property
    def top_name(self) -> str:
        """Name of the top function."""
        return re.sub(r"\W", "_", self.onnx_node.name)

    @property
    def ports(self) -> dict[str, int]:
        """Bits of each stream, by the name of its port; inputs first."""
        inputs = {f"in{i}_V": self.get_instream_width(i) for i in self.stream_inputs}
        return inputs | {f"out{i}_V": self.get_outstream_width(i) for i in range(len(self.onnx_node.output))}

    @property
    def stream_inputs(self) -> range:
        """Inputs that are streams; tables come behind them."""
        return range(1)

    def code_generation_ipgen(self, model: ModelWrapper, fpgapart: str, clk: float) -> None:
        """Write the files and FINN's script for Vitis HLS into ``code_gen_dir_ipgen``."""
        folder = Path(self.get_nodeattr("code_gen_dir_ipgen"))
        for file, text in self.hls_files(model).items():
            write_text(folder / file, text)
        script = self._filled(
            templates.ipgentcl_template,
            PROJECTNAME=[f"project_{self.top_name}"],
            HWSRCDIR=[str(folder)],
            FPGAPART=[fpgapart],
            TOPFXN=[self.top_name],
            CLKPERIOD=[str(clk)],
            DEFAULT_DIRECTIVES=self.ipgen_default_directives(),
            EXTRA_DIRECTIVES=self.ipgen_extra_directives(),
            FINNHLSLIB=[str(hls_dir())],
            ATTENTIONHLSLIB=[str(hls_dir())],
        )
        write_text(folder / f"hls_syn_{self.top_name}.tcl", script)

    def global_includes(self) -> None:
        """The operator's template."""
        self.code_gen_dict["$GLOBALS$"] = [f'#include "{self.hls_header}"']

    def defines(self, var: str) -> None:
        """None: parameters are constants of the language."""
        self.code_gen_dict["$DEFINES$"] = []

    def blackboxfunction(self) -> None:
        """The signature of the top function."""
        streams = ", ".join(f"hls::stream<ap_uint<{bits}> >& {port}" for port, bits in self.ports.items())
        self.code_gen_dict["$BLACKBOXFUNCTION$"] = [f"void {self.top_name}({streams})"]

    def pragmas(self) -> None:
        """AXI-Stream ports, and a function that runs for ever."""
        lines = [f"#pragma HLS INTERFACE axis port={port}" for port in self.ports]
        self.code_gen_dict["$PRAGMAS$"] = [*lines, "#pragma HLS INTERFACE ap_ctrl_none port=return"]

    def docompute(self) -> None:
        """The call of the template."""
        lines = [f"    using namespace {self.top_name}_parameters;", f"    {self.hls_call()}"]
        self.code_gen_dict["$DOCOMPUTE$"] = lines

    def get_ap_int_max_w(self) -> int:
        """Bits of the widest integer, but at least ap_int.h's own limit."""
        widest = max(1024, *self.ports.values())
        if widest > WIDEST:
            refuse(self, f"a beat of {widest} bits is wider than the {WIDEST} of ap_int.h; take smaller folds")
        return widest

    def execute_node(self, context, graph) -> None:
        """Compute as the operator's base class does, without a compiler; FINN's own way in its two modes."""
        if self.get_nodeattr("exec_mode"):
            super().execute_node(context, graph)
        else:
            super(HLSBackend, self).execute_node(context, graph)

    def _header(self, kind: str) -> str:
        return f"{self.top_name}_{kind}.hpp"

    def _parameters_text(self) -> str:
        lines = [f"namespace {self.top_name}_parameters {{"]
        for name, value in self.hls_parameters().items():
            lines.append(f"typedef {value} {name};" if isinstance(value, str) else f"const int {name} = {value};")
        return _guarded(f"{self.top_name}_parameters", "\n".join(["#include <ap_int.h>", "", *lines, "}", ""]))

    def _filled(self, template: str, **texts: Sequence[str]) -> str:
        """A template of FINN's with the collected lines in their places."""
        for key, lines in {**self.code_gen_dict, **{f"${key}$": lines for key, lines in texts.items()}}.items():
            template = template.replace(key, "\n".join(lines))
        self.code_gen_dict.clear()
        return template


TOP = """// Made by hwprune.
#ifndef AP_INT_MAX_W
#define AP_INT_MAX_W $AP_INT_MAX_W$
#endif
$GLOBALS$

$BLACKBOXFUNCTION$ {
$PRAGMAS$
$DOCOMPUTE$
}
"""


def cpp_type(datatype: BaseDataType) -> str:
    """The type of an element in C++; a bipolar one is its bit."""
    signed = datatype.signed() and datatype != DataType["BIPOLAR"]
    return f"ap_{'int' if signed else 'uint'}<{datatype.bitwidth()}>"


def folded_rows(values: NDArray, pe: int, columns: int) -> NDArray:
    """(outputs, width) -> (output folds * width / columns, pe, columns), in the order in which a unit works."""
    height, width = values.shape
    folded = values.reshape(height // pe, pe, width // columns, columns).transpose(0, 2, 1, 3)
    return folded.reshape(-1, pe, columns).astype(np.int64)


def _guarded(name: str, text: str) -> str:
    guard = f"{name.upper()}_HPP"
    return f"// Made by hwprune.\n#ifndef {guard}\n#define {guard}\n\n{text}\n#endif\n"


def _braced(values: list | int) -> str:
    if not isinstance(values, list):
        return str(values)
    between = ", " if not isinstance(values[0], list) else ",\n"
    return "{" + between.join(map(_braced, values)) + "}"
