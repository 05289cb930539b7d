// The units that benchmarks/sam_logic.py compares, against what they are to compute. What a unit shows some enabled cycles later must be
// the model's sum of that beat, for all beats; the number of cycles is found by trying.
`define SAMPLES 1500
`define MOST_LATENCY 24

// Finds how late `got` is after `wanted`.
module late_by #(
    parameter int unsigned BITS = 8,
    parameter              NAME = "",
    parameter int unsigned SIZE = 0,
    parameter int unsigned KIND = 0
) (
    input logic            clk,
    input logic            en,
    input logic [BITS-1:0] wanted,
    input logic [BITS-1:0] got
);
    logic [BITS-1:0] history[`SAMPLES];
    int unsigned     wrong[`MOST_LATENCY];
    int unsigned     beat = 0, best;
    logic            finished = 0;
    always @(posedge clk) begin
        if (en && beat < `SAMPLES) begin
            history[beat] <= wanted;
            beat          <= beat + 1;
            if (beat >= 100)
                for (int unsigned late = 1; late < `MOST_LATENCY; late++) if (got !== history[beat-late]) wrong[late] <= wrong[late] + 1;
        end
        if (beat == `SAMPLES && !finished) begin
            finished <= 1;
            best = 1;
            for (int unsigned late = 1; late < `MOST_LATENCY; late++) if (wrong[late] < wrong[best]) best = late;
            $display("%s %0d %0d: late %0d, wrong %0d", NAME, KIND, SIZE, best, wrong[best]);
        end
    end
    initial for (int i = 0; i < `MOST_LATENCY; i++) wrong[i] = 0;
endmodule

module mac_case #(
    parameter int unsigned METHOD = 0,
    parameter int unsigned SIMD   = 16
) (
    input logic clk
);
    logic                 en = 0, valid = 0, first = 1;
    logic [SIMD-1:0][3:0] x, w;
    logic [16:0]          acc, sum = 0, wanted;
    mac_pe #(.SIMD(SIMD), .ACC_BITS(17), .METHOD(METHOD)) dut (.clk, .en, .valid, .first, .x, .w, .acc);

    always_comb begin
        wanted = first ? '0 : sum;
        for (int i = 0; i < int'(SIMD); i++) wanted += 17'(int'(x[i]) * (w[i][3] ? int'(w[i]) - 16 : int'(w[i])));
        if (!valid) wanted = sum;
    end
    always @(posedge clk) if (en) sum <= wanted;
    always @(negedge clk) begin
        en    <= $urandom() % 4 != 0;
        valid <= $urandom() % 8 != 0;
        first <= $urandom() % 10 == 0;
        for (int i = 0; i < int'(SIMD); i++) {x[i], w[i]} <= 8'($urandom());
    end
    late_by #(.BITS(17), .NAME("mac"), .SIZE(SIMD), .KIND(METHOD)) check (.clk, .en, .wanted, .got(acc));
endmodule

module sam_case #(
    parameter int unsigned SIMD    = 16,
    parameter int unsigned GROUP   = 4,
    parameter int unsigned FORM    = 0,    // 0 signed, 1 difference, 2 maxmin
    parameter int unsigned Q_BITS  = 4,    // 0: weights -1 and 1, in a module of its own
    parameter int unsigned Q_SHIFT = 0
) (
    input logic clk
);
    localparam int unsigned SETS  = FORM == 0 ? 1 : 2;
    localparam int unsigned TERMS = GROUP == 0 ? 1 : SIMD / GROUP;
    localparam int unsigned LEAF  = SIMD / TERMS;
    logic                           en = 0, valid = 0, first = 1;
    logic [SIMD-1:0][3:0]           x;
    logic [SETS-1:0][SIMD-1:0][3:0] q;
    logic [TERMS-1:0]               negative;
    logic [11:0]                    acc, wanted, sum = 0;
    if (Q_BITS == 0) begin : g_binary
        binary_pe #(.SIMD(SIMD), .ACC_BITS(12)) dut (.clk, .en, .valid, .first, .x, .negative, .acc);
    end else begin : g_codes
        logic [SETS-1:0][SIMD-1:0][Q_BITS-1:0] codes;
        for (genvar s = 0; s < SETS; s++) begin : g_set
            for (genvar i = 0; i < SIMD; i++) begin : g_code
                assign codes[s][i] = q[s][i][Q_BITS-1:0];
            end
        end
        sam_pe #(
            .SIMD(SIMD), .GROUP(GROUP), .SETS(SETS), .MIN(FORM == 2), .SIGNS(FORM == 0), .Q_BITS(Q_BITS), .Q_SHIFT(Q_SHIFT),
            .ACC_BITS(12)
        ) dut (
            .clk, .en, .valid, .first, .x, .q(codes), .negative, .acc
        );
    end

    function automatic int half(int s, int t);
        int greatest = 0;
        for (int i = t * int'(LEAF); i < (t + 1) * int'(LEAF); i++) begin
            int value = (FORM == 2 && s == 1 ? 15 - int'(x[i]) : int'(x[i])) - (int'(q[s][i]) << Q_SHIFT);
            if (value > greatest) greatest = value;
        end
        return greatest;
    endfunction

    // Of the whole field, the greatest so far.
    int high = 0, low = 0, next_high, next_low, term;
    logic sign = 0, next_sign;
    always_comb begin
        {next_high, next_low, next_sign} = {high, low, sign};
        wanted = sum;
        term   = 0;
        if (valid && GROUP == 0) begin
            next_sign = negative[0];
            next_high = first || half(0, 0) > high ? half(0, 0) : high;
            if (FORM != 0) next_low = first || half(1, 0) > low ? half(1, 0) : low;
            wanted = FORM != 0 ? 12'(next_high - next_low) : 12'(next_sign ? 15 - next_high : next_high);
        end
        if (valid && GROUP != 0) begin
            // ~A is 15 - A; these constants are a layer's, not a unit's.
            for (int t = 0; t < int'(TERMS); t++)
                term += FORM != 0 ? half(0, t) + 15 - half(1, t) : negative[t] ? 15 - half(0, t) : half(0, t);
            wanted = (first ? '0 : sum) + 12'(term);
        end
    end
    always @(posedge clk) if (en) {sum, high, low, sign} <= {wanted, next_high, next_low, next_sign};
    always @(negedge clk) begin
        en       <= $urandom() % 4 != 0;
        valid    <= $urandom() % 8 != 0;
        first    <= $urandom() % 10 == 0;
        negative <= TERMS'($urandom());
        for (int i = 0; i < int'(SIMD); i++) begin
            x[i] <= 4'($urandom());
            for (int s = 0; s < int'(SETS); s++) q[s][i] <= 4'($urandom() % 2 == 0 ? $urandom() % (1 << Q_BITS) : $urandom() % 3 % (1 << Q_BITS));
        end
    end
    late_by #(.BITS(12), .NAME("sam"), .SIZE(SIMD), .KIND(100 * Q_BITS + 10 * FORM + GROUP)) check (.clk, .en, .wanted, .got(acc));
endmodule

module wide_case #(
    parameter int unsigned SIMD = 16
) (
    input logic clk
);
    logic                 en = 0, first = 1;
    logic [SIMD-1:0][3:0] x, p, n;
    logic [6:0]           acc, wanted;
    int                   high = 0, low = 0, next_high, next_low;
    sam_wide_pe #(.SIMD(SIMD)) dut (.clk, .en, .first, .x, .p, .n, .acc);
    function automatic int number(logic [3:0] bits);
        return bits[3] ? int'(bits) - 16 : int'(bits);
    endfunction
    always_comb begin
        next_high = first ? -100 : high;
        next_low  = first ? 100 : low;
        for (int i = 0; i < int'(SIMD); i++) begin
            if (int'(x[i]) + number(p[i]) > next_high) next_high = int'(x[i]) + number(p[i]);
            if (int'(x[i]) + number(n[i]) < next_low) next_low = int'(x[i]) + number(n[i]);
        end
        wanted = 7'(next_high + next_low);
    end
    always @(posedge clk) if (en) {high, low} <= {next_high, next_low};
    always @(negedge clk) begin
        en    <= $urandom() % 4 != 0;
        first <= $urandom() % 10 == 0;
        for (int i = 0; i < int'(SIMD); i++) {x[i], p[i], n[i]} <= 12'($urandom());
    end
    late_by #(.BITS(7), .NAME("wide"), .SIZE(SIMD)) check (.clk, .en, .wanted, .got(acc));
endmodule

module pe_bench;
    logic clk = 0;
    always #1 clk = !clk;
    for (genvar m = 0; m < 4; m++) begin : g_method
        mac_case #(.METHOD(m), .SIMD(8)) s8 (.clk);
        mac_case #(.METHOD(m), .SIMD(16)) s16 (.clk);
        mac_case #(.METHOD(m), .SIMD(32)) s32 (.clk);
    end
    for (genvar f = 0; f < 3; f++) begin : g_form
        sam_case #(.SIMD(16), .GROUP(4), .FORM(f)) g4 (.clk);
        sam_case #(.SIMD(8), .GROUP(8), .FORM(f)) g8 (.clk);
        sam_case #(.SIMD(16), .GROUP(0), .FORM(f)) g0 (.clk);
    end
    sam_case #(.SIMD(16), .GROUP(1), .Q_BITS(4)) codes_4 (.clk);
    sam_case #(.SIMD(16), .GROUP(1), .Q_BITS(2), .Q_SHIFT(2)) codes_2 (.clk);
    sam_case #(.SIMD(16), .GROUP(1), .Q_BITS(1), .Q_SHIFT(4)) ternary (.clk);
    sam_case #(.SIMD(16), .GROUP(1), .Q_BITS(0)) binary (.clk);
    wide_case #(.SIMD(16)) wide (.clk);
    initial #(`SAMPLES * 4) $finish;
endmodule
