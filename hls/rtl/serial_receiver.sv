// Requests from the serial line. One is held, with its payload, until `done`; bytes that come meanwhile are lost.
module serial_receiver
    import serial_pkg::*;
#(
    parameter int unsigned CLOCKS_PER_BIT = 25,

    localparam int unsigned ADDR_BITS = $clog2(MAX_PAYLOAD)
) (
    input  logic                 ap_clk,
    input  logic                 ap_rst_n,
    input  logic                 rx,

    output logic                 valid,
    output logic [7:0]           operation,
    output logic [15:0]          length,
    output status_t              fault,        // OK, BAD_CRC or BAD_LENGTH
    input  logic                 done,

    input  logic [ADDR_BITS-1:0] payload_addr,
    output logic [7:0]           payload,      // a cycle later

    output logic                 framing_error,
    output logic                 dropped       // for one cycle: a request broke off
);

    typedef enum logic [2:0] {IDLE, OPERATION, LENGTH_LOW, LENGTH_HIGH, PAYLOAD, CRC_LOW, CRC_HIGH, HOLD} state_t;

    localparam int unsigned GAP = GAP_BITS * CLOCKS_PER_BIT;
    localparam int unsigned GAP_COUNT_BITS = $clog2(GAP + 1);

    logic [7:0] data;
    logic       received;

    serial_uart_rx #(
        .CLOCKS_PER_BIT(CLOCKS_PER_BIT)
    ) uart (
        .ap_clk       (ap_clk),
        .ap_rst_n     (ap_rst_n),
        .rx           (rx),
        .data         (data),
        .valid        (received),
        .framing_error(framing_error)
    );

    state_t                    state;
    logic [15:0]               at, crc;
    logic [GAP_COUNT_BITS-1:0] silence;

    wire [15:0] whole_length = {data, length[7:0]};
    wire        gap = silence == GAP_COUNT_BITS'(GAP);

    assign valid = state == HOLD;

    always_ff @(posedge ap_clk) begin
        dropped <= 1'b0;
        silence <= received || gap ? '0 : silence + 1'b1;
        if (!ap_rst_n) begin
            state   <= IDLE;
            silence <= '0;
        end else if (state == HOLD) begin
            if (done) state <= IDLE;
        end else if (framing_error || (gap && state != IDLE)) begin
            state   <= IDLE;
            dropped <= state != IDLE;
        end else if (received) begin
            crc <= crc16(state == OPERATION ? 16'hFFFF : crc, data);
            at  <= at + 1'b1;
            unique case (state)
                IDLE: if (data == REQUEST) state <= OPERATION;
                OPERATION: begin
                    operation <= data;
                    state     <= LENGTH_LOW;
                end
                LENGTH_LOW: begin
                    length[7:0] <= data;
                    state       <= LENGTH_HIGH;
                end
                LENGTH_HIGH: begin
                    length[15:8] <= data;
                    at           <= '0;
                    fault        <= BAD_LENGTH;
                    state        <= whole_length > 16'(MAX_PAYLOAD) ? HOLD : whole_length == '0 ? CRC_LOW : PAYLOAD;
                end
                PAYLOAD: if (at == length - 1'b1) state <= CRC_LOW;
                CRC_LOW: begin
                    fault <= data == crc[7:0] ? OK : BAD_CRC;
                    crc   <= crc;
                    state <= CRC_HIGH;
                end
                CRC_HIGH: begin
                    if (data != crc[15:8]) fault <= BAD_CRC;
                    state <= HOLD;
                end
                default: state <= IDLE;
            endcase
        end
    end

    row_buffer #(
        .DEPTH(MAX_PAYLOAD),
        .WIDTH(8)
    ) buffer (
        .ap_clk    (ap_clk),
        .write     (received && state == PAYLOAD),
        .write_addr(at[ADDR_BITS-1:0]),
        .write_data(data),
        .read      (1'b1),
        .read_addr (payload_addr),
        .read_data (payload)
    );

endmodule
