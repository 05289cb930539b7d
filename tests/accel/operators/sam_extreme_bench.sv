// sam_extreme in several shapes against its definition, under a clock enable that comes and goes. Few bits are counted through, so that
// every combination is seen; many are random, half of the codes small, for else nearly all differences saturate.
module extreme_case #(
    parameter int unsigned N,
    parameter int unsigned U_BITS,
    parameter int unsigned Q_BITS,
    parameter int unsigned X_SHIFT,
    parameter int unsigned Q_SHIFT,
    parameter int unsigned VECTORS
) (
    input  logic clk,
    output logic done
);
    localparam int unsigned BITS    = U_BITS + X_SHIFT;
    localparam int unsigned LATENCY = sam_pkg::extreme_latency(N);
    localparam int unsigned INPUTS  = N * (U_BITS + Q_BITS);
    localparam bit          ALL     = INPUTS <= 14;
    localparam int unsigned COUNT   = ALL ? 1 << INPUTS : VECTORS;

    logic                      en = 0;
    logic [N-1:0][U_BITS-1:0]  u;
    logic [N-1:0][Q_BITS-1:0]  q;
    logic [BITS-1:0]           a;

    sam_extreme #(
        .N(N), .U_BITS(U_BITS), .Q_BITS(Q_BITS), .X_SHIFT(X_SHIFT), .Q_SHIFT(Q_SHIFT)
    ) dut (
        .clk, .en, .u, .q, .a
    );

    function automatic logic [BITS-1:0] definition();
        longint greatest = 0;
        for (int i = 0; i < int'(N); i++) begin
            longint value = (longint'(u[i]) << X_SHIFT) - (longint'(q[i]) << Q_SHIFT);
            if (value > greatest) greatest = value;
        end
        return BITS'(greatest);
    endfunction

    int unsigned     sent = 0, wrong = 0;
    logic [BITS-1:0] wanted[LATENCY];

    assign done = sent == COUNT + LATENCY;

    always @(posedge clk) begin
        if (en && !done) begin
            if (sent >= LATENCY && a !== wanted[sent%LATENCY]) wrong <= wrong + 1;
            wanted[sent%LATENCY] <= definition();
            sent <= sent + 1;
            if (sent + 1 == COUNT + LATENCY)
                $display("%0d %0d %0d %0d %0d: %0d compared, %0d wrong", N, U_BITS, Q_BITS, X_SHIFT, Q_SHIFT, sent + 1 - LATENCY,
                         wrong + (a !== wanted[sent%LATENCY] ? 1 : 0));
        end
    end

    always @(negedge clk) begin
        en <= $urandom() % 4 != 0;
        if (ALL) {u, q} <= INPUTS'(sent);
        else
            for (int i = 0; i < int'(N); i++) begin
                u[i] <= U_BITS'($urandom());
                q[i] <= $urandom() % 2 == 0 ? Q_BITS'($urandom()) : Q_BITS'($urandom() % 3);
            end
    end
endmodule

module sam_extreme_bench;
    logic clk = 0;
    always #1 clk = !clk;

    localparam int unsigned CASES = 14;
    // In hexadecimal digits: two of N, then U_BITS, Q_BITS, X_SHIFT, Q_SHIFT.
    localparam logic [CASES-1:0][23:0] SHAPES = {
        24'h014400, 24'h023400, 24'h032200, 24'h022310, 24'h023202, 24'h031100, 24'h021330,
        24'h044400, 24'h054420, 24'h084303, 24'h098800, 24'h104400, 24'h1b5401, 24'h044700
    };
    logic [CASES-1:0] done;

    for (genvar c = 0; c < CASES; c++) begin : g_case
        extreme_case #(
            .N(SHAPES[c][23:16]), .U_BITS(SHAPES[c][15:12]), .Q_BITS(SHAPES[c][11:8]), .X_SHIFT(SHAPES[c][7:4]),
            .Q_SHIFT(SHAPES[c][3:0]), .VECTORS(20000)
        ) shape (
            .clk, .done(done[c])
        );
    end

    always @(posedge clk) if (&done) $finish;
endmodule
