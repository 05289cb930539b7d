// What the host asks for over the serial line is done here: serial_pkg.sv has the protocol. STATUS replies
//   magic (2)  version (1)  flags (1)  design (4)  input: bytes of a beat (2), beats of a frame (4), beats loaded (4)
//   cycles of the first frame (4)  cycles of all frames (4)  outputs (2)  for each: bytes of a beat (2), beats of a frame (4)
// Flags: 0 a run is under way, 1 an output offered a beat beyond its frames, 2 a byte had no stop bit, 3 a request broke off.
// Cycles are from the first input beat that the accelerator took to the last output beat of the frame.
module serial_port
    import serial_pkg::*;
#(
    parameter int unsigned               CLOCKS_PER_BIT = 25,
    parameter logic [31:0]               DESIGN         = '0,
    parameter int unsigned               IN_BYTES       = 1,
    parameter int unsigned               IN_BEATS       = 4,
    parameter int unsigned               OUTPUTS        = 1,
    parameter logic [OUTPUTS-1:0][15:0]  OUT_BYTES      = {OUTPUTS{16'd1}},
    parameter logic [OUTPUTS-1:0][31:0]  OUT_BEATS      = {OUTPUTS{32'd4}}
) (
    input  logic                     ap_clk,
    input  logic                     ap_rst_n,
    input  logic                     rx,
    output logic                     tx,

    output logic                     accelerator_rst_n,
    output logic                     start,
    output logic [15:0]              frames,
    input  logic                     in_taken,    // the accelerator takes an input beat
    input  logic [OUTPUTS-1:0]       first_done,
    input  logic [OUTPUTS-1:0]       all_done,
    input  logic [OUTPUTS-1:0]       offered,     // an output has a beat

    output logic                     write,
    output logic [31:0]              write_beat,
    output logic [8*IN_BYTES-1:0]    write_data,

    output logic [31:0]              read_beat,
    output logic [15:0]              read_byte,
    input  logic [OUTPUTS-1:0][7:0]  read_data
);

    if (IN_BYTES < 1 || IN_BYTES > MAX_PAYLOAD - 4 || IN_BEATS < 1 || OUTPUTS < 1 || OUTPUTS > 255) begin : g_check
        $error("serial_port: IN_BYTES=%0d (1 to %0d), IN_BEATS=%0d (at least 1) or OUTPUTS=%0d (1 to 255)", IN_BYTES,
               MAX_PAYLOAD - 4, IN_BEATS, OUTPUTS);
    end

    localparam int unsigned STATUS_BYTES = 28 + 6 * OUTPUTS;
    localparam int unsigned RESET_BITS = 5;  // the accelerator's reset takes 2**RESET_BITS cycles
    localparam int unsigned OUTPUT_BITS = OUTPUTS > 1 ? $clog2(OUTPUTS) : 1;
    localparam int unsigned ADDR_BITS = $clog2(MAX_PAYLOAD);
    localparam int unsigned IN_BYTE_BITS = IN_BYTES > 1 ? $clog2(IN_BYTES) : 1;

    typedef enum logic [3:0] {
        IDLE, ARGUMENTS, DECIDE, LOAD, HEAD, FETCH, BODY, TAIL, RELEASE
    } state_t;

    // Requests
    logic                 asked, framing_error, dropped;
    logic [7:0]           operation;
    logic [15:0]          length;
    status_t              fault;
    logic [ADDR_BITS-1:0] payload_addr;
    logic [7:0]           payload;
    state_t               state;

    serial_receiver #(
        .CLOCKS_PER_BIT(CLOCKS_PER_BIT)
    ) receiver (
        .ap_clk       (ap_clk),
        .ap_rst_n     (ap_rst_n),
        .rx           (rx),
        .valid        (asked),
        .operation    (operation),
        .length       (length),
        .fault        (fault),
        .done         (state == RELEASE),
        .payload_addr (payload_addr),
        .payload      (payload),
        .framing_error(framing_error),
        .dropped      (dropped)
    );

    // Replies
    logic [7:0] sent;
    logic       send, can_send;

    serial_uart_tx #(
        .CLOCKS_PER_BIT(CLOCKS_PER_BIT)
    ) uart (
        .ap_clk  (ap_clk),
        .ap_rst_n(ap_rst_n),
        .data    (sent),
        .valid   (send),
        .ready   (can_send),
        .tx      (tx)
    );

    status_t                status;
    logic [55:0]            arguments;  // the first seven bytes of the payload, the first one lowest
    logic [15:0]            at;         // byte of what is being read or sent
    logic [15:0]            reply_length, crc;
    logic [31:0]            loaded;     // beats from the frame's first one on
    logic [31:0]            beat;
    logic [15:0]            beat_byte;
    logic [31:0]            cycles, cycles_first, cycles_all;
    logic                   surplus, framing, broken, counting;
    logic [OUTPUT_BITS-1:0] selected;
    logic [RESET_BITS-1:0]  reset_left;
    logic [2:0]             settle;     // eight cycles for a byte between memories: nothing is gained by haste

    wire busy = start || !(&all_done);
    wire handed = send && can_send;

    wire [31:0] load_beat = arguments[31:0];
    wire [15:0] run_frames = arguments[15:0];
    wire [7:0]  read_output = arguments[7:0];
    wire [31:0] read_from = arguments[39:8];
    wire [15:0] read_bytes = arguments[55:40];

    logic [OUTPUTS-1:0][47:0] sizes;
    for (genvar i = 0; i < OUTPUTS; i++) begin : g_sizes
        assign sizes[i] = {OUT_BEATS[i], OUT_BYTES[i]};
    end
    wire [8*STATUS_BYTES-1:0] report = {
        sizes, 16'(OUTPUTS), cycles_all, cycles_first, loaded, 32'(IN_BEATS), 16'(IN_BYTES), DESIGN,
        4'b0, broken, framing, surplus, busy, VERSION, MAGIC
    };

    // Bytes of the payload that are arguments, and how long it may be.
    logic [15:0] wanted, most;
    always_comb begin
        case (operation)
            OP_LOAD: {wanted, most} = {16'd4, 16'(MAX_PAYLOAD)};
            OP_RUN:  {wanted, most} = {16'd2, 16'd2};
            OP_READ: {wanted, most} = {16'd7, 16'd7};
            default: {wanted, most} = '0;
        endcase
    end

    status_t refused;
    always_comb begin
        refused = OK;
        if (fault != OK) refused = fault;
        else if (operation < OP_RESET || operation > OP_READ) refused = BAD_OP;
        else if (length < wanted || length > most) refused = BAD_LENGTH;
        else if (busy && operation != OP_RESET && operation != OP_STATUS) refused = BUSY;
        else if (operation == OP_LOAD && load_beat > loaded) refused = BAD_RANGE;
        else if (operation == OP_RUN && loaded != 32'(IN_BEATS)) refused = NOT_LOADED;
        else if (operation == OP_RUN && run_frames == '0) refused = BAD_RANGE;
        else if (operation == OP_READ && 32'(read_output) >= OUTPUTS) refused = BAD_RANGE;
    end

    assign read_beat = beat;
    assign read_byte = beat_byte;
    assign write_beat = beat;
    assign payload_addr = at[ADDR_BITS-1:0];

    wire [15:0] beat_bytes = operation == OP_READ ? OUT_BYTES[selected] : 16'(IN_BYTES);
    wire [31:0] beats = operation == OP_READ ? OUT_BEATS[selected] : 32'(IN_BEATS);
    wire        beat_ends = beat_byte == beat_bytes - 1'b1;
    wire        beyond = beat >= beats;
    wire [7:0]  report_byte = 32'(at) < STATUS_BYTES ? report[8*at[$clog2(STATUS_BYTES)-1:0]+:8] : '0;

    assign send = state == HEAD || state == BODY || state == TAIL;
    always_comb begin
        case (state)
            HEAD:    sent = at == 0 ? REPLY : at == 1 ? operation : at == 2 ? reply_length[7:0] : reply_length[15:8];
            BODY:    sent = operation == OP_READ ? read_data[selected] : report_byte;
            default: sent = at == 0 ? status : at == 1 ? crc[7:0] : crc[15:8];
        endcase
    end

    // A byte of a beat has been moved.
    task automatic step();
        at        <= at + 1'b1;
        beat_byte <= beat_ends ? '0 : beat_byte + 1'b1;
        if (beat_ends) beat <= beat + 1'b1;
    endtask

    always_ff @(posedge ap_clk) begin
        start  <= 1'b0;
        write  <= 1'b0;
        settle <= settle + 1'b1;
        if (handed && !(state == HEAD && at == 0) && !(state == TAIL && at != 0)) crc <= crc16(crc, sent);
        case (state)
            IDLE: begin
                at     <= '0;
                settle <= '0;
                if (asked) state <= ARGUMENTS;
            end
            ARGUMENTS: begin
                if (at == wanted || at == length || fault != OK) begin
                    state <= DECIDE;
                end else if (settle == '1) begin
                    arguments[8*at[2:0]+:8] <= payload;
                    at                      <= at + 1'b1;
                end
            end
            DECIDE: begin
                status       <= refused;
                reply_length <= refused != OK ? '0 : operation == OP_READ ? read_bytes :
                                operation == OP_STATUS ? 16'(STATUS_BYTES) : '0;
                crc          <= 16'hFFFF;
                settle       <= '0;
                selected     <= read_output[OUTPUT_BITS-1:0];
                beat         <= operation == OP_READ ? read_from : load_beat;
                beat_byte    <= '0;
                state        <= refused == OK && operation == OP_LOAD ? LOAD : HEAD;
                at           <= refused == OK && operation == OP_LOAD ? 16'd4 : '0;
                if (refused == OK && operation == OP_RUN) begin
                    start  <= 1'b1;
                    frames <= run_frames;
                end
            end
            LOAD: begin
                if (at == length || beyond) begin
                    if (at != length) status <= BAD_RANGE;
                    else if (beat_byte != '0) status <= BAD_LENGTH;
                    else if (beat > loaded) loaded <= beat;
                    at    <= '0;
                    state <= HEAD;
                end else if (settle == 3'd6) begin
                    write_data[8*beat_byte[IN_BYTE_BITS-1:0]+:8] <= payload;
                    write                                        <= beat_ends;
                end else if (settle == 3'd7) begin
                    step();
                end
            end
            HEAD: begin
                if (handed) begin
                    at <= at + 1'b1;
                    if (at == 16'd3) begin
                        at     <= '0;
                        settle <= '0;
                        state  <= FETCH;
                    end
                end
            end
            FETCH: begin
                if (at == reply_length) begin
                    at    <= '0;
                    state <= TAIL;
                end else if (settle == '1) begin
                    if (operation == OP_READ && beyond) status <= BAD_RANGE;
                    state <= BODY;
                end
            end
            BODY: begin
                settle <= '0;
                if (handed) begin
                    step();
                    state <= FETCH;
                end
            end
            TAIL: begin
                if (handed) begin
                    at <= at + 1'b1;
                    if (at == 16'd2) state <= RELEASE;
                end
            end
            default: state <= IDLE;
        endcase

        if (framing_error) framing <= 1'b1;
        if (dropped) broken <= 1'b1;
        if (accelerator_rst_n && !busy && |offered) surplus <= 1'b1;

        // The count stands at the cycles since the first input beat when a frame's last output beat is taken.
        if (start) begin
            counting <= 1'b0;
            cycles   <= '0;
        end else if (busy && (in_taken || counting)) begin
            counting <= 1'b1;
            cycles   <= cycles + 1'b1;
        end
        if (busy && !(&first_done)) cycles_first <= cycles;
        if (busy) cycles_all <= cycles;

        accelerator_rst_n <= reset_left == '0;
        if (reset_left != '0) reset_left <= reset_left - 1'b1;
        if (!ap_rst_n || (state == DECIDE && refused == OK && operation == OP_RESET)) begin
            reset_left        <= '1;
            accelerator_rst_n <= 1'b0;
            loaded            <= '0;
            cycles_first      <= '0;
            cycles_all        <= '0;
            {surplus, framing, broken, counting} <= '0;
        end
        if (!ap_rst_n) begin
            state  <= IDLE;
            settle <= '0;
            start  <= 1'b0;
        end
    end

endmodule
