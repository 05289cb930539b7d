// a = max_i sat(u_i * 2**X_SHIFT - q_i * 2**Q_SHIFT), where sat turns what is negative into 0. All numbers are unsigned.
// A pipeline of sam_pkg::extreme_latency(N) cycles, all of which advance with `en`; nothing is reset.
//
// No operand is compared with another, and no multiplexer selects one. The maximum is found bit by bit, the highest first, with a flag
// for each operand that says whether it is still in the running:
//   running_i = the difference i is not negative
//   for each bit: a[bit] = OR_i running_i & difference_i[bit],  and if a[bit], who has a 0 there is out
// If nobody is in the running, all bits are 0: this saturates. In six-input LUTs with two outputs it is about 6 LUTs an operand of 4 bits;
// saturated differences and a tree of comparisons take nearly 8 (docs/sam-logic.md).
module sam_extreme #(
    parameter int unsigned N       = 4,
    parameter int unsigned U_BITS  = 4,
    parameter int unsigned Q_BITS  = 4,
    parameter int unsigned X_SHIFT = 0,
    parameter int unsigned Q_SHIFT = 0
) (
    input  logic                       clk,
    input  logic                       en,
    input  logic [N-1:0][U_BITS-1:0]   u,
    input  logic [N-1:0][Q_BITS-1:0]   q,
    output logic [U_BITS+X_SHIFT-1:0]  a
);

    if (N < 1 || U_BITS < 1 || Q_BITS < 1) begin : g_check
        $error("sam_extreme: N=%0d, U_BITS=%0d, Q_BITS=%0d have to be at least 1", N, U_BITS, Q_BITS);
    end

    localparam int unsigned BITS = U_BITS + X_SHIFT;
    localparam int unsigned WIDE = BITS > Q_BITS + Q_SHIFT ? BITS : Q_BITS + Q_SHIFT;

    // Registers lie behind the first quarter of the bits, for the borrows come before, behind the third, and behind the last bit. One
    // operand has nobody to compete with, and the last one only.
    localparam int unsigned FIRST  = (BITS + 3) / 4;
    localparam int unsigned SECOND = (3 * BITS + 3) / 4;

    // Differences, a plane of N bits for each bit. Bit 0 has no borrow: minuend and subtrahend of it are kept apart until it is looked
    // at, where their XOR fits into a LUT that is there anyway.
    logic [N-1:0]            running, minuend_0, subtrahend_0;
    logic [BITS-1:0][N-1:0]  difference;

    for (genvar i = 0; i < N; i++) begin : g_operand
        wire  [WIDE-1:0] minuend    = WIDE'(u[i]) << X_SHIFT;
        wire  [WIDE-1:0] subtrahend = WIDE'(q[i]) << Q_SHIFT;
        logic [BITS-1:0] bits;
        logic            borrow;

        // Written out, for a carry chain would keep the synthesis from merging borrows and rounds.
        always_comb begin
            borrow = 1'b0;
            for (int unsigned b = 0; b < WIDE; b++) begin
                if (b < BITS) bits[b] = minuend[b] ^ subtrahend[b] ^ borrow;
                borrow = minuend[b] ? subtrahend[b] & borrow : subtrahend[b] | borrow;
            end
        end

        assign running[i]      = !borrow;
        assign minuend_0[i]    = minuend[0];
        assign subtrahend_0[i] = subtrahend[0];
        for (genvar b = 0; b < BITS; b++) begin : g_bit
            assign difference[b][i] = bits[b];
        end
    end

    // g_round[r]: after r bits, with those found so far.
    for (genvar r = 0; r <= BITS; r++) begin : g_round
        localparam int unsigned CYCLES = r == 0 ? 0 : N == 1 ? int'(r == BITS) : int'(r == FIRST) + int'(r == SECOND) + int'(r == BITS);
        logic [N-1:0]           in_running, even, odd;
        logic [BITS-1:0][N-1:0] rest;
        logic [BITS-1:0]        found;

        if (r == 0) begin : g_start
            assign in_running = running;
            assign even       = minuend_0;
            assign odd        = subtrahend_0;
            assign rest       = difference;
            assign found      = '0;
        end else begin : g_bit
            localparam int unsigned B = BITS - r;
            wire  [N-1:0]           plane = B == 0 ? g_round[r-1].even ^ g_round[r-1].odd : g_round[r-1].rest[B];
            wire                    hit   = |(g_round[r-1].in_running & plane);
            wire  [N-1:0]           stay  = g_round[r-1].in_running & (plane | {N{!hit}});
            logic [BITS-1:0]        now;

            always_comb begin
                now    = g_round[r-1].found;
                now[B] = hit;
            end

            delay_line #(
                .WIDTH ((BITS + 3) * N + BITS),
                .CYCLES(CYCLES)
            ) register (
                .ap_clk(clk),
                .enable(en),
                .in    ({now, stay, g_round[r-1].even, g_round[r-1].odd, g_round[r-1].rest}),
                .out   ({found, in_running, even, odd, rest})
            );
        end
    end

    assign a = g_round[BITS].found;

    wire unused = &{1'b0, g_round[BITS].in_running, g_round[BITS].even, g_round[BITS].odd, g_round[BITS].rest};

endmodule
