// Counts frames and cycles. A frame is finished when each output has written it.
module shell_frames #(
    parameter int unsigned OUTPUTS = 1
) (
    input  logic                              ap_clk,
    input  logic                              ap_rst_n,

    input  logic                              command,  // one cycle
    input  logic [shell_registers_pkg::FRAMES_BITS-1:0] command_frames,
    input  logic [OUTPUTS-1:0]                frame_done,

    output logic                              busy,
    output logic                              finished,  // one cycle: a frame
    output logic                              became_idle,  // one cycle
    output logic [31:0]                       frames_commanded,
    output logic [31:0]                       frames_finished,
    output logic [63:0]                       frame_cycles,
    output logic [63:0]                       busy_cycles
);

    // An output is ahead of the slowest by no more than the frames of all commands that can wait.
    localparam int unsigned AHEAD_BITS = shell_registers_pkg::FRAMES_BITS + 5;

    logic [OUTPUTS-1:0] ahead;
    logic               all_done;
    logic [63:0]        timer;

    assign finished = &ahead;
    assign all_done = frames_commanded == frames_finished;

    for (genvar i = 0; i < OUTPUTS; i++) begin : g_output
        logic [AHEAD_BITS-1:0] count;

        assign ahead[i] = count != 0;

        always_ff @(posedge ap_clk) begin
            if (!ap_rst_n) count <= '0;
            else count <= count + AHEAD_BITS'(frame_done[i]) - AHEAD_BITS'(finished);
        end
    end

    always_ff @(posedge ap_clk) begin
        if (!ap_rst_n) begin
            frames_commanded <= '0;
            frames_finished  <= '0;
            busy             <= 1'b0;
            became_idle      <= 1'b0;
            timer            <= '0;
            frame_cycles     <= '0;
            busy_cycles      <= '0;
        end else begin
            if (command) frames_commanded <= frames_commanded + 32'(command_frames);
            frames_finished <= frames_finished + 32'(finished);
            busy            <= !all_done || command;
            became_idle     <= busy && all_done && !command;
            timer           <= finished || !busy ? 64'd1 : timer + 64'd1;
            if (finished) frame_cycles <= timer;
            busy_cycles <= busy_cycles + 64'(busy);
        end
    end

endmodule
