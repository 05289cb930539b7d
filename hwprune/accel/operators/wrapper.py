"""The Verilog module around an operator: FINN's port names outside, one instance with its parameters inside.

Vivado's block designs take a module reference to plain Verilog only, hence no SystemVerilog here.
"""

from collections.abc import Mapping, Sequence


def verilog_wrapper(
    name: str,
    module: str,
    parameters: Mapping[str, str | int],
    inputs: Sequence[int],
    outputs: Sequence[int],
    lane: int | None = None,
) -> str:
    """Verilog text of module ``name``, which instantiates ``module``.

    Parameters
    ----------
    name
        Name of the wrapper: the node's.
    module
        The operator, with ports ``in_tdata``, ``in_tvalid``, ``in_tready`` and ``out_tdata``, ``out_tvalid``,
        ``out_tready``; several streams are packed side by side, stream 0 lowest.
    parameters
        Verilog constant expressions.
    inputs, outputs
        Width of each stream in bits. TDATA outside is padded with zeros to a multiple of 8.
    lane
        Bits that each input has in the operator's ``in_tdata``, if more than its own width.
    """
    streams = [(f"in{i}_V", "input", bits) for i, bits in enumerate(inputs)]
    streams += [(f"out{i}_V", "output", bits) for i, bits in enumerate(outputs)]
    ports, padding = [], []
    for port, direction, bits in streams:
        back = "output" if direction == "input" else "input"
        padded = -(-bits // 8) * 8
        ports.append(f"    {direction} wire [{padded - 1}:0] {port}_TDATA")
        ports.append(f"    {direction} wire {port}_TVALID")
        ports.append(f"    {back} wire {port}_TREADY")
        if padded > bits and direction == "output":
            padding.append(f"    assign {port}_TDATA[{padded - 1}:{bits}] = {padded - bits}'d0;")
        elif padded > bits:
            padding.append(f"    wire unused_{port} = &{{1'b0, {port}_TDATA[{padded - 1}:{bits}]}};")

    def packed(prefix: str, count: int, signal: str) -> str:
        return "{" + ", ".join(f"{prefix}{i}_V_{signal}" for i in reversed(range(count))) + "}"

    def packed_data(prefix: str, widths: Sequence[int], lane: int | None) -> str:
        terms = []
        for i, bits in reversed(list(enumerate(widths))):
            if lane is not None and lane > bits:
                terms.append(f"{lane - bits}'d0")
            terms.append(f"{prefix}{i}_V_TDATA[{bits - 1}:0]")
        return "{" + ", ".join(terms) + "}"

    connections = {
        "ap_clk": "ap_clk",
        "ap_rst_n": "ap_rst_n",
        "in_tdata": packed_data("in", inputs, lane),
        "in_tvalid": packed("in", len(inputs), "TVALID"),
        "in_tready": packed("in", len(inputs), "TREADY"),
        "out_tdata": packed_data("out", outputs, None),
        "out_tvalid": packed("out", len(outputs), "TVALID"),
        "out_tready": packed("out", len(outputs), "TREADY"),
    }
    busses = ":".join(port for port, _, _ in streams)
    lines = [
        f"module {name} (",
        '    (* X_INTERFACE_INFO = "xilinx.com:signal:clock:1.0 ap_clk CLK" *)',
        f'    (* X_INTERFACE_PARAMETER = "ASSOCIATED_BUSIF {busses}, ASSOCIATED_RESET ap_rst_n" *)',
        "    input wire ap_clk,",
        '    (* X_INTERFACE_PARAMETER = "POLARITY ACTIVE_LOW" *)',
        "    input wire ap_rst_n,",
        ",\n".join(ports),
        ");",
        "",
        f"    {module} #(",
        ",\n".join(f"        .{key}({value})" for key, value in parameters.items()),
        "    ) impl (",
        ",\n".join(f"        .{key}({value})" for key, value in connections.items()),
        "    );",
        *padding,
        "",
        "endmodule",
        "",
    ]
    return "\n".join(lines)
