// UART transmitter: 8 data bits, no parity, one stop bit.
module serial_uart_tx #(
    parameter int unsigned CLOCKS_PER_BIT = 25
) (
    input  logic       ap_clk,
    input  logic       ap_rst_n,
    input  logic [7:0] data,
    input  logic       valid,
    output logic       ready,
    output logic       tx
);

    if (CLOCKS_PER_BIT < 4) begin : g_check
        $error("serial_uart_tx: CLOCKS_PER_BIT=%0d is below 4", CLOCKS_PER_BIT);
    end

    localparam int unsigned COUNT_BITS = $clog2(CLOCKS_PER_BIT);

    logic [COUNT_BITS-1:0] count;
    logic [3:0]            left;     // bits to send, the stop bit included
    logic [8:0]            shifted;  // what follows the bit on the line

    assign ready = left == '0;

    always_ff @(posedge ap_clk) begin
        if (!ap_rst_n) begin
            left <= '0;
            tx   <= 1'b1;
        end else if (left == '0) begin
            if (valid) begin
                left    <= 4'd10;
                tx      <= 1'b0;
                shifted <= {1'b1, data};
                count   <= COUNT_BITS'(CLOCKS_PER_BIT - 1);
            end
        end else if (count != '0) begin
            count <= count - 1'b1;
        end else begin
            count   <= COUNT_BITS'(CLOCKS_PER_BIT - 1);
            left    <= left - 1'b1;
            tx      <= shifted[0];
            shifted <= {1'b1, shifted[8:1]};
        end
    end

endmodule
