// Reads frames from memory. A burst is asked for when the buffer has room for all of it: the bus never waits for the stream, and
// every burst that was asked for comes to its end whatever the accelerator does.
module shell_read #(
    parameter int unsigned WORD_BYTES   = 8,
    parameter int unsigned ADDRESS_BITS = 32,
    parameter int unsigned WORDS        = 1,   // of a frame
    parameter int unsigned MAX_BURST    = 16,  // words
    parameter int unsigned BUFFER       = 64,  // words, a power of two
    parameter int unsigned COMMANDS     = 4,   // that can wait, a power of two

    localparam int unsigned SHIFT     = $clog2(WORD_BYTES),
    localparam int unsigned ADDR_BITS = ADDRESS_BITS - SHIFT
) (
    input  logic                              ap_clk,
    input  logic                              ap_rst_n,
    input  logic                              halt,  // begin no more bursts
    output logic                              idle,  // no burst is under way

    input  logic [ADDR_BITS-1:0]              command_addr,  // in words
    input  logic [shell_registers_pkg::FRAMES_BITS-1:0] command_frames,
    input  logic                              command_valid,
    output logic                              command_ready,

    output logic [ADDRESS_BITS-1:0]           araddr,
    output logic [7:0]                        arlen,
    output logic                              arvalid,
    input  logic                              arready,
    input  logic [8*WORD_BYTES-1:0]           rdata,
    input  logic [1:0]                        rresp,
    input  logic                              rlast,
    input  logic                              rvalid,
    output logic                              rready,

    output logic [8*WORD_BYTES-1:0]           word_data,
    output logic                              word_valid,
    input  logic                              word_ready,

    output logic                              error,
    output logic                              error_decode,  // DECERR, else SLVERR
    output logic [ADDRESS_BITS-1:0]           error_address
);

    if (BUFFER < 2 * MAX_BURST || WORD_BYTES != 1 << SHIFT || WORD_BYTES * MAX_BURST > 4096) begin : g_check
        $error("shell_read: BUFFER=%0d has to hold two bursts of MAX_BURST=%0d words, a burst at most 4096 bytes", BUFFER,
               MAX_BURST);
    end

    localparam int unsigned LENGTH_BITS = $clog2(MAX_BURST) + 1;
    localparam int unsigned ROOM_BITS   = $clog2(BUFFER) + 1;
    localparam int unsigned BURSTS      = 16;  // that can be under way
    localparam int unsigned BURSTS_BITS = $clog2(BURSTS) + 1;

    logic [ADDR_BITS-1:0]              next_addr;
    logic [shell_registers_pkg::FRAMES_BITS-1:0] next_frames;
    logic                              next_valid, next_ready;

    shell_fifo #(
        .DEPTH(COMMANDS),
        .WIDTH(shell_registers_pkg::FRAMES_BITS + ADDR_BITS)
    ) commands (
        .ap_clk   (ap_clk),
        .ap_rst_n (ap_rst_n),
        .in_data  ({command_frames, command_addr}),
        .in_valid (command_valid),
        .in_ready (command_ready),
        .out_data ({next_frames, next_addr}),
        .out_valid(next_valid),
        .out_ready(next_ready)
    );

    logic [ADDR_BITS-1:0]   burst_addr;
    logic [LENGTH_BITS-1:0] burst_length;
    logic                   burst_valid;
    logic                   launch;

    shell_bursts #(
        .ADDR_BITS(ADDR_BITS),
        .WORDS    (WORDS),
        .MAX_BURST(MAX_BURST)
    ) bursts (
        .ap_clk        (ap_clk),
        .ap_rst_n      (ap_rst_n),
        .command_addr  (next_addr),
        .command_frames(next_frames),
        .command_valid (next_valid),
        .command_ready (next_ready),
        .burst_addr    (burst_addr),
        .burst_length  (burst_length),
        /* verilator lint_off PINCONNECTEMPTY */
        .burst_last    (),
        /* verilator lint_on PINCONNECTEMPTY */
        .burst_valid   (burst_valid),
        .burst_ready   (launch)
    );

    logic [ROOM_BITS-1:0]   room;     // words of the buffer that are neither full nor asked for
    logic [BURSTS_BITS-1:0] pending;  // bursts asked for

    assign launch = burst_valid && !halt && (arready || !arvalid) && room >= ROOM_BITS'(burst_length)
                    && pending < BURSTS_BITS'(BURSTS);

    always_ff @(posedge ap_clk) begin
        if (!ap_rst_n) arvalid <= 1'b0;
        else arvalid <= launch || (arvalid && !arready);
    end

    always_ff @(posedge ap_clk) begin
        if (launch) begin
            araddr <= {burst_addr, SHIFT'(0)};
            arlen  <= 8'(burst_length - 1'b1);
        end
    end

    logic [8*WORD_BYTES-1:0] data;
    logic [1:0]              resp;
    logic                    last;
    logic                    valid;

    assign rready = 1'b1;

    always_ff @(posedge ap_clk) begin
        if (!ap_rst_n) valid <= 1'b0;
        else valid <= rvalid;
        data <= rdata;
        resp <= rresp;
        last <= rlast;
    end

    wire done = valid && last;
    wire take = word_valid && word_ready;

    always_ff @(posedge ap_clk) begin
        if (!ap_rst_n) begin
            room    <= ROOM_BITS'(BUFFER);
            pending <= '0;
        end else begin
            room    <= room - (launch ? ROOM_BITS'(burst_length) : '0) + ROOM_BITS'(take);
            pending <= pending + BURSTS_BITS'(launch) - BURSTS_BITS'(done);
        end
    end

    assign idle = pending == 0;

    shell_fifo #(
        .DEPTH(BUFFER),
        .WIDTH(8 * WORD_BYTES)
    ) buffer (
        .ap_clk   (ap_clk),
        .ap_rst_n (ap_rst_n),
        .in_data  (data),
        .in_valid (valid),
        /* verilator lint_off PINCONNECTEMPTY */
        .in_ready (),  // `room` sees to it
        /* verilator lint_on PINCONNECTEMPTY */
        .out_data (word_data),
        .out_valid(word_valid),
        .out_ready(word_ready)
    );

    logic [ADDR_BITS-1:0]   first;  // word of the burst that answers now
    logic [LENGTH_BITS-1:0] index;

    shell_fifo #(
        .DEPTH(BURSTS),
        .WIDTH(ADDR_BITS)
    ) addresses (
        .ap_clk   (ap_clk),
        .ap_rst_n (ap_rst_n),
        .in_data  (burst_addr),
        .in_valid (launch),
        /* verilator lint_off PINCONNECTEMPTY */
        .in_ready (),  // `pending` sees to it
        .out_valid(),
        /* verilator lint_on PINCONNECTEMPTY */
        .out_data (first),
        .out_ready(done)
    );

    always_ff @(posedge ap_clk) begin
        if (!ap_rst_n || done) index <= '0;
        else if (valid) index <= index + 1'b1;
        error         <= ap_rst_n && valid && resp[1];
        error_decode  <= resp[0];
        error_address <= {first + ADDR_BITS'(index), SHIFT'(0)};
    end

endmodule
