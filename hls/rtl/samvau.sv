// Matrix-vector unit of SAM neurons (hwprune/sam/neuron.py): MH sums over groups of GROUP connections of MW inputs. It works on SIMD
// inputs and PE outputs at a time, MW/SIMD * MH/PE cycles a vector, from vector to vector without a gap.
//
// All extremes are maxima of saturating differences of unsigned numbers (sam_extreme). With u = x - xmin, TOP the greatest u, and A and
// B the maxima of the two sets of codes p and n, a group's term is, times its sign (1 or -1):
//   signed      max(x - p)              =  A + xmin
//   difference  max(x - p) - max(x - n) =  A - B
//   maxmin      max(x - p) + min(x + n) =  A - B + TOP + 2 xmin, where B is taken of TOP - u instead of u
// A floor, max(0, ...) of unsigned x, is the saturation that is there anyway. -A is ~A less a constant, so nothing but unsigned numbers,
// some of them inverted, is added. All constants together, a number for each output, are BIAS. Sums are modulo 2**OUT_BITS: no bit is
// spent on what only passes by.
//
// The codes lie in a ROM, one word for each cycle of a vector, which holds from bit 0 on for each PE: p of each input, n of each input
// (if SETS is 2), and for each group in the word whether its sign is -1 (if SIGNS).
module samvau #(
    parameter int unsigned MW        = 8,
    parameter int unsigned MH        = 2,
    parameter int unsigned SIMD      = 4,
    parameter int unsigned PE        = 1,
    parameter int unsigned GROUP     = 4,
    parameter int unsigned SETS      = 2,   // 2: p and n, 1: p
    parameter bit          MIN       = 0,   // with n a minimum is added, instead of a maximum subtracted
    parameter bit          SIGNS     = 0,   // a group's term has a sign
    parameter int unsigned X_BITS    = 4,
    parameter bit          X_SIGNED  = 0,
    parameter int unsigned Q_BITS    = 4,
    parameter int unsigned X_SHIFT   = 0,   // the sums are in units of 2**-X_SHIFT steps of x
    parameter int unsigned Q_SHIFT   = 0,   // and of 2**-Q_SHIFT steps of the codes
    parameter int unsigned OUT_BITS  = 8,
    parameter              CODES     = "",  // file of the ROM's words
    parameter bit          BLOCK     = 0,   // the ROM is in block RAM

    parameter logic [(PE > 0 ? MH/PE : 1)-1:0][PE-1:0][OUT_BITS-1:0] BIAS = '0
) (
    input  logic                         ap_clk,
    input  logic                         ap_rst_n,

    input  logic [SIMD-1:0][X_BITS-1:0]  in_tdata,
    input  logic                         in_tvalid,
    output logic                         in_tready,

    output logic [PE-1:0][OUT_BITS-1:0]  out_tdata,
    output logic                         out_tvalid,
    input  logic                         out_tready
);

    if (SETS < 1 || SETS > 2 || (SETS == 1 && MIN)) begin : g_check_sets
        $error("samvau: SETS=%0d, MIN=%0d: one or two sets of codes, and a minimum of the second only", SETS, MIN);
    end
    if (SIMD < 1 || MW < 1 || MW % SIMD != 0) begin : g_check_simd
        $error("samvau: SIMD=%0d does not divide MW=%0d", SIMD, MW);
    end
    if (PE < 1 || MH < 1 || MH % PE != 0) begin : g_check_pe
        $error("samvau: PE=%0d does not divide MH=%0d", PE, MH);
    end
    if (GROUP < 1 || MW % GROUP != 0) begin : g_check_group
        $error("samvau: GROUP=%0d does not divide MW=%0d", GROUP, MW);
    end
    if (GROUP % SIMD != 0 && SIMD % GROUP != 0) begin : g_check_fold
        $error("samvau: of SIMD=%0d and GROUP=%0d one has to divide the other", SIMD, GROUP);
    end
    if (X_BITS < 1 || Q_BITS < 1 || OUT_BITS < 1) begin : g_check_bits
        $error("samvau: X_BITS=%0d, Q_BITS=%0d and OUT_BITS=%0d have to be at least 1", X_BITS, Q_BITS, OUT_BITS);
    end
    if (X_SHIFT != 0 && Q_SHIFT != 0) begin : g_check_shift
        $error("samvau: X_SHIFT=%0d and Q_SHIFT=%0d: one of them has to be 0", X_SHIFT, Q_SHIFT);
    end

    localparam int unsigned BEATS = MW / SIMD;
    localparam int unsigned FOLDS = MH / PE;
    localparam bit          WIDE  = SIMD >= GROUP;             // whole groups in a beat, or a group over several beats
    localparam int unsigned TERMS = WIDE ? SIMD / GROUP : 1;   // groups in a beat
    localparam int unsigned PARTS = WIDE ? 1 : GROUP / SIMD;   // beats of a group
    localparam int unsigned LEAF  = WIDE ? GROUP : SIMD;       // inputs of one sam_extreme
    localparam int unsigned BITS  = X_BITS + X_SHIFT;

    localparam int unsigned CODE_BITS = SETS * SIMD * Q_BITS;
    localparam int unsigned SIGN_BITS = SIGNS ? TERMS : 0;
    localparam int unsigned WORD_BITS = PE * (CODE_BITS + SIGN_BITS);

    localparam int unsigned FETCH   = BLOCK ? 2 : 1;
    localparam int unsigned EXTREME = sam_pkg::extreme_latency(LEAF) + (WIDE ? 0 : 1);
    localparam int unsigned TREE    = $clog2(SETS * TERMS);

    // ---- Control: everything behind the replay advances with `enable`; only valid bits go along, each stage counts for itself.
    logic sum_valid, skid_tready;
    wire  enable = !sum_valid || skid_tready;

    logic fetch, extreme_valid;

    logic [SIMD-1:0][X_BITS-1:0] fetched, x;

    vector_replay #(
        .BEATS (BEATS),
        .PASSES(FOLDS),
        .WIDTH (SIMD * X_BITS)
    ) replay (
        .ap_clk   (ap_clk),
        .ap_rst_n (ap_rst_n),
        .in_tdata (in_tdata),
        .in_tvalid(in_tvalid),
        .in_tready(in_tready),
        .enable   (enable),
        .fetch    (fetch),
        .word     (fetched)
    );

    delay_line #(
        .WIDTH (SIMD * X_BITS),
        .CYCLES(FETCH - 1)
    ) beside_rom (
        .ap_clk(ap_clk),
        .enable(enable),
        .in    (fetched),
        .out   (x)
    );

    // ---- Codes
    localparam int unsigned DEPTH     = BEATS * FOLDS;
    localparam int unsigned ADDR_BITS = DEPTH > 1 ? $clog2(DEPTH) : 1;

    logic [ADDR_BITS-1:0] addr;
    logic [PE-1:0][CODE_BITS+SIGN_BITS-1:0] codes;

    always_ff @(posedge ap_clk) begin
        if (!ap_rst_n) addr <= '0;
        else if (fetch) addr <= addr == ADDR_BITS'(DEPTH - 1) ? '0 : addr + 1'b1;
    end

    rom #(
        .DEPTH(DEPTH),
        .WIDTH(WORD_BITS),
        .FILE (CODES),
        .BLOCK(BLOCK)
    ) code_rom (
        .ap_clk(ap_clk),
        .enable(enable),
        .addr  (addr),
        .word  (codes)
    );

    // ---- Valid bits: of the beats up to the extremes, then of whole terms up to the sum
    logic [FETCH+sam_pkg::extreme_latency(LEAF)-1:0] beat_valid;
    wire  part_valid = beat_valid[$high(beat_valid)];

    always_ff @(posedge ap_clk) begin
        if (!ap_rst_n) beat_valid <= '0;
        else if (enable) beat_valid <= {beat_valid[$high(beat_valid)-1:0], fetch};
    end

    if (WIDE) begin : g_whole
        assign extreme_valid = part_valid;
    end else begin : g_count
        localparam int unsigned PART_BITS = PARTS > 1 ? $clog2(PARTS) : 1;
        logic [PART_BITS-1:0] part;
        wire first = part == '0;
        always_ff @(posedge ap_clk) begin
            if (!ap_rst_n) begin
                part          <= '0;
                extreme_valid <= 1'b0;
            end else if (enable) begin
                extreme_valid <= part_valid && part == PART_BITS'(PARTS - 1);
                if (part_valid) part <= part == PART_BITS'(PARTS - 1) ? '0 : part + 1'b1;
            end
        end
    end

    logic term_valid;
    if (TREE == 0) begin : g_no_tree
        assign term_valid = extreme_valid;
    end else begin : g_tree
        logic [TREE-1:0] valid;
        assign term_valid = valid[TREE-1];
        always_ff @(posedge ap_clk) begin
            if (!ap_rst_n) valid <= '0;
            else if (enable) valid <= TREE'({valid, extreme_valid});
        end
    end

    // Which beat of terms of which fold is summed up.
    localparam int unsigned STEPS     = BEATS / PARTS;
    localparam int unsigned STEP_BITS = STEPS > 1 ? $clog2(STEPS) : 1;
    localparam int unsigned FOLD_BITS = FOLDS > 1 ? $clog2(FOLDS) : 1;

    logic [STEP_BITS-1:0] step;
    logic [FOLD_BITS-1:0] fold;
    wire  step_last = step == STEP_BITS'(STEPS - 1);

    always_ff @(posedge ap_clk) begin
        if (!ap_rst_n) begin
            step      <= '0;
            fold      <= '0;
            sum_valid <= 1'b0;
        end else if (enable) begin
            sum_valid <= term_valid && step_last;
            if (term_valid) begin
                step <= step_last ? '0 : step + 1'b1;
                if (step_last) fold <= fold == FOLD_BITS'(FOLDS - 1) ? '0 : fold + 1'b1;
            end
        end
    end

    // ---- Data
    logic [SIMD-1:0][X_BITS-1:0] u;
    for (genvar i = 0; i < SIMD; i++) begin : g_unsigned
        // Counted from its least value, a signed number has its highest bit flipped.
        assign u[i] = X_SIGNED ? x[i] ^ (X_BITS'(1) << (X_BITS - 1)) : x[i];
    end

    logic [PE-1:0][OUT_BITS-1:0] sum;

    for (genvar p = 0; p < PE; p++) begin : g_pe
        logic [TERMS-1:0] negative;
        if (SIGNS) begin : g_signs
            delay_line #(
                .WIDTH (TERMS),
                .CYCLES(EXTREME)
            ) beside_extreme (
                .ap_clk(ap_clk),
                .enable(enable),
                .in    (codes[p][CODE_BITS+:TERMS]),
                .out   (negative)
            );
        end else begin : g_no_signs
            assign negative = '0;
        end

        logic [SETS*TERMS-1:0][BITS-1:0] operand;

        for (genvar s = 0; s < SETS; s++) begin : g_set
            wire [SIMD-1:0][Q_BITS-1:0] q    = codes[p][s*SIMD*Q_BITS+:SIMD*Q_BITS];
            wire [SIMD-1:0][X_BITS-1:0] seen = s == 1 && MIN ? ~u : u;

            for (genvar t = 0; t < TERMS; t++) begin : g_term
                logic [BITS-1:0] part, extreme;

                sam_extreme #(
                    .N      (LEAF),
                    .U_BITS (X_BITS),
                    .Q_BITS (Q_BITS),
                    .X_SHIFT(X_SHIFT),
                    .Q_SHIFT(Q_SHIFT)
                ) leaf (
                    .clk(ap_clk),
                    .en (enable),
                    .u  (seen[t*LEAF+:LEAF]),
                    .q  (q[t*LEAF+:LEAF]),
                    .a  (part)
                );

                if (WIDE) begin : g_whole
                    assign extreme = part;
                end else begin : g_parts
                    always_ff @(posedge ap_clk)
                        if (enable && part_valid && (g_count.first || part > extreme)) extreme <= part;
                end

                assign operand[SETS*t+s] = extreme ^ {BITS{negative[t] ^ (s == 1)}};
            end
        end

        logic [OUT_BITS-1:0] terms;
        if (TREE == 0) begin : g_one
            assign terms = OUT_BITS'(operand);
        end else begin : g_several
            adder_tree #(
                .N       (SETS * TERMS),
                .BITS    (BITS),
                .SUM_BITS(OUT_BITS)
            ) tree (
                .ap_clk (ap_clk),
                .enable (enable),
                .operand(operand),
                .sum    (terms)
            );
        end

        always_ff @(posedge ap_clk)
            if (enable && term_valid) sum[p] <= (step == '0 ? BIAS[fold][p] : sum[p]) + terms;
    end

    // ---- Output
    skid_buffer #(
        .WIDTH(PE * OUT_BITS)
    ) skid (
        .ap_clk    (ap_clk),
        .ap_rst_n  (ap_rst_n),
        .in_tdata  (sum),
        .in_tvalid (sum_valid),
        .in_tready (skid_tready),
        .out_tdata (out_tdata),
        .out_tvalid(out_tvalid),
        .out_tready(out_tready)
    );

endmodule
