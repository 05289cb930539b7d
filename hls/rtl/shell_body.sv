// Everything of the shell but the accelerator: registers, reader, writers. The streams of all outputs lie side by side in out_*,
// output 0 lowest.
module shell_body #(
    parameter logic [31:0]              DESIGN_VALUE = '0,  // checksum of the accelerator
    parameter int unsigned              WORD_BYTES   = 8,   // of the bus to memory
    parameter int unsigned              ADDRESS_BITS = 32,
    parameter int unsigned              MAX_BURST    = 16,  // words
    parameter int unsigned              COMMANDS     = 4,   // that can wait
    parameter int unsigned              IN_BYTES     = 1,   // of a beat
    parameter int unsigned              IN_BEATS     = 1,   // of a frame
    parameter int unsigned              OUTPUTS      = 1,
    parameter logic [OUTPUTS-1:0][31:0] OUT_BYTES    = {OUTPUTS{32'd1}},
    parameter logic [OUTPUTS-1:0][31:0] OUT_BEATS    = {OUTPUTS{32'd1}},
    parameter int unsigned              OUT_BITS     = 8    // of a beat of all outputs together
) (
    input  logic                    aclk,
    input  logic                    aresetn,

    input  logic [11:0]             control_awaddr,
    input  logic                    control_awvalid,
    output logic                    control_awready,
    input  logic [31:0]             control_wdata,
    input  logic [3:0]              control_wstrb,
    input  logic                    control_wvalid,
    output logic                    control_wready,
    output logic [1:0]              control_bresp,
    output logic                    control_bvalid,
    input  logic                    control_bready,
    input  logic [11:0]             control_araddr,
    input  logic                    control_arvalid,
    output logic                    control_arready,
    output logic [31:0]             control_rdata,
    output logic [1:0]              control_rresp,
    output logic                    control_rvalid,
    input  logic                    control_rready,

    output logic [ADDRESS_BITS-1:0] memory_awaddr,
    output logic [7:0]              memory_awlen,
    output logic                    memory_awvalid,
    input  logic                    memory_awready,
    output logic [8*WORD_BYTES-1:0] memory_wdata,
    output logic [WORD_BYTES-1:0]   memory_wstrb,
    output logic                    memory_wlast,
    output logic                    memory_wvalid,
    input  logic                    memory_wready,
    input  logic [1:0]              memory_bresp,
    input  logic                    memory_bvalid,
    output logic                    memory_bready,
    output logic [ADDRESS_BITS-1:0] memory_araddr,
    output logic [7:0]              memory_arlen,
    output logic                    memory_arvalid,
    input  logic                    memory_arready,
    input  logic [8*WORD_BYTES-1:0] memory_rdata,
    input  logic [1:0]              memory_rresp,
    input  logic                    memory_rlast,
    input  logic                    memory_rvalid,
    output logic                    memory_rready,

    output logic                    irq,

    // The accelerator.
    output logic                    ap_rst_n,
    output logic [8*IN_BYTES-1:0]   in_tdata,
    output logic                    in_tvalid,
    input  logic                    in_tready,
    input  logic [OUT_BITS-1:0]     out_tdata,
    input  logic [OUTPUTS-1:0]      out_tvalid,
    output logic [OUTPUTS-1:0]      out_tready
);

    function automatic int unsigned bytes_below(int unsigned which);
        bytes_below = 0;
        for (int unsigned i = 0; i < which; i++) bytes_below += OUT_BYTES[i];
    endfunction

    if (OUT_BITS != 8 * bytes_below(OUTPUTS)) begin : g_check
        $error("shell_body: OUT_BITS=%0d has to be %0d, as OUT_BYTES say", OUT_BITS, 8 * bytes_below(OUTPUTS));
    end

    localparam int unsigned SHIFT       = $clog2(WORD_BYTES);
    localparam int unsigned ADDR_BITS   = ADDRESS_BITS - SHIFT;
    localparam int unsigned LENGTH_BITS = $clog2(MAX_BURST) + 1;

    function automatic logic [OUTPUTS-1:0][WORD_BYTES-1:0] last_strobes();
        for (int unsigned i = 0; i < OUTPUTS; i++) begin
            for (int unsigned b = 0; b < WORD_BYTES; b++)
                last_strobes[i][b] = b <= (OUT_BYTES[i] * OUT_BEATS[i] - 1) % WORD_BYTES;
        end
    endfunction

    // Registers.
    logic                                 write, read;
    logic [11:0]                          write_addr, read_addr;
    logic [31:0]                          write_data, read_data;
    logic [3:0]                           write_strb;

    shell_lite lite (
        .aclk      (aclk),
        .aresetn   (aresetn),
        .awaddr    (control_awaddr),
        .awvalid   (control_awvalid),
        .awready   (control_awready),
        .wdata     (control_wdata),
        .wstrb     (control_wstrb),
        .wvalid    (control_wvalid),
        .wready    (control_wready),
        .bresp     (control_bresp),
        .bvalid    (control_bvalid),
        .bready    (control_bready),
        .araddr    (control_araddr),
        .arvalid   (control_arvalid),
        .arready   (control_arready),
        .rdata     (control_rdata),
        .rresp     (control_rresp),
        .rvalid    (control_rvalid),
        .rready    (control_rready),
        .write     (write),
        .write_addr(write_addr),
        .write_data(write_data),
        .write_strb(write_strb),
        .read      (read),
        .read_addr (read_addr),
        .read_data (read_data)
    );

    logic                                 reset, halt, read_idle, write_idle;
    logic                                 command;
    logic [OUTPUTS:0]                     command_ready;  // of the writers and, highest, the reader
    logic [shell_registers_pkg::FRAMES_BITS-1:0]    command_frames;
    logic [ADDR_BITS-1:0]                 command_input;
    logic [OUTPUTS-1:0][ADDR_BITS-1:0]    command_output;
    logic                                 busy, finished, became_idle;
    logic [31:0]                          frames_commanded, frames_finished;
    logic [63:0]                          frame_cycles, busy_cycles;
    logic                                 read_error, read_error_decode;
    logic                                 write_error, write_error_decode;
    logic [ADDRESS_BITS-1:0]              read_error_address, write_error_address;

    shell_control #(
        .DESIGN_VALUE(DESIGN_VALUE),
        .OUTPUTS     (OUTPUTS),
        .ADDRESS_BITS(ADDRESS_BITS),
        .WORD_BYTES  (WORD_BYTES)
    ) control (
        .aclk               (aclk),
        .aresetn            (aresetn),
        .ap_rst_n           (ap_rst_n),
        .write              (write),
        .write_addr         (write_addr),
        .write_data         (write_data),
        .write_strb         (write_strb),
        .read               (read),
        .read_addr          (read_addr),
        .read_data          (read_data),
        .reset              (reset),
        .resetting          (halt),
        .command            (command),
        .command_ready      (&command_ready),
        .command_frames     (command_frames),
        .command_input      (command_input),
        .command_output     (command_output),
        .busy               (busy),
        .finished           (finished),
        .became_idle        (became_idle),
        .frames_commanded   (frames_commanded),
        .frames_finished    (frames_finished),
        .frame_cycles       (frame_cycles),
        .busy_cycles        (busy_cycles),
        .read_error         (read_error),
        .read_error_decode  (read_error_decode),
        .read_error_address (read_error_address),
        .write_error        (write_error),
        .write_error_decode (write_error_decode),
        .write_error_address(write_error_address),
        .irq                (irq)
    );

    shell_reset soft_reset (
        .aclk    (aclk),
        .aresetn (aresetn),
        .request (reset),
        .idle    (read_idle && write_idle),
        .halt    (halt),
        .ap_rst_n(ap_rst_n)
    );

    // Input.
    logic [8*WORD_BYTES-1:0] in_word;
    logic                    in_word_valid, in_word_ready;

    shell_read #(
        .WORD_BYTES  (WORD_BYTES),
        .ADDRESS_BITS(ADDRESS_BITS),
        .WORDS       (shell_pkg::words(IN_BEATS, IN_BYTES, WORD_BYTES)),
        .MAX_BURST   (MAX_BURST),
        .BUFFER      (4 * MAX_BURST),
        .COMMANDS    (COMMANDS)
    ) reader (
        .ap_clk        (aclk),
        .ap_rst_n      (ap_rst_n),
        .halt          (halt),
        .idle          (read_idle),
        .command_addr  (command_input),
        .command_frames(command_frames),
        .command_valid (command),
        .command_ready (command_ready[OUTPUTS]),
        .araddr        (memory_araddr),
        .arlen         (memory_arlen),
        .arvalid       (memory_arvalid),
        .arready       (memory_arready),
        .rdata         (memory_rdata),
        .rresp         (memory_rresp),
        .rlast         (memory_rlast),
        .rvalid        (memory_rvalid),
        .rready        (memory_rready),
        .word_data     (in_word),
        .word_valid    (in_word_valid),
        .word_ready    (in_word_ready),
        .error         (read_error),
        .error_decode  (read_error_decode),
        .error_address (read_error_address)
    );

    shell_unpack #(
        .WORD_BYTES(WORD_BYTES),
        .BEAT_BYTES(IN_BYTES),
        .BEATS     (IN_BEATS)
    ) unpack (
        .ap_clk    (aclk),
        .ap_rst_n  (ap_rst_n),
        .word_data (in_word),
        .word_valid(in_word_valid),
        .word_ready(in_word_ready),
        .out_tdata (in_tdata),
        .out_tvalid(in_tvalid),
        .out_tready(in_tready)
    );

    // Outputs.
    logic [OUTPUTS-1:0][ADDR_BITS-1:0]    burst_addr;
    logic [OUTPUTS-1:0][LENGTH_BITS-1:0]  burst_length;
    logic [OUTPUTS-1:0]                   burst_last, burst_valid, burst_ready;
    logic [OUTPUTS-1:0][8*WORD_BYTES-1:0] word_data;
    logic [OUTPUTS-1:0]                   word_valid, word_ready;
    logic [OUTPUTS-1:0]                   frame_done;

    for (genvar i = 0; i < OUTPUTS; i++) begin : g_output
        shell_collect #(
            .WORD_BYTES(WORD_BYTES),
            .ADDR_BITS (ADDR_BITS),
            .BEAT_BYTES(OUT_BYTES[i]),
            .BEATS     (OUT_BEATS[i]),
            .MAX_BURST (MAX_BURST),
            .BUFFER    (2 * MAX_BURST),
            .COMMANDS  (COMMANDS)
        ) collect (
            .ap_clk        (aclk),
            .ap_rst_n      (ap_rst_n),
            .command_addr  (command_output[i]),
            .command_frames(command_frames),
            .command_valid (command),
            .command_ready (command_ready[i]),
            .in_tdata      (out_tdata[8*bytes_below(i)+:8*OUT_BYTES[i]]),
            .in_tvalid     (out_tvalid[i]),
            .in_tready     (out_tready[i]),
            .burst_addr    (burst_addr[i]),
            .burst_length  (burst_length[i]),
            .burst_last    (burst_last[i]),
            .burst_valid   (burst_valid[i]),
            .burst_ready   (burst_ready[i]),
            .word_data     (word_data[i]),
            .word_valid    (word_valid[i]),
            .word_ready    (word_ready[i])
        );
    end

    shell_write #(
        .OUTPUTS     (OUTPUTS),
        .WORD_BYTES  (WORD_BYTES),
        .ADDRESS_BITS(ADDRESS_BITS),
        .MAX_BURST   (MAX_BURST),
        .LAST_STRB   (last_strobes())
    ) writer (
        .ap_clk       (aclk),
        .ap_rst_n     (ap_rst_n),
        .halt         (halt),
        .idle         (write_idle),
        .burst_addr   (burst_addr),
        .burst_length (burst_length),
        .burst_last   (burst_last),
        .burst_valid  (burst_valid),
        .burst_ready  (burst_ready),
        .word_data    (word_data),
        .word_valid   (word_valid),
        .word_ready   (word_ready),
        .awaddr       (memory_awaddr),
        .awlen        (memory_awlen),
        .awvalid      (memory_awvalid),
        .awready      (memory_awready),
        .wdata        (memory_wdata),
        .wstrb        (memory_wstrb),
        .wlast        (memory_wlast),
        .wvalid       (memory_wvalid),
        .wready       (memory_wready),
        .bresp        (memory_bresp),
        .bvalid       (memory_bvalid),
        .bready       (memory_bready),
        .frame_done   (frame_done),
        .error        (write_error),
        .error_decode (write_error_decode),
        .error_address(write_error_address)
    );

    shell_frames #(
        .OUTPUTS(OUTPUTS)
    ) frames (
        .ap_clk          (aclk),
        .ap_rst_n        (ap_rst_n),
        .command         (command),
        .command_frames  (command_frames),
        .frame_done      (frame_done),
        .busy            (busy),
        .finished        (finished),
        .became_idle     (became_idle),
        .frames_commanded(frames_commanded),
        .frames_finished (frames_finished),
        .frame_cycles    (frame_cycles),
        .busy_cycles     (busy_cycles)
    );

endmodule
