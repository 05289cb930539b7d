// UART receiver: 8 data bits, no parity, one stop bit. A bit is sampled in its middle.
module serial_uart_rx #(
    parameter int unsigned CLOCKS_PER_BIT = 25
) (
    input  logic       ap_clk,
    input  logic       ap_rst_n,
    input  logic       rx,             // of the pin, on no clock of ours
    output logic [7:0] data,
    output logic       valid,          // for one cycle
    output logic       framing_error   // for one cycle: no stop bit where one should be
);

    if (CLOCKS_PER_BIT < 4) begin : g_check
        $error("serial_uart_rx: CLOCKS_PER_BIT=%0d is below 4", CLOCKS_PER_BIT);
    end

    localparam int unsigned COUNT_BITS = $clog2(CLOCKS_PER_BIT);
    localparam logic [COUNT_BITS-1:0] WHOLE = COUNT_BITS'(CLOCKS_PER_BIT - 1);
    localparam logic [COUNT_BITS-1:0] HALF = COUNT_BITS'(CLOCKS_PER_BIT / 2 - 1);

    logic [2:0] sampled;  // two flip-flops against metastability, a third for the edge
    always_ff @(posedge ap_clk) sampled <= ap_rst_n ? {sampled[1:0], rx} : '1;

    logic                  active;
    logic [COUNT_BITS-1:0] count;
    logic [3:0]            position;  // 0: start bit, 1 to 8: data, 9: stop bit
    logic [7:0]            shifted;

    assign data = shifted;

    always_ff @(posedge ap_clk) begin
        valid         <= 1'b0;
        framing_error <= 1'b0;
        if (!ap_rst_n) begin
            active <= 1'b0;
        end else if (!active) begin
            active   <= sampled[2] && !sampled[1];
            count    <= HALF;
            position <= '0;
        end else if (count != '0) begin
            count <= count - 1'b1;
        end else begin
            count    <= WHOLE;
            position <= position + 1'b1;
            if (position == 4'd0) begin
                active <= !sampled[1];  // else it was a spike
            end else if (position == 4'd9) begin
                active        <= 1'b0;
                valid         <= sampled[1];
                framing_error <= !sampled[1];
            end else begin
                shifted <= {sampled[1], shifted[7:1]};
            end
        end
    end

endmodule
