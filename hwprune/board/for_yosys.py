"""FINN's RTL library as Yosys reads it: checked substitutions in a copy that is only synthesised.

Nothing of it changes what the hardware does: what Yosys refuses is said in another way, what only simulation needs
goes, and shift registers are named where Yosys would take flip-flops for them.
"""

import shutil
from pathlib import Path

from hwprune.accel.design import Design
from hwprune.accel.rtllib import Adaptation, adapt_text
from hwprune.accel.sources import rtl_dir
from hwprune.accel.stitch import SOURCES

LIBRARY = f"{SOURCES}/finn-rtllib"
SHIFT_REGISTER = "dynamic_srl.sv"
_DIRECTIVE = "a compiler directive inside a module"
_SLICE = "a slice that is empty at the first stage"
_TAP = "a shift register with a variable tap"
_STYLE = "the style of a memory, whose name Vivado reads in capitals too"
ADAPTATIONS = (
    *(
        Adaptation(file, pattern, replacement, _DIRECTIVE)
        for file in ("fifo/hdl/fifo.sv", "dwc/hdl/vpc.sv")
        for pattern, replacement in (
            (r"(?<=\);\n)`default_nettype none\n", ""),
            (r"`default_nettype wire\n(?=endmodule)", ""),
        )
    ),
    Adaptation(
        "fifo/hdl/fifo.sv",
        r"\(\* SHREG_EXTRACT = \"yes\" \*\) dat_t  A\[DEPTH_IMPL\];",
        "dat_t  a;\n\t\tdynamic_srl #(.DEPTH(DEPTH_IMPL), .WIDTH(DATA_WIDTH)) store "
        "(.clk, .shift(Rdy && ivld), .d(idat), .tap(Ptr[$left(Ptr)-1:0]), .q(a));",
        _TAP,
    ),
    Adaptation(
        "fifo/hdl/fifo.sv",
        r"\t\talways_ff @\(posedge clk\) begin\n\t\t\tif\(push\)  A <= [^\n]*\n\t\tend\n",
        "",
        _TAP,
    ),
    Adaptation("fifo/hdl/fifo.sv", r"B <= A\[Ptr\[\$left\(Ptr\)-1:0\]\];", "B <= a;", _TAP),
    *(
        Adaptation("fifo/hdl/fifo.sv", rf"assign\t{port}\s*= \w+;", f"assign {port} = 0;", "a count that nothing reads")
        for port in ("count", "maxcount")
    ),
    *(
        Adaptation(file, rf"\(\*(.*) RAM_STYLE = {value} \*\)", rf"(*\1 ram_style = {value} *)", _STYLE)
        for file, value in (
            ("fifo/hdl/fifo.sv", '"distributed"'),
            ("fifo/hdl/fifo.sv", "RAM_STYLE_EFF"),
            ("fifo/hdl/fifo.sv", "RAM_STYLE_HI"),
        )
    ),
    Adaptation(
        "thresholding/hdl/thresholding.sv",
        r'"FALSE", RAM_STYLE = RAM_STYLE',
        '"FALSE", ram_style = RAM_STYLE == "distributed"? "logic" : RAM_STYLE',
        f"{_STYLE}; LUT-RAM that is never written is logic to Yosys",
    ),
    Adaptation(
        "mvu/mvu.sv",
        r"(?s)\tif\(1\) begin : blkRecoveryWatch\n.*?\n\tend(?: : blkRecoveryWatch)?\n",
        "",
        "a watchdog of simulations",
    ),
    Adaptation(
        "thresholding/hdl/thresholding.sv",
        r"(?s)(if\(USE_CONFIG\) begin.*?addr = )p\.ptr\[\$clog2\(SETS\)\+\$clog2\(CF\)\+M-1:SN\+1\]",
        r"\1p.ptr >> (SN+1)",
        _SLICE,
    ),
    Adaptation(
        "thresholding/hdl/thresholding.sv",
        r"addr = p\.ptr\[\$clog2\(SETS\)\+\$clog2\(CF\)\+M-1:SN\+1\]",
        "addr = p.ptr >> (SN+1)",
        _SLICE,
    ),
    Adaptation("thresholding/hdl/thresholding.sv", r"p\.ptr\[M-1:SN\+1\] <", "(p.ptr[M-1:0] >> (SN+1)) <", _SLICE),
    Adaptation(
        "thresholding/hdl/thresholding.sv",
        r"(logic +)\[PE-1 : 0\]\[M-1 : 0\]  ADat\[A_DEPTH\];\n(\t\tlogic signed [^\n]*APtr[^\n]*\n)",
        "logic [PE-1:0][M-1:0]  adat, arriving;\n\\2"
        "\t\tfor(genvar pe = 0; pe < PE; pe++)  assign arriving[pe] = pipe[pe][M].ptr;\n"
        "\t\tdynamic_srl #(.DEPTH(A_DEPTH), .WIDTH(PE*M)) store "
        "(.clk, .shift(pipe[0][M].op ==? TH), .d(arriving), .tap(APtr[$left(APtr)-1:0]), .q(adat));\n",
        _TAP,
    ),
    Adaptation(
        "thresholding/hdl/thresholding.sv",
        r"\t\t\t\tforeach\(pipe\[pe\]\)  ADat\[0\][^\n]*\n\t\t\t\tfor\([^\n]*ADat\[i\] <= ADat\[i-1\];\n",
        "",
        _TAP,
    ),
    Adaptation("thresholding/hdl/thresholding.sv", r"BDat <= ADat\[APtr\];", "BDat <= adat;", _TAP),
)


def prepare(design: Design, folder: Path) -> list[str]:
    """Copy a design's sources and memory files to a folder, adapted.

    Returns
    -------
    list of str
        The sources, relative to the folder, in order.

    Raises
    ------
    UserError
        A file of FINN's library is not the one expected.
    """
    shutil.copytree(design.folder / SOURCES, folder / SOURCES)
    for adaptation in ADAPTATIONS:
        path = folder / LIBRARY / adaptation.file
        if path.is_file():
            path.write_text(adapt_text(path.read_text(), adaptation))
    shutil.copyfile(rtl_dir() / SHIFT_REGISTER, folder / SOURCES / SHIFT_REGISTER)
    return [f"{SOURCES}/{SHIFT_REGISTER}", *design.files]
