"""Texts in the form of Vivado's reports; the figures are made up."""

_RULE = "-" * 96


def utilization(luts=25358, registers=31500, tiles=105.5, dsps=120, *, newer=False, star="", clb="Slice", urams=None):
    """`report_utilization`; since 2021 there is a column more."""
    column, none = (" Prohibited |", "          0 |") if newer else ("", "")

    def row(name, used, available):
        return f"| {name:26} | {used:>7} |     0 |{none} {available:>9} | {100 * float(used) / available:5.2f} |"

    rule = "+" + "-" * 28 + "+" + "-" * 9 + "+-------+-----------+-------+"
    rows = [
        "Copyright 1986-2022 Xilinx, Inc. All Rights Reserved.", _RULE,
        "| Tool Version : Vivado v.2022.2 (lin64) Build 3671981 Fri Oct 14 04:59:54 MDT 2022",
        "| Command      : report_utilization -file utilization.rpt", "| Design       : hwprune_wrapper",
        "| Device       : xc7z020clg400-1", "| Design State : Routed", _RULE, "", "Utilization Design Information", "",
        "1. Slice Logic", "--------------", "", rule,
        f"|          Site Type         |   Used  | Fixed |{column} Available | Util% |", rule,
        row(f"{clb} LUTs{star}", luts, 53200), row("  LUT as Logic", luts - 900, 53200),
        row("  LUT as Memory", 900, 17400), row(f"{clb} Registers", registers, 106400),
        row("  Register as Flip Flop", registers, 106400), row("F7 Muxes", 35, 26600), rule, "",
        "3. Memory", "---------", "", rule, row("Block RAM Tile", tiles, 140), row("  RAMB36/FIFO*", int(tiles), 140),
        row("  RAMB18", 2 * (tiles - int(tiles)), 280),
        *([row("URAM", urams, 64)] if urams is not None else []), rule, "",
        "4. DSP", "------", "", rule, row("DSPs", dsps, 220), row("  DSP48E1 only", dsps, 220), rule, "",
    ]  # fmt: skip
    return "\n".join(rows)


def timing(setup="0.725", hold="0.021", period="10.000", clocks=(("clk_fpga_0", None),)):
    """`report_timing_summary`; a clock's slack is that of the whole where none is given."""
    frequency = 1e3 / float(period)

    def title(text):
        return [_RULE, f"| {text}", f"| {'-' * len(text)}", _RULE, ""]

    columns = "WNS(ns)      TNS(ns)  TNS Failing Endpoints  TNS Total Endpoints      WHS(ns)      THS(ns)  "
    columns += "THS Failing Endpoints  THS Total Endpoints     WPWS(ns)     TPWS(ns)  TPWS Failing Endpoints  "
    under = "-------      -------  ---------------------  -------------------      -------      -------  "
    rest = "      0.000                      0               104710        {hold}        0.000                      0  "
    rest += "             104710        3.750        0.000                       0                 42010  "
    rest = rest.format(hold=hold)
    met = "All user specified timing constraints are met." if float(setup) >= 0 else "Timing constraints are not met."
    return "\n".join([
        "Timing Summary Report", "", *title("Timer Settings"),
        "  Enable Multi Corner Analysis               :  Yes", "", "check_timing report", "",
        *title("Design Timing Summary"), f"    {columns}", f"    {under}", f"    {setup:>7}  {rest}",
        "", "", met, "", "", *title("Clock Summary"),
        "Clock       Waveform(ns)         Period(ns)      Frequency(MHz)",
        "-----       ------------         ----------      --------------",
        *(f"{name}  {{0.000 {float(period) / 2:.3f}}}     {period}        {frequency:.3f}   " for name, _ in clocks),
        "", "", *title("Intra Clock Table"), f"Clock             {columns}", f"-----             {under}",
        *(f"{name}          {slack or setup:>7}  {rest}" for name, slack in clocks), "", "",
        *title("Inter Clock Table"), f"From Clock    To Clock          {columns}", "",
        *title("Timing Details"), "Max Delay Paths",
        "Slack (MET) :             0.725ns  (required time - arrival time)", "",
    ])  # fmt: skip


LOG = """\
#-----------------------------------------------------------
# Vivado v2022.2 (64-bit)
INFO: [Common 17-206] Exiting Vivado
WARNING: [Synth 8-7129] Port TDATA[7] in module x is either unconnected or has no load
WARNING: [Synth 8-7129] Port TDATA[6] in module x is either unconnected or has no load
WARNING: [Synth 8-3332] Sequential element (a_reg[0]) is unused
CRITICAL WARNING: [Timing 38-282] The design failed to meet the timing requirements.
CRITICAL WARNING: [Timing 38-282] The design failed to meet the timing requirements.
"""
