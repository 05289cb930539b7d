// Collects one output stream into words, and offers a burst when all of it is here: a burst that was begun never waits for the
// accelerator.
module shell_collect #(
    parameter int unsigned WORD_BYTES = 8,
    parameter int unsigned ADDR_BITS  = 29,  // of an address in words
    parameter int unsigned BEAT_BYTES = 1,
    parameter int unsigned BEATS      = 1,   // of a frame
    parameter int unsigned MAX_BURST  = 16,  // words
    parameter int unsigned BUFFER     = 32,  // words, a power of two
    parameter int unsigned COMMANDS   = 4,   // that can wait, a power of two

    localparam int unsigned LENGTH_BITS = $clog2(MAX_BURST) + 1
) (
    input  logic                              ap_clk,
    input  logic                              ap_rst_n,

    input  logic [ADDR_BITS-1:0]              command_addr,  // in words
    input  logic [shell_registers_pkg::FRAMES_BITS-1:0] command_frames,
    input  logic                              command_valid,
    output logic                              command_ready,

    input  logic [8*BEAT_BYTES-1:0]           in_tdata,
    input  logic                              in_tvalid,
    output logic                              in_tready,

    output logic [ADDR_BITS-1:0]              burst_addr,
    output logic [LENGTH_BITS-1:0]            burst_length,
    output logic                              burst_last,  // of its frame
    output logic                              burst_valid,
    input  logic                              burst_ready,

    output logic [8*WORD_BYTES-1:0]           word_data,
    output logic                              word_valid,
    input  logic                              word_ready
);

    if (BUFFER < MAX_BURST) begin : g_check
        $error("shell_collect: BUFFER=%0d has to hold a burst of MAX_BURST=%0d words", BUFFER, MAX_BURST);
    end

    localparam int unsigned WORDS     = shell_pkg::words(BEATS, BEAT_BYTES, WORD_BYTES);
    localparam int unsigned HERE_BITS = $clog2(BUFFER + 2);

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

    logic planned;

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
        .burst_last    (burst_last),
        .burst_valid   (planned),
        .burst_ready   (burst_ready)
    );

    logic [8*WORD_BYTES-1:0] packed_data;
    logic                    packed_valid, packed_ready;

    shell_pack #(
        .WORD_BYTES(WORD_BYTES),
        .BEAT_BYTES(BEAT_BYTES),
        .BEATS     (BEATS)
    ) pack (
        .ap_clk    (ap_clk),
        .ap_rst_n  (ap_rst_n),
        .in_tdata  (in_tdata),
        .in_tvalid (in_tvalid),
        .in_tready (in_tready),
        .word_data (packed_data),
        .word_valid(packed_valid),
        .word_ready(packed_ready)
    );

    shell_fifo #(
        .DEPTH(BUFFER),
        .WIDTH(8 * WORD_BYTES)
    ) buffer (
        .ap_clk   (ap_clk),
        .ap_rst_n (ap_rst_n),
        .in_data  (packed_data),
        .in_valid (packed_valid),
        .in_ready (packed_ready),
        .out_data (word_data),
        .out_valid(word_valid),
        .out_ready(word_ready)
    );

    logic [HERE_BITS-1:0] here;  // words in the buffer that belong to no burst yet

    assign burst_valid = planned && here >= HERE_BITS'(burst_length);

    always_ff @(posedge ap_clk) begin
        if (!ap_rst_n) here <= '0;
        else here <= here + HERE_BITS'(packed_valid && packed_ready) - (burst_ready ? HERE_BITS'(burst_length) : '0);
    end

endmodule
