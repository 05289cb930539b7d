// Writes the bursts of several output streams through one port. The outputs are asked in turn; a burst's address and its data go
// out side by side, and the next burst's address meanwhile.
module shell_write #(
    parameter int unsigned                    OUTPUTS      = 1,
    parameter int unsigned                    WORD_BYTES   = 8,
    parameter int unsigned                    ADDRESS_BITS = 32,
    parameter int unsigned                    MAX_BURST    = 16,  // words
    parameter logic [OUTPUTS-1:0][WORD_BYTES-1:0] LAST_STRB = '1,  // bytes of the last word of a frame

    localparam int unsigned SHIFT       = $clog2(WORD_BYTES),
    localparam int unsigned ADDR_BITS   = ADDRESS_BITS - SHIFT,
    localparam int unsigned LENGTH_BITS = $clog2(MAX_BURST) + 1
) (
    input  logic                                 ap_clk,
    input  logic                                 ap_rst_n,
    input  logic                                 halt,  // begin no more bursts
    output logic                                 idle,  // no burst is under way

    input  logic [OUTPUTS-1:0][ADDR_BITS-1:0]    burst_addr,  // in words
    input  logic [OUTPUTS-1:0][LENGTH_BITS-1:0]  burst_length,
    input  logic [OUTPUTS-1:0]                   burst_last,  // of its frame
    input  logic [OUTPUTS-1:0]                   burst_valid,
    output logic [OUTPUTS-1:0]                   burst_ready,

    input  logic [OUTPUTS-1:0][8*WORD_BYTES-1:0] word_data,
    input  logic [OUTPUTS-1:0]                   word_valid,
    output logic [OUTPUTS-1:0]                   word_ready,

    output logic [ADDRESS_BITS-1:0]              awaddr,
    output logic [7:0]                           awlen,
    output logic                                 awvalid,
    input  logic                                 awready,
    output logic [8*WORD_BYTES-1:0]              wdata,
    output logic [WORD_BYTES-1:0]                wstrb,
    output logic                                 wlast,
    output logic                                 wvalid,
    input  logic                                 wready,
    input  logic [1:0]                           bresp,
    input  logic                                 bvalid,
    output logic                                 bready,

    output logic [OUTPUTS-1:0]                   frame_done,  // one cycle: a frame of this output is in memory
    output logic                                 error,
    output logic                                 error_decode,  // DECERR, else SLVERR
    output logic [ADDRESS_BITS-1:0]              error_address
);

    if (OUTPUTS < 1 || WORD_BYTES != 1 << SHIFT || WORD_BYTES * MAX_BURST > 4096) begin : g_check
        $error("shell_write: OUTPUTS=%0d has to be at least 1, a burst of MAX_BURST=%0d words at most 4096 bytes", OUTPUTS,
               MAX_BURST);
    end

    localparam int unsigned TURN_BITS   = OUTPUTS > 1 ? $clog2(OUTPUTS) : 1;
    localparam int unsigned BURSTS      = 8;  // that can be under way
    localparam int unsigned BURSTS_BITS = $clog2(BURSTS) + 1;

    logic [TURN_BITS-1:0]   turn;
    logic [BURSTS_BITS-1:0] pending;  // bursts begun and not answered

    wire launch = burst_valid[turn] && !halt && (awready || !awvalid) && pending < BURSTS_BITS'(BURSTS);

    for (genvar i = 0; i < OUTPUTS; i++) begin : g_ready
        assign burst_ready[i] = launch && turn == TURN_BITS'(i);
    end

    always_ff @(posedge ap_clk) begin
        if (!ap_rst_n) begin
            turn    <= '0;
            pending <= '0;
            awvalid <= 1'b0;
        end else begin
            if (launch || !burst_valid[turn]) turn <= turn == TURN_BITS'(OUTPUTS - 1) ? '0 : turn + 1'b1;
            pending <= pending + BURSTS_BITS'(launch) - BURSTS_BITS'(bvalid);
            awvalid <= launch || (awvalid && !awready);
        end
    end

    always_ff @(posedge ap_clk) begin
        if (launch) begin
            awaddr <= {burst_addr[turn], SHIFT'(0)};
            awlen  <= 8'(burst_length[turn] - 1'b1);
        end
    end

    assign idle = pending == 0;

    // Data.
    logic [TURN_BITS-1:0]   data_turn;
    logic [LENGTH_BITS-1:0] data_length;
    logic                   data_last;
    logic                   data_valid;

    logic [LENGTH_BITS-1:0] index;

    wire move        = data_valid && word_valid[data_turn] && (wready || !wvalid);
    wire end_of_data = index == data_length - 1'b1;

    shell_fifo #(
        .DEPTH(BURSTS),
        .WIDTH(1 + TURN_BITS + LENGTH_BITS)
    ) data_bursts (
        .ap_clk   (ap_clk),
        .ap_rst_n (ap_rst_n),
        .in_data  ({burst_last[turn], turn, burst_length[turn]}),
        .in_valid (launch),
        /* verilator lint_off PINCONNECTEMPTY */
        .in_ready (),  // `pending` sees to it
        /* verilator lint_on PINCONNECTEMPTY */
        .out_data ({data_last, data_turn, data_length}),
        .out_valid(data_valid),
        .out_ready(move && end_of_data)
    );

    for (genvar i = 0; i < OUTPUTS; i++) begin : g_move
        assign word_ready[i] = move && data_turn == TURN_BITS'(i);
    end

    always_ff @(posedge ap_clk) begin
        if (!ap_rst_n) begin
            index  <= '0;
            wvalid <= 1'b0;
        end else begin
            if (move) index <= end_of_data ? '0 : index + 1'b1;
            wvalid <= move || (wvalid && !wready);
        end
    end

    always_ff @(posedge ap_clk) begin
        if (move) begin
            wdata <= word_data[data_turn];
            wstrb <= data_last && end_of_data ? LAST_STRB[data_turn] : '1;
            wlast <= end_of_data;
        end
    end

    // Answers, which come in the order of the bursts.
    logic [TURN_BITS-1:0] done_turn;
    logic [ADDR_BITS-1:0] done_addr;
    logic                 done_last;

    assign bready = 1'b1;

    shell_fifo #(
        .DEPTH(BURSTS),
        .WIDTH(1 + TURN_BITS + ADDR_BITS)
    ) begun_bursts (
        .ap_clk   (ap_clk),
        .ap_rst_n (ap_rst_n),
        .in_data  ({burst_last[turn], turn, burst_addr[turn]}),
        .in_valid (launch),
        /* verilator lint_off PINCONNECTEMPTY */
        .in_ready (),  // `pending` sees to it
        .out_valid(),
        /* verilator lint_on PINCONNECTEMPTY */
        .out_data ({done_last, done_turn, done_addr}),
        .out_ready(bvalid)
    );

    for (genvar i = 0; i < OUTPUTS; i++) begin : g_done
        always_ff @(posedge ap_clk) frame_done[i] <= ap_rst_n && bvalid && done_last && done_turn == TURN_BITS'(i);
    end

    always_ff @(posedge ap_clk) begin
        error         <= ap_rst_n && bvalid && bresp[1];
        error_decode  <= bresp[0];
        error_address <= {done_addr, SHIFT'(0)};
    end

endmodule
