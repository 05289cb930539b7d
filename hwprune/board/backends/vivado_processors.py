"""The processor's block in Vivado's block design: settings, pins and address segments, by family."""

import re
from dataclasses import dataclass

from hwprune.board.board import Board
from hwprune.errors import UserError


@dataclass(frozen=True)
class Processor:
    """A processor's block.

    Attributes
    ----------
    block
        Its name in Vivado's catalogue, without the version.
    settings
        Properties of the block, without ``CONFIG.``.
    clock, reset
        Pins that give the accelerator's clock, and the reset that belongs to it (active low).
    control_clock, data_clock
        Pins that take the clock of the two ports.
    memory_segment
        Where the memory lies, seen from the data port.
    """

    block: str
    settings: dict[str, str]
    clock: str
    reset: str
    control_clock: str
    data_clock: str
    memory_segment: str


def processor(board: Board, clock_mhz: float) -> Processor:
    """The block of a board, with the ports that the board names and no others.

    Raises
    ------
    UserError
        If there is no processor, or it has no such ports.
    """
    if board.ports is None:
        raise UserError(f"board {board.name} ({board.family}) has no processor that Vivado could connect")
    return _zynq_7000(board, clock_mhz) if board.family == "zynq-7000" else _zynq_ultrascale(board, clock_mhz)


def _zynq_7000(board: Board, clock_mhz: float) -> Processor:
    ports = board.ports
    control = _which(board, "control", [f"M_AXI_GP{i}" for i in range(2)])
    data = _which(board, "data", [f"S_AXI_HP{i}" for i in range(4)])
    _which(board, "interrupt", ["IRQ_F2P"])
    settings = {
        "PCW_CRYSTAL_PERIPHERAL_FREQMHZ": f"{board.clock.reference_mhz:g}",
        "PCW_FPGA0_PERIPHERAL_FREQMHZ": f"{clock_mhz:g}",
        "PCW_FPGA_FCLK0_ENABLE": "1",
        "PCW_EN_CLK0_PORT": "1",
        "PCW_EN_RST0_PORT": "1",
        **{f"PCW_USE_M_AXI_GP{i}": str(int(i == control)) for i in range(2)},
        **{f"PCW_USE_S_AXI_HP{i}": str(int(i == data)) for i in range(4)},
        f"PCW_S_AXI_HP{data}_DATA_WIDTH": str(ports.data_bits),
        "PCW_USE_FABRIC_INTERRUPT": "1",
        "PCW_IRQ_F2P_INTR": "1",
    }
    return Processor(
        "xilinx.com:ip:processing_system7", settings, "FCLK_CLK0", "FCLK_RESET0_N", f"{ports.control}_ACLK",
        f"{ports.data}_ACLK", f"{ports.data}/HP{data}_DDR_LOWOCM",
    )  # fmt: skip


def _zynq_ultrascale(board: Board, clock_mhz: float) -> Processor:
    ports = board.ports
    masters = ["M_AXI_HPM0_FPD", "M_AXI_HPM1_FPD", "M_AXI_HPM0_LPD"]
    slaves = ["S_AXI_HPC0_FPD", "S_AXI_HPC1_FPD", *(f"S_AXI_HP{i}_FPD" for i in range(4))]
    control, data = _which(board, "control", masters), _which(board, "data", slaves)
    interrupt = _which(board, "interrupt", ["pl_ps_irq0", "pl_ps_irq1"])
    settings = {
        "PSU__PSS_REF_CLK__FREQMHZ": f"{board.clock.reference_mhz:g}",
        "PSU__FPGA_PL0_ENABLE": "1",
        "PSU__CRL_APB__PL0_REF_CTRL__FREQMHZ": f"{clock_mhz:g}",
        "PSU__USE__FABRIC__RST": "1",
        **{f"PSU__USE__M_AXI_GP{i}": str(int(i == control)) for i in range(len(masters))},
        f"PSU__MAXIGP{control}__DATA_WIDTH": "32",
        **{f"PSU__USE__S_AXI_GP{i}": str(int(i == data)) for i in range(len(slaves))},
        f"PSU__SAXIGP{data}__DATA_WIDTH": str(ports.data_bits),
        f"PSU__USE__IRQ{interrupt}": "1",
    }
    short = re.sub(r"S_AXI_(\w+)_FPD", r"\1", ports.data)
    return Processor(
        "xilinx.com:ip:zynq_ultra_ps_e", settings, "pl_clk0", "pl_resetn0", _clock_of(ports.control),
        _clock_of(ports.data), f"SAXIGP{data}/{short}_DDR_LOW",
    )  # fmt: skip


def _clock_of(port: str) -> str:
    """M_AXI_HPM0_FPD -> maxihpm0_fpd_aclk."""
    return port.lower().replace("_axi_", "axi") + "_aclk"


def _which(board: Board, use: str, there_are: list[str]) -> int:
    """The number of the port that the board names for a use."""
    port = getattr(board.ports, use)
    if port not in there_are:
        raise UserError(
            f"board {board.name}: ports.{use}: {port!r} is none of the ports of a {board.family} that can be used: "
            f"{', '.join(there_are)}"
        )
    return there_are.index(port)
