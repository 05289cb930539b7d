// Cuts the frames of a command into bursts. All frames have WORDS words and lie one after the other. A burst ends where a multiple
// of MAX_BURST words begins, so none crosses 4 KB as long as MAX_BURST words are no more than that.
module shell_bursts #(
    parameter int unsigned ADDR_BITS = 29,  // of an address in words
    parameter int unsigned WORDS     = 1,   // of a frame
    parameter int unsigned MAX_BURST = 16,  // words

    localparam int unsigned LENGTH_BITS = $clog2(MAX_BURST) + 1
) (
    input  logic                              ap_clk,
    input  logic                              ap_rst_n,

    input  logic [ADDR_BITS-1:0]              command_addr,
    input  logic [shell_registers_pkg::FRAMES_BITS-1:0] command_frames,  // at least 1
    input  logic                              command_valid,
    output logic                              command_ready,

    output logic [ADDR_BITS-1:0]              burst_addr,
    output logic [LENGTH_BITS-1:0]            burst_length,
    output logic                              burst_last,  // of its frame
    output logic                              burst_valid,
    input  logic                              burst_ready
);

    if (WORDS < 1 || MAX_BURST < 2 || MAX_BURST > 256 || MAX_BURST != 1 << $clog2(MAX_BURST)) begin : g_check
        $error("shell_bursts: WORDS=%0d has to be at least 1, MAX_BURST=%0d a power of two from 2 to 256", WORDS, MAX_BURST);
    end

    localparam int unsigned OFFSET_BITS = $clog2(MAX_BURST);
    localparam int unsigned WORDS_BITS  = $clog2(WORDS + 1) > LENGTH_BITS ? $clog2(WORDS + 1) : LENGTH_BITS;

    logic                              running;
    logic [ADDR_BITS-1:0]              addr;
    logic [WORDS_BITS-1:0]             left;  // words of this frame
    logic [shell_registers_pkg::FRAMES_BITS-1:0] frames;

    wire [LENGTH_BITS-1:0] fits   = LENGTH_BITS'(MAX_BURST) - LENGTH_BITS'(addr[OFFSET_BITS-1:0]);
    wire                   last   = left <= WORDS_BITS'(fits);
    wire [LENGTH_BITS-1:0] length = last ? LENGTH_BITS'(left) : fits;
    wire                   step   = running && (burst_ready || !burst_valid);

    assign command_ready = !running;

    always_ff @(posedge ap_clk) begin
        if (!ap_rst_n) begin
            running     <= 1'b0;
            burst_valid <= 1'b0;
        end else begin
            if (command_valid && command_ready) running <= 1'b1;
            else if (step && last && frames == 1) running <= 1'b0;
            burst_valid <= step || (burst_valid && !burst_ready);
        end
    end

    always_ff @(posedge ap_clk) begin
        if (command_ready) begin
            addr   <= command_addr;
            left   <= WORDS_BITS'(WORDS);
            frames <= command_frames;
        end else if (step) begin
            addr   <= addr + ADDR_BITS'(length);
            left   <= last ? WORDS_BITS'(WORDS) : left - WORDS_BITS'(length);
            frames <= frames - shell_registers_pkg::FRAMES_BITS'(last);
        end
        if (step) begin
            burst_addr   <= addr;
            burst_length <= length;
            burst_last   <= last;
        end
    end

endmodule
