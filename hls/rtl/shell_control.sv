// The registers, at the offsets of shell_registers_pkg; docs/registers.md says what they mean. A command is checked here and handed
// to the reader and to every writer at once, or to none.
module shell_control
    import shell_registers_pkg::*;
#(
    parameter logic [31:0] DESIGN_VALUE = '0,
    parameter int unsigned OUTPUTS      = 1,
    parameter int unsigned ADDRESS_BITS = 32,  // of memory
    parameter int unsigned WORD_BYTES   = 8,

    localparam int unsigned SHIFT     = $clog2(WORD_BYTES),
    localparam int unsigned ADDR_BITS = ADDRESS_BITS - SHIFT
) (
    input  logic                                  aclk,
    input  logic                                  aresetn,
    input  logic                                  ap_rst_n,  // of everything but interrupt_enable

    input  logic                                  write,
    input  logic [11:0]                           write_addr,
    input  logic [31:0]                           write_data,
    input  logic [3:0]                            write_strb,
    input  logic                                  read,
    input  logic [11:0]                           read_addr,
    output logic [31:0]                           read_data,

    output logic                                  reset,  // one cycle: soft reset
    input  logic                                  resetting,

    output logic                                  command,  // one cycle
    input  logic                                  command_ready,
    output logic [FRAMES_BITS-1:0]     command_frames,
    output logic [ADDR_BITS-1:0]                  command_input,  // address in words
    output logic [OUTPUTS-1:0][ADDR_BITS-1:0]     command_output,

    input  logic                                  busy,
    input  logic                                  finished,
    input  logic                                  became_idle,
    input  logic [31:0]                           frames_commanded,
    input  logic [31:0]                           frames_finished,
    input  logic [63:0]                           frame_cycles,
    input  logic [63:0]                           busy_cycles,

    input  logic                                  read_error,
    input  logic                                  read_error_decode,
    input  logic [ADDRESS_BITS-1:0]               read_error_address,
    input  logic                                  write_error,
    input  logic                                  write_error_decode,
    input  logic [ADDRESS_BITS-1:0]               write_error_address,

    output logic                                  irq  // level
);

    if (OUTPUTS < 1 || OUTPUTS > 64 || ADDRESS_BITS < 32 || ADDRESS_BITS > 64) begin : g_check
        $error("shell_control: OUTPUTS=%0d has to be from 1 to 64, ADDRESS_BITS=%0d from 32 to 64", OUTPUTS, ADDRESS_BITS);
    end

    function automatic logic [31:0] merged(logic [31:0] old);
        for (int unsigned i = 0; i < 4; i++) merged[8*i+:8] = write_strb[i] ? write_data[8*i+:8] : old[8*i+:8];
    endfunction

    function automatic logic [63:0] merged_address(logic [11:0] offset, logic [63:0] old);
        merged_address = old;
        if (write && write_addr == offset) merged_address[31:0] = merged(old[31:0]);
        if (write && write_addr == offset + 12'd4) merged_address[63:32] = merged(old[63:32]);
    endfunction

    // Bits of a w1c register that are cleared.
    function automatic logic [31:0] cleared(logic [11:0] offset);
        cleared = write && write_addr == offset ? merged('0) : '0;
    endfunction

    wire command_word = write && write_addr == CONTROL && write_strb[0];
    wire start        = command_word && write_data[CONTROL_START];
    assign reset      = command_word && write_data[CONTROL_RESET];

    // Addresses.
    logic [ADDRESS_BITS-1:0]              input_address;
    logic [OUTPUTS-1:0][ADDRESS_BITS-1:0] output_address;

    assign command_input = input_address[ADDRESS_BITS-1:SHIFT];

    for (genvar i = 0; i < OUTPUTS; i++) begin : g_address
        assign command_output[i] = output_address[i][ADDRESS_BITS-1:SHIFT];

        always_ff @(posedge aclk) begin
            if (!ap_rst_n) output_address[i] <= '0;
            else output_address[i] <= ADDRESS_BITS'(merged_address(OUTPUT_ADDRESS + 12'(8 * i), 64'(output_address[i])));
        end
    end

    always_ff @(posedge aclk) begin
        if (!ap_rst_n) begin
            input_address  <= '0;
            command_frames <= '0;
        end else begin
            input_address <= ADDRESS_BITS'(merged_address(INPUT_ADDRESS, 64'(input_address)));
            if (write && write_addr == FRAMES) command_frames <= FRAMES_BITS'(merged(32'(command_frames)));
        end
    end

    // Commands and errors.
    localparam logic [ADDRESS_BITS-1:0] WITHIN = ADDRESS_BITS'(WORD_BYTES - 1);

    logic unaligned;
    always_comb begin
        unaligned = |(input_address & WITHIN);
        for (int unsigned i = 0; i < OUTPUTS; i++) unaligned |= |(output_address[i] & WITHIN);
    end

    logic [ERROR_BITS-1:0] error, error_set;

    always_comb begin
        error_set                     = '0;
        error_set[ERROR_READ_SLAVE]   = read_error && !read_error_decode;
        error_set[ERROR_READ_DECODE]  = read_error && read_error_decode;
        error_set[ERROR_WRITE_SLAVE]  = write_error && !write_error_decode;
        error_set[ERROR_WRITE_DECODE] = write_error && write_error_decode;
        error_set[ERROR_UNALIGNED]    = start && unaligned;
        error_set[ERROR_OVERFLOW]     = start && (!command_ready || resetting);
        error_set[ERROR_NO_FRAMES]    = start && command_frames == 0;
    end

    assign command = start && !unaligned && command_ready && !resetting && command_frames != 0;

    logic [INTERRUPT_BITS-1:0]        cause, cause_set;
    logic [INTERRUPT_ENABLE_BITS-1:0] enable;
    logic [ADDRESS_BITS-1:0]          read_error_at, write_error_at;

    always_comb begin
        cause_set                  = '0;
        cause_set[INTERRUPT_FRAME] = finished;
        cause_set[INTERRUPT_IDLE]  = became_idle;
        cause_set[INTERRUPT_ERROR] = |error_set;
    end

    logic [ERROR_BITS-1:0]     error_kept;
    logic [INTERRUPT_BITS-1:0] cause_kept;

    always_comb begin
        error_kept = error & ~ERROR_BITS'(cleared(ERROR));
        cause_kept = cause & ~INTERRUPT_BITS'(cleared(INTERRUPT));
    end

    always_ff @(posedge aclk) begin
        if (!ap_rst_n) begin
            error          <= '0;
            cause          <= '0;
            irq            <= 1'b0;
            read_error_at  <= '0;
            write_error_at <= '0;
        end else begin
            error     <= error_kept | error_set;
            cause     <= cause_kept | cause_set;
            irq       <= |(cause & enable);
            if (read_error && !error_kept[ERROR_READ_SLAVE] && !error_kept[ERROR_READ_DECODE])
                read_error_at <= read_error_address;
            if (write_error && !error_kept[ERROR_WRITE_SLAVE] && !error_kept[ERROR_WRITE_DECODE])
                write_error_at <= write_error_address;
        end
    end

    always_ff @(posedge aclk) begin
        if (!aresetn) enable <= '0;
        else if (write && write_addr == INTERRUPT_ENABLE) enable <= INTERRUPT_ENABLE_BITS'(merged(32'(enable)));
    end

    // Reads. Reading the lower word of a counter holds its upper one.
    logic [31:0] upper;

    always_ff @(posedge aclk) begin
        if (read && read_addr == FRAME_CYCLES) upper <= frame_cycles[63:32];
        if (read && read_addr == BUSY_CYCLES) upper <= busy_cycles[63:32];
    end

    always_comb begin
        read_data = '0;
        case (read_addr)
            IDENTIFIER:                   read_data = IDENTIFIER_VALUE;
            VERSION:                      read_data = VERSION_VALUE;
            DESIGN:                       read_data = DESIGN_VALUE;
            CONTROL:                      read_data[CONTROL_RESET] = resetting;
            STATUS: begin
                read_data[STATUS_BUSY]      = busy;
                read_data[STATUS_FULL]      = !command_ready;
                read_data[STATUS_RESETTING] = resetting;
            end
            INTERRUPT_ENABLE:             read_data = 32'(enable);
            INTERRUPT:                    read_data = 32'(cause);
            ERROR:                        read_data = 32'(error);
            READ_ERROR_ADDRESS:           read_data = read_error_at[31:0];
            READ_ERROR_ADDRESS + 12'd4:   read_data = 32'(64'(read_error_at) >> 32);
            WRITE_ERROR_ADDRESS:          read_data = write_error_at[31:0];
            WRITE_ERROR_ADDRESS + 12'd4:  read_data = 32'(64'(write_error_at) >> 32);
            FRAMES_COMMANDED:             read_data = frames_commanded;
            FRAMES_FINISHED:              read_data = frames_finished;
            FRAME_CYCLES:                 read_data = frame_cycles[31:0];
            BUSY_CYCLES:                  read_data = busy_cycles[31:0];
            FRAME_CYCLES + 12'd4,
            BUSY_CYCLES + 12'd4:          read_data = upper;
            FRAMES:                       read_data = 32'(command_frames);
            INPUT_ADDRESS:                read_data = input_address[31:0];
            INPUT_ADDRESS + 12'd4:        read_data = 32'(64'(input_address) >> 32);
            default: begin
                for (int unsigned i = 0; i < OUTPUTS; i++) begin
                    if (read_addr == OUTPUT_ADDRESS + 12'(8 * i)) read_data = output_address[i][31:0];
                    if (read_addr == OUTPUT_ADDRESS + 12'(8 * i) + 12'd4) read_data = 32'(64'(output_address[i]) >> 32);
                end
            end
        endcase
    end

endmodule
