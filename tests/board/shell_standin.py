"""An accelerator to test the shell with: pipelined, with state that a frame leaves clean, and a model of it in Python.

Every output hashes the beats of the input and gives its hash at each `every`-th of them, so a beat that is lost,
doubled or of another frame changes all that follow in its frame.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hwprune.accel.design import Design, Stream
from hwprune.board.board import Board, load_board

HANGS = 0xEE
"""A frame that begins with this byte makes the accelerator take no more input until it is reset."""
BENCH = Path(__file__).with_name("shell_bench.sv")


@dataclass(frozen=True)
class StandIn:
    """Widths in bytes; output k gives a beat of `outputs[k][0]` bytes for every `outputs[k][1]` beats of the input."""

    in_bytes: int
    beats: int
    outputs: tuple[tuple[int, int], ...]
    stall_percent: int = 0
    """Chance that the input is not taken in a cycle."""

    def design(self, folder: Path) -> Design:
        """Write it as `hwprune.accel.stitch` would."""
        (folder / "rtl").mkdir(parents=True, exist_ok=True)
        (folder / "rtl" / "accelerator.sv").write_text(self._text())
        streams = [_stream("in0_V", "input", self.in_bytes, self.beats)]
        streams += [
            _stream(f"out{k}_V", "output", size, self.beats // every) for k, (size, every) in enumerate(self.outputs)
        ]
        design = Design(
            folder=folder,
            top="accelerator",
            files=("rtl/accelerator.sv",),
            streams=tuple(streams),
            fifos=(),
            operators=(),
        )
        design.save()
        return design

    def compute(self, frame: bytes) -> list[bytes]:
        """Outputs of a frame, as they come to lie in memory."""
        assert len(frame) == self.in_bytes * self.beats
        results = []
        for size, every in self.outputs:
            mask, state, beats = (1 << 8 * size) - 1, 0, []
            for at in range(self.beats):
                beat = frame[at * self.in_bytes : (at + 1) * self.in_bytes]
                folded = 0
                for low in range(0, self.in_bytes, size):
                    folded ^= int.from_bytes(beat[low : low + size], "little")
                state = (((state << 3 | state >> 8 * size - 3) ^ folded) + 1) & mask
                if at % every == every - 1:
                    beats.append(state.to_bytes(size, "little"))
            results.append(b"".join(beats))
        return results

    def frame(self, random: np.random.Generator, hangs: bool = False) -> bytes:
        """A frame of random bytes."""
        frame = bytearray(random.bytes(self.in_bytes * self.beats))
        frame[0] = HANGS if hangs else frame[0] & 0x7F
        return bytes(frame)

    def _text(self) -> str:
        count = len(self.outputs)
        ports, body = [], []
        for k, (size, every) in enumerate(self.outputs):
            bits = 8 * size
            ports += [
                f"    output logic [{bits - 1}:0] out{k}_V_TDATA",
                f"    output logic out{k}_V_TVALID",
                f"    input logic out{k}_V_TREADY",
            ]
            slices = [
                f"{bits}'(in0_V_TDATA[{8 * low}+:{8 * min(size, self.in_bytes - low)}])"
                for low in range(0, self.in_bytes, size)
            ]
            body += [
                f"    logic [{bits - 1}:0] state{k}, queue{k}[16];",
                f"    logic [4:0] count{k};",
                f"    logic [3:0] in{k}, out{k};",
                f"    wire [{bits - 1}:0] next{k} = (({{state{k}[{bits - 4}:0], state{k}[{bits - 1}:{bits - 3}]}}) ^ "
                f"{' ^ '.join(slices)}) + 1'b1;",
                f"    wire push{k} = take && at % {every} == {every - 1};",
                f"    assign room[{k}] = !count{k}[4];",
                f"    assign out{k}_V_TVALID = count{k} != 0;",
                f"    assign out{k}_V_TDATA = queue{k}[out{k}];",
                f"    wire pop{k} = out{k}_V_TVALID && out{k}_V_TREADY;",
                "    always_ff @(posedge ap_clk) begin",
                f"        if (take) state{k} <= last ? '0 : next{k};",
                f"        if (push{k}) queue{k}[in{k}] <= next{k};",
                f"        count{k} <= count{k} + 5'(push{k}) - 5'(pop{k});",
                f"        in{k} <= in{k} + 4'(push{k});",
                f"        out{k} <= out{k} + 4'(pop{k});",
                "        if (!ap_rst_n) begin",
                f"            state{k} <= '0; count{k} <= '0; in{k} <= '0; out{k} <= '0;",
                "        end",
                "    end",
            ]
        return "\n".join(
            [
                "module accelerator (",
                "    input logic ap_clk, ap_rst_n,",
                f"    input logic [{8 * self.in_bytes - 1}:0] in0_V_TDATA,",
                "    input logic in0_V_TVALID,",
                "    output logic in0_V_TREADY,",
                ",\n".join(ports),
                ");",
                "    logic hung;",
                "    int unsigned at, random;",
                f"    logic [{count - 1}:0] room;",
                f"    wire open = &room && !hung && int'(random % 100) >= {self.stall_percent};",
                "    wire take = in0_V_TVALID && in0_V_TREADY;",
                f"    wire last = at == {self.beats - 1};",
                "    assign in0_V_TREADY = open;",
                "    always_ff @(posedge ap_clk) begin",
                "        random <= random * 32'd1664525 + 32'd1013904223 >> 1;",
                f"        if (take && at == 0 && in0_V_TDATA[7:0] == 8'h{HANGS:02x}) hung <= 1'b1;",
                "        if (take) at <= last ? '0 : at + 1;",
                "        if (!ap_rst_n) begin hung <= 1'b0; at <= '0; random <= 32'd1; end",
                "    end",
                *body,
                "endmodule",
                "",
            ]
        )


def board_with(data_bits: int, address_bits: int) -> Board:
    """A board whose memory port has these widths."""
    board = load_board("pynq-z2")
    ports = board.ports.model_copy(update={"data_bits": data_bits, "address_bits": address_bits})
    return board.model_copy(update={"ports": ports})


def _stream(name: str, role: str, size: int, beats: int) -> Stream:
    return Stream(
        name=name,
        role=role,
        tensor=name,
        producer=None if role == "input" else "node",
        consumer="node" if role == "input" else None,
        datatype=f"UINT{8 * size}",
        normal_shape=(1, 1, beats, 1),
        folded_shape=(1, 1, beats, 1, 1),
        bits=8 * size,
    )
