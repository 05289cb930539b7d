// Soft reset: no burst begins any more, those on the bus come to their end, and only then everything is reset. The bus is never
// left in the middle of a burst. After the hard reset everything is held in reset as well.
module shell_reset #(
    parameter int unsigned CYCLES = 32  // of the reset proper
) (
    input  logic aclk,
    input  logic aresetn,
    input  logic request,  // one cycle
    input  logic idle,  // no burst is under way
    output logic halt,  // begin no more bursts
    output logic ap_rst_n
);

    if (CYCLES < 2) begin : g_check
        $error("shell_reset: CYCLES=%0d is below 2", CYCLES);
    end

    localparam int unsigned COUNT_BITS = $clog2(CYCLES + 1);

    logic [COUNT_BITS-1:0] left;

    always_ff @(posedge aclk) begin
        if (!aresetn) begin
            halt     <= 1'b1;
            ap_rst_n <= 1'b0;
            left     <= COUNT_BITS'(CYCLES);
        end else if (!ap_rst_n) begin
            left <= left - 1'b1;
            if (left == 1) begin
                halt     <= 1'b0;
                ap_rst_n <= 1'b1;
            end
        end else begin
            left <= COUNT_BITS'(CYCLES);
            if (request) halt <= 1'b1;
            if (halt && idle) ap_rst_n <= 1'b0;
        end
    end

endmodule
